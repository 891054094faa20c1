from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import redis

from app import BUILTIN_PLUGINS
from core import Check, hookimpl
from core.factory import build_app
from core.runtime import EXTENSION
from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from flask import Flask

    from core.testing import MakeApp
    from core.valkey import EmbeddedValkey


def health(app: Flask) -> tuple[int, str]:
    answer = app.test_client().get("/health")
    assert set(answer.get_json()) == {"status", "version"}
    return answer.status_code, answer.get_json()["status"]


def readiness(app: Flask) -> dict[str, tuple[bool, str]]:
    checks = app.test_client().get("/readyz").get_json()["checks"]
    return {check["name"]: (check["works"], check["detail"]) for check in checks}


@pytest.fixture
def worker(valkey: EmbeddedValkey) -> Iterator[None]:
    """Leave the traces of a running worker in the queue's server."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        client.sadd("rq:workers", "rq:worker:one")
        client.set("rq:worker:one", 1)
        yield
        client.flushall()


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_with_database_queue_and_worker_all_is_well(
    make_core: MakeApp, valkey: EmbeddedValkey, worker: None
) -> None:
    app = make_core(REDIS_URL=valkey.url)

    assert health(app) == (200, "ok")
    assert readiness(app) == dict.fromkeys(("database", "queue", "workers"), (True, ""))


def test_without_a_worker_requests_work_and_the_answer_is_degraded(
    make_core: MakeApp, valkey: EmbeddedValkey
) -> None:
    app = make_core(REDIS_URL=valkey.url)

    assert health(app) == (200, "degraded")
    assert readiness(app)["workers"] == (False, "no worker is running")


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1"])
def test_without_a_queue_requests_work_and_the_answer_is_degraded(
    url: str, make_core: MakeApp
) -> None:
    app = make_core(REDIS_URL=url)

    assert health(app) == (200, "degraded")
    assert readiness(app)["queue"] == (False, "Redis is away or REDIS_URL is not set")


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_database_that_is_not_migrated_is_down(storage: str, make_core: MakeApp) -> None:
    app = make_core()
    with app.app_context():
        app.extensions[EXTENSION].database.execute_sql(
            "UPDATE migration_core SET name = 'x' WHERE name = '0001_initial'"
        )
    try:
        assert health(app) == (503, "down")
        assert readiness(app)["database"] == (False, "is not migrated: run flask db upgrade")
    finally:
        with app.app_context():
            app.extensions[EXTENSION].database.execute_sql(
                "UPDATE migration_core SET name = '0001_initial' WHERE name = 'x'"
            )


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////no/such/directory/x.db",
        "postgresql://nobody:canary-password@127.0.0.1:1/none",
    ],
)
def test_a_database_that_is_not_there_is_down(url: str) -> None:
    app = build_app({}, {"DATABASE_URL": url, "SUBTEXT_RATE_LIMITS": False}, discover=False)
    client = app.test_client()

    assert health(app) == (503, "down")
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "canary-password" not in ready.text
    assert client.get("/livez").status_code == 200
    assert client.get("/metrics").status_code == 200
    key = client.get("/v1/sessions/s/timeline", headers={"X-Api-Key": "sm_" + "0" * 48})
    assert key.status_code == 503


def test_a_database_whose_directory_went_away_is_down(make_core: MakeApp, tmp_path: Path) -> None:
    directory = tmp_path / "volume"
    directory.mkdir()
    app = make_core(DATABASE_URL=f"sqlite:///{directory}/subtext.db")
    app.extensions[EXTENSION].database.close_all()
    shutil.rmtree(directory)

    assert health(app) == (503, "down")


def test_a_database_that_can_only_be_read_is_down(make_core: MakeApp) -> None:
    app = make_core()
    with app.app_context():
        # Root may write any file, so the database itself is told not to.
        app.extensions[EXTENSION].database.execute_sql("PRAGMA query_only = 1")

        assert health(app) == (503, "down")
        assert readiness(app)["database"] == (False, "cannot be written")


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_standby_is_down(make_core: MakeApp) -> None:
    app = make_core()
    with app.app_context():
        database = app.extensions[EXTENSION].database
        database.execute_sql("SET default_transaction_read_only = on")
        try:
            assert health(app) == (503, "down")
        finally:
            database.execute_sql("SET default_transaction_read_only = off")


class Patient:
    def __init__(self, *checks: Check) -> None:
        self.checks = checks

    @hookimpl
    def check_health(self) -> Iterable[Check]:
        return self.checks


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (Check("patient", works=True), (200, "ok")),
        (Check("patient", works=False, detail="feels ill"), (200, "degraded")),
        (Check("patient", works=False, critical=True), (503, "down")),
        (Check("patient", works=True, critical=True), (200, "ok")),
    ],
)
def test_plugins_have_their_say(
    check: Check,
    expected: tuple[int, str],
    make_core: MakeApp,
    valkey: EmbeddedValkey,
    worker: None,
) -> None:
    app = make_core(plugins={"patient": Patient(check)}, REDIS_URL=valkey.url)

    assert health(app) == expected
    assert readiness(app)["patient"] == (check.works, check.detail)


def test_a_plugin_that_cannot_say_whether_it_is_ready_is_not(make_core: MakeApp) -> None:
    class Failing:
        @hookimpl
        def check_health(self) -> list[Check]:
            raise RuntimeError("no idea")

    app = make_core(plugins={"failing": Failing()})

    assert health(app) == (200, "degraded")
    assert readiness(app)["failing"] == (False, "could not say whether it is ready")


def test_many_watchers_cost_no_more_than_one(make_core: MakeApp) -> None:
    asked: list[int] = []

    class Counting:
        @hookimpl
        def check_health(self) -> list[Check]:
            asked.append(1)
            return []

    app = make_core(plugins={"counting": Counting()})
    cache: Any = app.extensions[EXTENSION].caches
    health(app)
    cache["health"] = (cache["health"][0] + 3_600, cache["health"][1])
    for _ in range(5):
        health(app)

    assert len(asked) == 1


def test_the_built_in_plugins_need_not_be_there() -> None:
    assert BUILTIN_PLUGINS
    assert build_app({}, {}, discover=False).test_client().get("/livez").status_code == 200
