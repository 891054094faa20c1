"""A plugin that cannot work stops the start, and the operator reads whose fault it is and how to go on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.third_party.conftest import PACKAGE, create_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.third_party.conftest import Environment

BROKEN = {
    "it cannot be imported": ("import no_such_package\n", "No module named 'no_such_package'"),
    "it has a syntax error": ("def\n", "SyntaxError"),
    "it exits at import": ("raise SystemExit(0)\n", "SystemExit"),
    "it implements a hook that nobody offers": (
        "@hookimpl\ndef register_colours():\n    return []\n",
        "register_colours",
    ),
    "it takes an argument that a core hook does not give": (
        "@hookimpl\ndef app_ready(application):\n    return None\n",
        "application",
    ),
    "it takes an argument that another plugin's hook does not give": (
        "@hookimpl(optionalhook=True)\ndef register_signals(colour):\n    return []\n",
        "colour",
    ),
    "one of its hooks fails": (
        "@hookimpl\ndef register_jobs():\n    return [1 / 0]\n",
        "ZeroDivisionError",
    ),
    "its job has another plugin's name": (
        "@hookimpl\ndef register_jobs():\n    return [Job('mood.prune', services.prune)]\n",
        "registers job mood.prune, which must start with vitals.",
    ),
    "its setting has another plugin's name": (
        "@hookimpl\ndef register_settings():\n    return [Setting('SUBTEXT_MOOD_X', 1, 'X.')]\n",
        "registers setting SUBTEXT_MOOD_X, which must start with SUBTEXT_VITALS_",
    ),
}


@pytest.fixture
def breakable(installed: Environment, tmp_path: Path) -> Environment:
    """Return an environment with a copy of the installed plugin that a test may break."""
    environment = create_environment(tmp_path / "venv")
    for path in installed.site_packages.glob("subtext_plugin_vitals*"):
        shutil.copytree(path, environment.site_packages / path.name)
    return environment


@pytest.mark.parametrize("fault", BROKEN)
def test_the_start_stops_and_names_the_plugin_and_the_setting_that_blocks_it(
    breakable: Environment, storage_variables: Mapping[str, str], fault: str
) -> None:
    code, reason = BROKEN[fault]
    module = breakable.site_packages / PACKAGE / "plugin.py"
    module.write_text(f"{module.read_text()}\n\n{code}")

    stopped = breakable.run("-m", "flask", "plugins", "list", settings=storage_variables)

    message = stopped.stderr.strip()
    assert stopped.returncode != 0
    assert "Plugin vitals" in message
    assert reason in message
    assert "SUBTEXT_PLUGINS_DISABLED=vitals" in message


def test_with_that_setting_the_server_starts_without_the_plugin(
    breakable: Environment, storage_variables: Mapping[str, str]
) -> None:
    (breakable.site_packages / PACKAGE / "plugin.py").write_text("import no_such_package\n")
    settings = {**storage_variables, "SUBTEXT_PLUGINS_DISABLED": "vitals"}

    started = breakable.run("-m", "flask", "plugins", "list", settings=settings)

    assert started.returncode == 0, started.stderr
    assert "vitals" not in started.stdout
    assert "mood" in started.stdout
