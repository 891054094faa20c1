"""Jobs, from `enqueue()` to the worker that runs them, on a real Valkey."""

from __future__ import annotations

import json
import logging
import signal
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq.utils import as_text

from app import BUILTIN_PLUGINS
from core.database import transaction
from core.errors import ConfigurationError
from core.jobs import Job, JobRegistry, enqueue
from core.queues import BACKOFF_CAP, PARKED_SECONDS, JobTotals, retry_intervals
from core.runtime import EXTENSION
from workers.worker import QueueWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from core.testing import MakeApp
    from core.valkey import EmbeddedValkey


class Log:
    """What the test's jobs did."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.faults = 0
        self.during: Callable[[], object] | None = None

    def note(self, **kwargs: Any) -> None:
        self.calls.append(kwargs)
        if self.during is not None:
            self.during()
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError("a fault of the job")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def app(make_app: MakeApp, valkey: EmbeddedValkey, broker: redis.Redis, log: Log) -> Flask:
    app = make_app(REDIS_URL=valkey.url, SUBTEXT_PLUGINS_DISABLED=tuple(BUILTIN_PLUGINS))
    jobs = registry(app)
    jobs.add(Job("demo.note", log.note))
    jobs.add(Job("demo.once", log.note, retry=1))
    jobs.add(Job("demo.elsewhere", log.note, queue="slow"))
    return app


@pytest.fixture
def work(app: Flask, broker: redis.Redis) -> Iterator[Callable[[], None]]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(queue: str = "default") -> None:
        QueueWorker(app, queue, broker).work(burst=True, logging_level="CRITICAL")

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def registry(app: Flask) -> JobRegistry:
    jobs: JobRegistry = app.extensions[EXTENSION].jobs
    return jobs


def states(app: Flask) -> list[tuple[str, str]]:
    queues = registry(app).queues
    assert queues is not None
    return [(sent.name, sent.state) for sent in queues.list()]


def make_due(app: Flask, broker: redis.Redis) -> None:
    """Have the time come of everything that waits for its time."""
    queues = registry(app).queues
    assert queues is not None
    for name in queues.names():
        key = f"rq:scheduled:{name}"
        if waiting := {as_text(job_id): 1 for job_id, _ in broker.zscan_iter(key)}:
            broker.zadd(key, waiting)
    queues.release_due()


def test_a_job_runs_in_the_worker_with_its_arguments(
    app: Flask, log: Log, work: Callable[[], None]
) -> None:
    with app.app_context():
        assert enqueue("demo.note", session_key=7, big=2**53, text="é", nested={"a": [1, None]})
        assert log.calls == []
        work()
    assert log.calls == [{"session_key": 7, "big": 2**53, "text": "é", "nested": {"a": [1, None]}}]
    assert states(app) == []


def test_a_job_is_sent_after_the_commit_and_not_after_a_rollback(app: Flask) -> None:
    with app.app_context():
        with transaction():
            assert enqueue("demo.note", n=1)
            assert states(app) == []
        assert states(app) == [("demo.note", "queued")]
        with pytest.raises(LookupError):
            fail_after_enqueue()
        assert states(app) == [("demo.note", "queued")]


@transaction()
def fail_after_enqueue() -> None:
    enqueue("demo.note", n=2)
    enqueue("demo.typo")


def test_what_lies_in_redis_is_a_name_and_json_and_never_a_pickle(
    app: Flask, broker: redis.Redis
) -> None:
    with app.app_context():
        enqueue("demo.note", session_key=7)
    (job_key,) = broker.keys("rq:job:*")
    stored = broker.hget(job_key, "data")
    assert isinstance(stored, bytes)
    assert json.loads(zlib.decompress(stored)) == [
        "core.jobs.run_job",
        None,
        ["demo.note", {"session_key": 7}, None],
        {},
    ]


def test_equal_unique_jobs_wait_once_and_the_next_one_comes_after_the_start(
    app: Flask, log: Log, work: Callable[[], None]
) -> None:
    with app.app_context():
        for _ in range(5):
            assert enqueue("demo.note", unique="7", session_key=7)
        assert enqueue("demo.note", unique="8", session_key=8)
        assert enqueue("demo.once", unique="7", session_key=7), "another job is another matter"
        assert len(states(app)) == 3
        log.during = lambda: len(log.calls) == 1 and enqueue("demo.note", unique="7", session_key=7)
        work()
    assert [call["session_key"] for call in log.calls] == [7, 8, 7, 7], (
        "what comes while it runs is not lost"
    )


def test_a_unique_job_that_was_lost_can_be_sent_again(app: Flask, broker: redis.Redis) -> None:
    with app.app_context():
        enqueue("demo.note", unique="7", delay=30, session_key=7)
        assert 60_000 < broker.pttl("subtext:pend:demo.note:7") <= 90_000
        enqueue("demo.note", unique="8", session_key=8)
        assert 0 < broker.pttl("subtext:pend:demo.note:8") <= 60_000


def test_a_delayed_job_waits_for_its_time(
    app: Flask, log: Log, broker: redis.Redis, work: Callable[[], None]
) -> None:
    with app.app_context():
        enqueue("demo.note", delay=3600, n=1)
        work()
        assert log.calls == []
        assert states(app) == [("demo.note", "scheduled")]
        make_due(app, broker)
        work()
    assert log.calls == [{"n": 1}]


def test_a_job_that_fails_is_tried_five_times_and_then_parked_with_its_error(
    app: Flask, log: Log, broker: redis.Redis, work: Callable[[], None]
) -> None:
    log.faults = 99
    with app.app_context():
        enqueue("demo.note", session_key=7)
        for tries in range(1, 6):
            work()
            assert len(log.calls) == tries
            assert states(app) == [("demo.note", "parked" if tries == 5 else "scheduled")]
            make_due(app, broker)
        work()
        assert len(log.calls) == 5, "a parked job stays where it is"
    queues = registry(app).queues
    assert queues is not None
    (parked,) = queues.list("parked", errors=True)
    assert "ZeroDivisionError: a fault of the job" in parked.error
    assert parked.kwargs == {"session_key": 7}
    assert 0 < broker.ttl(f"rq:job:{parked.id}") <= PARKED_SECONDS
    assert queues.parked_count() == 1


def test_a_job_that_recovers_is_not_parked(
    app: Flask, log: Log, broker: redis.Redis, work: Callable[[], None]
) -> None:
    log.faults = 2
    with app.app_context():
        enqueue("demo.note", n=1)
        for _ in range(3):
            work()
            make_due(app, broker)
    assert len(log.calls) == 3
    assert states(app) == []


def test_pauses_between_tries_grow_are_bounded_and_differ() -> None:
    many = [retry_intervals(12) for _ in range(50)]
    for intervals in many:
        assert all(
            min(BACKOFF_CAP, 2 * 2**n) / 2 <= wait <= min(BACKOFF_CAP, 2 * 2**n) * 1.5
            for n, wait in enumerate(intervals)
        )
    assert len({tuple(intervals) for intervals in many}) > 1
    assert retry_intervals(0) == []


def test_a_job_of_a_plugin_that_is_gone_is_parked_with_a_hint(
    app: Flask, work: Callable[[], None]
) -> None:
    queues = registry(app).queues
    assert queues is not None
    queues.put(Job("gone.away", print, retry=1), {})
    work()
    (parked,) = queues.list("parked", errors=True)
    assert "no job is named gone.away: is its plugin loaded?" in parked.error


def test_an_unknown_job_and_arguments_that_are_not_json_are_the_callers_fault(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(LookupError, match=r"demo\.typo"):
            enqueue("demo.typo")
        with pytest.raises(TypeError):
            enqueue("demo.note", what={1, 2})
        with pytest.raises(TypeError):
            enqueue("demo.note", text="\ud800")
    assert states(app) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "note"},
        {"name": "Demo.note"},
        {"name": "demo.note; drop"},
        {"queue": "a b"},
        {"timeout": 0},
        {"timeout": 1.5},
        {"timeout": True},
        {"retry": 0},
        {"every": 0},
        {"every": float("nan")},
    ],
)
def test_a_job_that_cannot_work_is_refused_at_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Job(**{"name": "demo.note", "func": print, **wrong})


def test_two_jobs_of_one_name_are_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match=r"demo\.note"):
        JobRegistry([Job("demo.note", print), Job("demo.note", print)])


def test_without_redis_nothing_is_sent_and_jobs_can_be_run_by_hand(log: Log) -> None:
    unsent: list[str] = []
    jobs = JobRegistry([Job("demo.note", log.note)], on_unsent=unsent.append)
    assert jobs.enqueue("demo.note", unique="7", n=1) is False
    assert unsent == [], "no REDIS_URL is a choice, not a fault"
    assert jobs.drop(session_key=1) == 0
    assert jobs.queue_lengths() == {}
    assert jobs.totals() == {}
    assert jobs.worker_count() is None
    jobs.run("demo.note", n=2)
    assert log.calls == [{"n": 2}]
    with pytest.raises(LookupError):
        jobs.run("demo.other")


def test_a_redis_that_is_away_costs_one_try_then_none_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    unsent: list[str] = []
    tried = 0

    class Counting(redis.Redis):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            nonlocal tried
            tried += 1
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    away = Counting(unix_socket_path=str(tmp_path / "no.sock"), retry=Retry(NoBackoff(), 0))
    jobs = JobRegistry(
        [Job("demo.note", print)], away, pause=2, on_unsent=unsent.append, clock=lambda: now
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            assert jobs.enqueue("demo.note", unique="7", n=1) is False
    assert tried == 1
    assert unsent == ["demo.note"] * 10
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert jobs.drop(session_key=7) == 0
    assert jobs.queue_lengths() == {}
    assert tried == 1
    now += 2.5
    assert jobs.enqueue("demo.note", unique="7", n=1) is False
    assert tried == 2


def test_a_request_goes_on_when_redis_is_away(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(
        REDIS_URL=f"unix://{tmp_path}/no.sock", SUBTEXT_PLUGINS_DISABLED=tuple(BUILTIN_PLUGINS)
    )
    registry(app).add(Job("demo.note", print))
    with app.app_context():
        with transaction():
            assert enqueue("demo.note", n=1), "not known before the commit"
        assert enqueue("demo.note", n=1) is False


def test_an_erasure_drops_the_jobs_of_its_session_wherever_they_wait(
    app: Flask, log: Log, work: Callable[[], None]
) -> None:
    log.faults = 1
    with app.app_context():
        enqueue("demo.once", session_key=7)
        work()
        enqueue("demo.note", unique="7", session_key=7)
        enqueue("demo.note", delay=60, session_key=7, n=2)
        enqueue("demo.elsewhere", session_key=7)
        enqueue("demo.note", unique="8", session_key=8)
        enqueue("demo.note", n=7)
        assert registry(app).drop(session_key=7) == 4
        assert states(app) == [("demo.note", "queued")] * 2
        enqueue("demo.note", unique="7", session_key=7)
        assert len(states(app)) == 3, "a session of the same key is not held up by what was dropped"
        assert registry(app).drop_jobs(lambda name, kwargs: "session_key" not in kwargs) == 1
        with pytest.raises(TypeError):
            registry(app).drop()


def test_queue_lengths_and_totals_say_what_waits_and_what_was_done(
    app: Flask, log: Log, work: Callable[[], None]
) -> None:
    log.faults = 1
    with app.app_context():
        assert registry(app).queue_lengths() == {"default": 0, "slow": 0}
        enqueue("demo.once", n=1)
        enqueue("demo.note", n=2)
        enqueue("demo.note", n=3)
        enqueue("demo.elsewhere", n=4)
        assert registry(app).queue_lengths() == {"default": 3, "slow": 1}
        work()
    totals = registry(app).totals()
    assert totals.keys() == {"demo.once", "demo.note"}
    assert (totals["demo.once"].done, totals["demo.once"].failed) == (0, 1)
    assert (totals["demo.note"].done, totals["demo.note"].failed) == (2, 0)
    assert totals["demo.note"].seconds > JobTotals().seconds


def test_a_worker_serves_its_own_queue_only(
    app: Flask, log: Log, work: Callable[[str], None]
) -> None:
    with app.app_context():
        enqueue("demo.elsewhere", n=1)
        enqueue("demo.note", n=2)
    work("slow")
    assert log.calls == [{"n": 1}]


def test_a_job_gives_its_database_connection_back(
    app: Flask, log: Log, work: Callable[[], None]
) -> None:
    open_inside = []

    def look() -> None:
        with transaction():
            open_inside.append(not app.extensions[EXTENSION].database.is_closed())

    log.during = look
    with app.app_context():
        enqueue("demo.note", n=1)
    work()
    assert open_inside == [True]
    assert app.extensions[EXTENSION].database.is_closed()


def test_a_job_over_its_time_is_ended_and_counts_as_a_failure(
    app: Flask, work: Callable[[], None]
) -> None:
    def endless() -> None:
        while True:
            pass

    registry(app).add(Job("demo.endless", endless, timeout=1, retry=1))
    with app.app_context():
        enqueue("demo.endless")
        work()
    queues = registry(app).queues
    assert queues is not None
    (parked,) = queues.list("parked", errors=True)
    assert "JobTimeoutException" in parked.error


class TestCommands:
    """`flask jobs …`."""

    @pytest.fixture
    def parked(self, app: Flask, log: Log, work: Callable[[], None]) -> str:
        log.faults = 1
        with app.app_context():
            enqueue("demo.once", session_key=7)
            work()
        queues = registry(app).queues
        assert queues is not None
        (sent,) = queues.list("parked", errors=True)
        return sent.id

    def run(self, app: Flask, *arguments: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["jobs", *arguments])
        return result.exit_code, result.output

    def test_list_and_show_tell_what_failed_and_why(self, app: Flask, parked: str) -> None:
        with app.app_context():
            enqueue("demo.note", n=1)
        status, output = self.run(app, "list")
        assert status == 0
        assert f"{parked}\tparked\t" in output
        assert "ZeroDivisionError: a fault of the job" in output
        assert "waiting: default=1 slow=0" in output
        status, output = self.run(app, "list", "--state", "parked", "--limit", "1")
        assert "demo.once" in output
        assert "demo.note" not in output
        status, output = self.run(app, "show", parked)
        assert status == 0
        assert "Traceback" in output
        assert '{"session_key":7}' in output

    def test_retry_gives_a_parked_job_its_tries_again(
        self, app: Flask, parked: str, log: Log, work: Callable[[], None]
    ) -> None:
        assert self.run(app, "retry", parked) == (0, f"queued {parked}\n")
        assert states(app) == [("demo.once", "queued")]
        status, output = self.run(app, "retry", parked)
        assert status == 1
        assert "is not parked" in output
        work()
        assert log.calls == [{"session_key": 7}] * 2
        assert states(app) == []

    def test_drop_removes_one_or_all_parked(self, app: Flask, parked: str) -> None:
        with app.app_context():
            enqueue("demo.note", n=1)
        assert self.run(app, "drop", parked) == (0, "dropped 1\n")
        assert self.run(app, "drop", "--all") == (0, "dropped 0\n")
        assert states(app) == [("demo.note", "queued")]

    def test_what_is_not_there_is_said(self, app: Flask, make_app: MakeApp, tmp_path: Path) -> None:
        assert self.run(app, "show", "nobody")[0] == 1
        assert self.run(app, "retry")[0] == 2
        assert self.run(app, "drop", "x", "--all")[0] == 2
        disabled = tuple(BUILTIN_PLUGINS)
        without = make_app(SUBTEXT_PLUGINS_DISABLED=disabled)
        assert "REDIS_URL is not set" in self.run(without, "list")[1]
        away = make_app(REDIS_URL=f"unix://{tmp_path}/no.sock", SUBTEXT_PLUGINS_DISABLED=disabled)
        assert "Redis is away" in self.run(away, "list")[1]

    def test_the_outbox_can_be_looked_at(self, app: Flask) -> None:
        assert self.run(app, "outbox") == (0, "0 in the outbox\n")
        assert self.run(app, "retry-outbox") == (0, "due again: 0\n")
