"""Jobs and evidence that always fail are put aside with their error, and hold nothing else up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
import redis
from rq.utils import as_text

from core.jobs import Job
from core.queues import Queues
from core.valkey import EmbeddedValkey
from examples.demo.client import Client
from tests.resilience import poison
from tests.resilience.installation import Installation, Postgres, eventually
from workers.worker import QueueWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from core.testing import MakeApp

    #: Runs `flask <arguments>` and returns what it prints.
    Command = Callable[..., str]

TRIES = 5
#: Jobs of the long form.
JOBS = int(os.environ.get("SOAK_POISON_JOBS", "10000"))
#: Seconds until the last of them must be parked: four pauses of up to 24 s, and a minute or two until the worker that a
#: job killed is missed, five times.
PATIENCE = 900.0


@pytest.fixture
def cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that mends the fault."""
    path = tmp_path / "cure"
    monkeypatch.setenv("POISON_CURE", str(path))
    return path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[redis.Redis]:
    directory = tmp_path / "valkey"
    directory.mkdir()
    with EmbeddedValkey(directory) as server, redis.Redis.from_url(server.url) as broker:
        yield broker


@pytest.fixture
def app(make_app: MakeApp, broker: redis.Redis, cure: Path) -> Flask:
    pool = broker.connection_pool.connection_kwargs
    return make_app(plugins={"poison": poison}, REDIS_URL=f"unix://{pool['path']}")


def fill(queues: Queues, jobs: int) -> None:
    for number in range(jobs):
        queues.put(Job("poison.act", poison.act), {"number": number})


def check_parked(queues: Queues, flask: Command, jobs: int, cure: Path) -> None:
    """Assert that what fails is parked and shown, that the rest is done, and mend the fault and retry."""
    bad = {number for number in range(jobs) if number % poison.EVERY == 0}
    parked = {
        sent.kwargs["number"]: sent
        for sent in queues.list("parked", errors=True)
        if sent.name == "poison.act"
    }
    assert parked.keys() == bad
    for number, sent in parked.items():
        assert f"ValueError: poison in {number}" in sent.error
    totals = queues.totals()["poison.act"]
    assert (totals.done, totals.failed) == (jobs - len(bad), TRIES * len(bad))
    listed = flask("jobs", "list", "--state", "parked", "--limit", str(jobs))
    assert all(sent.id in listed for sent in parked.values())
    shown = flask("jobs", "show", parked[0].id)
    assert "parked" in shown
    assert "Traceback" in shown
    assert "ValueError: poison in 0" in shown
    cure.touch()
    assert flask("jobs", "retry", "--all").count("queued") == len(bad) + len(("kill", "hang"))


def queues_of_poison(queues: Queues) -> int:
    """Return how many jobs of the plugin wait, or wait for their time."""
    return sum(sent.name.startswith("poison.") for sent in queues.list())


def test_poison_is_parked_with_its_error_the_rest_is_done_and_a_retry_mends_it(
    app: Flask, broker: redis.Redis, cure: Path
) -> None:
    queues = Queues(broker)
    fill(queues, 200)
    for name in ("poison.kill", "poison.hang"):
        queues.put(app.extensions["subtext"].jobs[name], {})

    for _ in range(
        3 * TRIES
    ):  # a job whose worker is gone is missed in one round, and tried again in the next
        work_until_killed(app, broker)
        make_due(queues)

    names = sorted(sent.name for sent in queues.list("parked"))
    assert names == ["poison.act"] * 2 + ["poison.hang", "poison.kill"]
    runner = app.test_cli_runner()
    check_parked(queues, lambda *words: runner.invoke(args=words).output, 200, cure)
    work_until_killed(app, broker)
    assert list(queues.list()) == []


def work_until_killed(app: Flask, broker: redis.Redis) -> None:
    """Have workers run what is queued, each until a job kills it."""
    for _ in range(3):
        worker = multiprocessing.get_context("fork").Process(target=work, args=(app, broker))
        worker.start()
        worker.join(60)
        assert worker.exitcode is not None, "a worker hangs"
        if worker.exitcode == 0:
            return
    raise AssertionError("one try of one job kills one worker")


def work(app: Flask, broker: redis.Redis) -> None:
    broker.connection_pool.reset()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    QueueWorker(app, "default", broker).work(burst=True, logging_level="CRITICAL")


def make_due(queues: Queues) -> None:
    """Have the time come of what waits for its next try, and of what a worker that is gone was at."""
    for kind in ("scheduled", "wip"):
        key = f"rq:{kind}:default"
        if waiting := {as_text(member): 1 for member, _ in queues.redis.zscan_iter(key)}:
            queues.redis.zadd(key, waiting)
    queues.release_due()


@pytest.mark.soak
def test_poison_among_many_jobs_and_in_evidence_is_put_aside_by_real_workers(
    tmp_path: Path, cure: Path
) -> None:
    with install(tmp_path, cure) as installation:
        broker = redis.Redis.from_url(installation.environment["REDIS_URL"])
        queues = Queues(broker)
        fill(queues, JOBS)
        for name in ("kill", "hang"):
            queues.put(Job(f"poison.{name}", getattr(poison, name), timeout=1), {})
        refuse_evidence(installation)

        expected = JOBS // poison.EVERY + len(("kill", "hang"))
        assert eventually(lambda: queues.parked_count() == expected, PATIENCE), queues.totals()
        names = {sent.name for sent in queues.list("parked")}
        assert names == {"poison.act", "poison.hang", "poison.kill"}
        check_evidence(installation)
        check_parked(queues, installation.flask, JOBS, cure)
        assert "due again: 1" in installation.flask("jobs", "retry-outbox")
        assert eventually(lambda: queues_of_poison(queues) == 0)
        assert eventually(lambda: "0 in" in _outbox(installation))
        installation.await_health()


def refuse_evidence(installation: Installation) -> None:
    for session in (f"{poison.REFUSED}1", "good-1"):
        event = {
            "eventType": "click",
            "targetSelector": "#a",
            "timestamp": "2026-03-16T10:14:00Z",
            "x": 1,
            "y": 1,
        }
        with Client(installation.url, installation.token()) as client:
            body = {"sessionId": session, "batch": [event]}
            assert client.post("/api/data/events", body).status == 200


def check_evidence(installation: Installation) -> None:
    """Assert that the one plugin that refuses is not told again, and that the others were told."""
    assert eventually(lambda: "poison: ValueError" in _parked_evidence(installation), 120)
    with Client(installation.url, installation.by_key) as client:
        for session in (f"{poison.REFUSED}1", "good-1"):
            answer = client.get(f"/v1/sessions/{session}/mood")
            assert (answer.status, answer.body["event_count"]) == (200, 1)


def _parked_evidence(installation: Installation) -> str:
    return installation.flask("jobs", "outbox")


def _outbox(installation: Installation) -> str:
    time.sleep(1)
    with Client(installation.url) as client:
        text = str(client.get("/metrics").body)
    (line,) = (line for line in text.splitlines() if line.startswith("subtext_outbox_length"))
    return f"{int(float(line.split()[-1]))} in"


def install(directory: Path, cure: Path) -> Installation:
    """Return an installation that the plugin is installed in, as a package is: by its metadata."""
    metadata = directory / "path" / "subtext_plugin_poison-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: subtext-plugin-poison\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[subtext.plugins]\npoison = tests.resilience.poison\n"
    )
    installation = Installation(
        directory, PYTHONPATH=str(metadata.parent), POISON_CURE=str(cure), WEB_CONCURRENCY="1"
    )
    worker = installation.parts["worker"]
    assert not isinstance(worker, Postgres)
    worker.command = ["python", "-m", "workers", "default"]
    return installation
