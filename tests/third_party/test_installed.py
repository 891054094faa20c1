"""A plugin that came by pip does everything that a built-in one does."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH, bearer, drain
from tests.third_party.conftest import EXAMPLE, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.testing import MakeApp, MakeCaller
    from tests.third_party.conftest import Environment

SLOW = [
    {"id": "v5-1", "name": "LCP", "value": 9000},
    {"id": "v5-2", "name": "INP", "value": 1200},
    {"id": "v5-3", "name": "LCP", "value": 7000},
]
REPORT = {"session_id": "s", "page": "/pay", "metrics": SLOW}

in_process = pytest.mark.usefixtures("plugin_on_path")


def test_flask_lists_the_plugin_with_the_package_it_came_in(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    result = installed.run("-m", "flask", "plugins", "list", settings=storage_variables)

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("vitals\t")]
    assert line.split("\t")[1] == "subtext-plugin-vitals"
    assert "register_signals" in line


def test_the_release_step_makes_its_table_and_its_command_reads_it(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    upgrade = installed.run("-m", "flask", "db", "upgrade", settings=storage_variables)
    assert "applied vitals/0001_initial" in upgrade.stdout, upgrade.stderr
    key = installed.run(
        "-m", "flask", "keys", "create", "--name", "Shop", settings=storage_variables
    )
    tenant = key.stderr.split("account ")[1].split(";")[0]

    pages = installed.run(
        "-m", "flask", "vitals", "pages", "--tenant", tenant, settings=storage_variables
    )

    assert (pages.returncode, pages.stdout) == (0, "")


def test_a_real_server_serves_its_routes(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    settings = {**storage_variables, "WEB_CONCURRENCY": "1"}
    installed.run("-m", "flask", "db", "upgrade", settings=settings)
    created = installed.run("-m", "flask", "keys", "create", "--name", "Shop", settings=settings)
    headers = {"X-Api-Key": created.stdout.strip(), "Content-Type": "application/json"}

    with installed.serving(settings) as address:
        connection = http.client.HTTPConnection(address)
        connection.request("POST", "/v1/vitals", json.dumps(REPORT), headers)
        stored = connection.getresponse()
        assert (stored.status, json.load(stored)) == (202, {"stored": len(SLOW)})
        connection.request("GET", "/v1/vitals/pages", headers=headers)
        assert {page["page"] for page in json.load(connection.getresponse())["pages"]} == {"/pay"}
        connection.close()


def test_its_table_can_be_taken_back_before_it_is_uninstalled(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    installed.run("-m", "flask", "db", "upgrade", settings=storage_variables)

    result = installed.run("-m", "flask", "db", "downgrade", "vitals", settings=storage_variables)

    assert result.stdout.splitlines() == ["took back vitals/0001_initial"]


def test_a_disabled_plugin_is_not_even_imported_and_its_settings_may_stay(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    program = (
        "import sys; from app import create_app; app = create_app();"
        "print('vitals' in app.extensions['subtext'].plugins.names,"
        " any('vitals' in name for name in sys.modules))"
    )
    settings = {**storage_variables, "SUBTEXT_VITALS_KEEP_DAYS": "5"}

    enabled = installed.run("-c", program, settings=settings)
    disabled = installed.run(
        "-c", program, settings={**settings, "SUBTEXT_PLUGINS_DISABLED": "vitals"}
    )

    assert enabled.stdout == "True True\n", enabled.stderr
    assert disabled.stdout == "False False\n", disabled.stderr


def test_a_setting_that_cannot_be_read_stops_the_start_with_its_name(
    installed: Environment, storage_variables: Mapping[str, str]
) -> None:
    result = installed.run(
        "-m",
        "flask",
        "plugins",
        "list",
        settings={**storage_variables, "SUBTEXT_VITALS_KEEP_DAYS": "0"},
    )

    assert result.returncode != 0
    assert "SUBTEXT_VITALS_KEEP_DAYS: '0' cannot be read: must be 1 or more" in result.stderr


@in_process
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_its_routes_are_served_to_keys_and_tokens(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app()
    client, caller = app.test_client(), make_caller(app)

    with_token = client.post("/v1/vitals", json=REPORT, headers=bearer(app, caller.tenant))
    with_key = client.get("/v1/vitals/pages", headers=caller.headers)

    assert with_token.status_code == 202
    assert {page["metric"] for page in with_key.get_json()["pages"]} == {"LCP", "INP"}
    assert "/v1/vitals/pages" in client.get("/openapi.json").get_json()["paths"]


@in_process
def test_its_periodic_job_is_registered_and_runs(make_app: MakeApp) -> None:
    app = make_app()
    jobs = app.extensions["subtext"].jobs

    assert "vitals.prune" in {job.name for job in jobs.periodic()}
    with app.app_context():
        assert jobs.run("vitals.prune") == 0


@in_process
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_its_evidence_moves_the_mood_with_its_own_signal(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app()
    client, caller = app.test_client(), make_caller(app)
    client.post("/v1/vitals", json=REPORT, headers=caller.headers)
    drain(app)

    answer = client.get("/v1/sessions/s/mood", headers=caller.headers).get_json()

    assert (answer["mood"], answer["event_count"]) == ("frustrated", 3)
    assert {"slow_page", "slow_reaction"} <= set(answer["signals"])


@in_process
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_deleting_a_session_removes_its_rows(make_app: MakeApp, make_caller: MakeCaller) -> None:
    app = make_app()
    client, caller = app.test_client(), make_caller(app)
    client.post("/v1/vitals", json=REPORT, headers=caller.headers)
    drain(app)

    deleted = client.delete("/v1/sessions/s", headers=caller.headers)

    assert deleted.status_code in {200, 204}
    pages = client.get("/v1/vitals/pages", headers=caller.headers).get_json()
    assert pages == {"pages": []}
    assert client.post("/v1/vitals", json=REPORT, headers=caller.headers).status_code == 410


@in_process
@pytest.mark.parametrize("disabled", [("mood",), ("ingestion", "clickstream", "mood", "stream")])
def test_it_serves_without_the_plugin_whose_hook_it_implements(
    make_app: MakeApp, make_caller: MakeCaller, disabled: tuple[str, ...]
) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=disabled)
    client, caller = app.test_client(), make_caller(app)

    assert client.post("/v1/vitals", json=REPORT, headers=caller.headers).status_code == 202
    assert drain(app) == 1


@in_process
def test_its_health_check_is_part_of_the_servers(make_app: MakeApp) -> None:
    app = make_app()
    plugins = app.extensions["subtext"].plugins
    with app.app_context():
        checks: dict[str, Any] = dict(plugins.collect("check_health"))

    assert [(check.name, check.works) for check in checks["vitals"]] == [("vitals", True)]


def test_the_installed_package_is_found_by_its_entry_point(
    installed: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed.site_packages))

    (entry,) = entry_points(group="subtext.plugins", name="vitals")

    assert entry.value == "subtext_plugin_vitals.plugin"


def test_the_examples_own_tests_pass_against_the_installed_package(
    installed: Environment, tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", tmp_path)

    # Short, because the socket of a PostgreSQL server lies in it: at most 107 bytes (unix(7)).
    with tempfile.TemporaryDirectory() as temporary:
        settings = {"PYTHONPATH": str(ROOT), "PYTEST_DEBUG_TEMPROOT": temporary}
        command = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
        result = installed.run(*command, directory=tmp_path, settings=settings)

    assert result.returncode == 0, result.stdout
    assert "skipped" not in result.stdout
