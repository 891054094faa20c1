"""Redis or the database is away, hangs, is full, read-only or locked: what is answered meanwhile, and afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import peewee
import pytest

from core import Evidence, fetch_all, hookimpl, record_evidence, touch_session, transaction
from core.database import STUCK_SECONDS, STUCK_WRITERS
from core.runtime import EXTENSION
from core.testing import bearer, drain
from examples.demo import replay
from tests.resilience.installation import Installation, Postgres, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import psutil  # type: ignore[import-untyped]
    from flask import Flask

    from core.testing import MakeApp, MakeCaller

#: Seconds that an outage lasts in the long form.
LONG = float(os.environ.get("SOAK_OUTAGE_SECONDS", "30"))
LONG_REDIS = float(os.environ.get("SOAK_REDIS_OUTAGE_SECONDS", "180"))
#: Seconds after which everything must be as before.
RECOVERY_SECONDS = 10.0
#: Seconds that a request waits for a lock or a connection here; 5 by default.
TIMEOUT = 2.0
#: What the longest wait for a database is made of: a lock and then the database, and a server that is slow itself.
LONGEST_ANSWER = 2 * TIMEOUT + 20.0
#: 2026-03-16T10:14:00Z.
START = 1_773_656_040
INGESTION, MOOD, SEARCH = "outage-ingestion", "outage-mood", "outage-search"
#: The fields of an error answer of each API.
SHAPES = {
    INGESTION: {"success", "data", "error", "metadata"},
    MOOD: {"error", "message", "request_id"},
    SEARCH: {"detail"},
    "read": {"error", "message", "request_id"},
    "timeline": {"error", "request_id"},
}


class Reply(NamedTuple):
    """An answer, and the seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float


@dataclass
class Visitors:
    """Send numbered items to each API, read, and hold what is answered against what may be answered."""

    installation: Installation
    acknowledged: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self._token = self.installation.token()
        self._numbers = itertools.count()
        self._pool = ThreadPoolExecutor(len(SHAPES))
        search = {
            "session_id": SEARCH,
            "search_query": "tea",
            "search_results": [{"object_id": "r1", "rank": 1}],
            "user_id": "u",
            "created_at": START,
        }
        assert self._ask("POST", "/session", search, self.installation.by_key).status == 200
        assert self._send(MOOD, next(self._numbers)) == 200

    def visit(self) -> None:
        """Send one item to each API and read, all at the same time."""
        number = next(self._numbers)
        sent = [self._pool.submit(self._send, api, number) for api in (INGESTION, MOOD, SEARCH)]
        read = [
            self._pool.submit(self._read, "read", f"/v1/sessions/{MOOD}/mood"),
            self._pool.submit(self._read, "timeline", f"/v1/sessions/{MOOD}/timeline"),
        ]
        for done in sent:
            done.result()
        for done_reading in read:
            done_reading.result()

    def visit_until(self, enough: Callable[[], bool], seconds: float) -> None:
        """Visit again and again until something has been seen."""

        def look() -> bool:
            self.visit()
            return enough()

        assert eventually(look, seconds), (self.answers, self.complaints)

    def resend(self) -> None:
        """Send what was refused until it is acknowledged."""
        for api, numbers in self.refused.items():
            for number in sorted(numbers):
                assert eventually(lambda a=api, n=number: self._send(a, n) == 200)  # type: ignore[misc]
        self.refused.clear()

    def has(self, api: str, status: int) -> bool:
        """Say whether an API answered with a status since the counts were cleared."""
        return self.answers[api, status] > 0

    def _send(self, api: str, number: int) -> int:
        by_token = api == INGESTION
        path, body = _item(api, number)
        reply = self._ask("POST", path, body, self._token if by_token else self.installation.by_key)
        self._judge(api, reply)
        if reply.status == 200:
            self.acknowledged[api].add(number)
        else:
            self.refused[api].add(number)
        return reply.status

    def _read(self, name: str, path: str) -> None:
        self._judge(name, self._ask("GET", path, None, self.installation.by_key))

    def _judge(self, api: str, reply: Reply) -> None:
        self.answers[api, reply.status] += 1
        self.slowest = max(self.slowest, reply.seconds)
        right = reply.status == 200
        if reply.status == 503:
            right = reply.body.keys() == SHAPES[api] and int(reply.headers["Retry-After"]) >= 1
        if not right:
            self.complaints.append(f"{api}: {reply.status} {reply.body}")

    def _ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        url = self.installation.url + path
        request = urllib.request.Request(url, data, dict(headers), method=method)
        request.add_header("Content-Type", "application/json")
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = (answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                found = (error.code, error.headers, error.read())
        return Reply(found[0], found[1], json.loads(found[2]), time.monotonic() - started)

    def check_what_is_there(self) -> None:
        """Assert that every acknowledged item is there once and nothing else is, and that moods heard of them all."""
        assert self.complaints == []
        for api in (INGESTION, MOOD):
            assert Counter(self._stored(api)) == Counter(self.acknowledged[api])
            mood = self._get(f"/v1/sessions/{api}/mood")
            assert mood["event_count"] == len(self.acknowledged[api])
        searches = self._get(f"/session?session_id={SEARCH}")
        ids = [int(event["event_id"]) for event in searches["events"]]
        assert Counter(ids) == Counter(self.acknowledged[SEARCH])

    def _stored(self, api: str) -> Iterator[int]:
        after: int | None = 0
        while after is not None:
            page = self._get(f"/v1/sessions/{api}/timeline?after={after}&limit=500")
            yield from (entry["data"]["x"] for entry in page["entries"] if "x" in entry["data"])
            after = page["next_after"]

    def _get(self, path: str) -> Any:
        reply = self._ask("GET", path, None, self.installation.by_key)
        assert reply.status == 200, reply
        return reply.body


def _item(api: str, number: int) -> tuple[str, dict[str, Any]]:
    if api == INGESTION:
        at = f"2026-03-16T10:{number // 60 % 60:02}:{number % 60:02}Z"
        event = {"eventType": "click", "targetSelector": "#a", "timestamp": at, "x": number, "y": 1}
        return "/api/data/events", {"sessionId": api, "batch": [event]}
    if api == MOOD:
        events = [{"type": "click", "id": f"e{number}", "ts": START + number, "x": number, "y": 1}]
        return f"/v1/sessions/{api}/events", {"events": events}
    click = {"event_id": str(number), "object_id": "r1", "created_at": START + number}
    return "/session/events", {"session_id": api, "events": [click]}


# Faults: each is a context manager that takes an installation.


@contextlib.contextmanager
def down(installation: Installation, name: str) -> Iterator[None]:
    """Kill a part and start it again at the end."""
    installation.down(name)
    try:
        yield
    finally:
        installation.up(name)


@contextlib.contextmanager
def read_only_postgres(installation: Installation) -> Iterator[None]:
    """Have PostgreSQL refuse every write, as a standby does."""
    import psycopg

    def order(*statements: str) -> None:
        options = "-c default_transaction_read_only=off"
        with psycopg.connect(_url(installation), autocommit=True, options=options) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    order("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        order("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def locked_postgres(installation: Installation) -> Iterator[None]:
    """Hold a lock that no writer gets past, and every reader does."""
    import psycopg

    with psycopg.connect(_url(installation)) as connection:
        connection.execute("LOCK TABLE core_session IN EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def locked_sqlite(installation: Installation) -> Iterator[None]:
    """Hold SQLite's own lock, as a backup or a shell does that knows nothing of ours."""
    with contextlib.closing(sqlite3.connect(_file(installation), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def locked_file(installation: Installation) -> Iterator[None]:
    """Hold the lock that writers of all processes take turns at."""
    with Path(f"{_file(installation)}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def full_disk(directory: Path) -> Iterator[None]:
    """Fill the file system of a directory to the last byte."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only_disk(installation: Installation, directory: Path) -> Iterator[None]:
    """Mount the file system of a directory such that nothing can be written, and start everything on it."""
    for name in ("web", "worker"):
        installation.down(name)
    assert eventually(lambda: _mount("-o", "remount,ro", str(directory)), 10), "it is in use"
    try:
        for name in ("web", "worker"):
            installation.up(name)
        installation.await_health("down")
        yield
    finally:
        assert _mount("-o", "remount,rw", str(directory))


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return the directory of a small file system of its own, where mounting is permitted."""
    with tempfile.TemporaryDirectory(prefix="subtext-disk-") as name:
        if not _mount("-t", "tmpfs", "-o", "size=320m,mode=1777", "tmpfs", name):
            pytest.skip("file systems cannot be mounted here")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _mount(*arguments: str) -> bool:
    try:
        return (
            subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
        )
    except OSError:  # there is no such command
        return False


def _url(installation: Installation) -> str:
    assert installation.postgres is not None
    return installation.postgres.url


def _file(installation: Installation) -> Path:
    return Path(installation.environment["DATABASE_URL"].removeprefix("sqlite:///"))


def install(directory: Path, storage: str, **settings: str) -> Installation:
    """Return an installation that gives up early, counts requests, and analyses no video."""
    installation = Installation(
        directory,
        storage=storage,
        SUBTEXT_DATABASE_TIMEOUT=str(TIMEOUT),
        SUBTEXT_RATE_LIMITS="1",
        **{"WEB_CONCURRENCY": "1", **settings},
    )
    worker = installation.parts["worker"]
    assert not isinstance(worker, Postgres)
    worker.command = ["python", "-m", "workers", "default"]
    return installation


def outlast(
    visitors: Visitors,
    fault: contextlib.AbstractContextManager[None],
    *,
    seconds: float,
    health: str | None,
    writes: bool = False,
    reads: bool = False,
) -> None:
    """Go through a fault, and assert what is answered in it and that everything is caught up with after it.

    `writes` and `reads` say which requests the fault leaves alone, `health` what `/health` has to say of it; None
    for what it cannot be sure of.
    """
    installation = visitors.installation
    visitors.visit()
    settled_threads = _threads(installation)
    with fault:
        visitors.answers.clear()
        visitors.slowest = 0.0
        if not writes:
            wanted = [INGESTION, MOOD, SEARCH] if reads else list(SHAPES)
            visitors.visit_until(lambda: all(visitors.has(api, 503) for api in wanted), 60)
            visitors.answers.clear()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not visitors.answers:
            visitors.visit()
            time.sleep(0.1)
        assert _status(f"{installation.url}/livez") == 200
        if health is not None:
            assert installation.health()["status"] == health
            assert _status(f"{installation.url}/health") == (503 if health == "down" else 200)
        assert visitors.slowest < LONGEST_ANSWER
        answered = set(visitors.answers)
        assert {status for api, status in answered if api in {"read", "timeline"}} <= (
            {200} if reads else {200, 503}
        )
        if writes:  # but for one that a slow machine has kept waiting
            refused = sum(visitors.answers[api, 503] for api in SHAPES)
            assert refused <= visitors.answers.total() / 20, visitors.answers
    over = time.monotonic()
    visitors.answers.clear()
    visitors.visit_until(lambda: all(visitors.has(api, 200) for api in SHAPES), 60)
    took = time.monotonic() - over
    installation.await_health()
    visitors.resend()
    replay.settle(installation.url)
    visitors.check_what_is_there()
    # Nothing has piled up: the threads that waited are idle, or were those there are for so many requests at once.
    assert _threads(installation) <= settled_threads + 4 * len(SHAPES)
    if seconds >= LONG:
        assert took < RECOVERY_SECONDS


def _threads(installation: Installation) -> int:
    return sum(each.num_threads() for name, each in installation.victims() if name == "web")


def _workers(installation: Installation) -> set[psutil.Process]:
    return {each for name, each in installation.victims() if name == "worker"}


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def go_through_postgresql(directory: Path, *, seconds: float, redis_seconds: float) -> None:
    with install(directory, "postgresql") as installation:
        visitors = Visitors(installation)
        workers = _workers(installation)
        outlast(visitors, down(installation, "postgres"), seconds=seconds, health="down")
        outlast(visitors, installation.paused("postgres"), seconds=seconds, health="down")
        if seconds >= LONG:
            fault = read_only_postgres(installation)
            outlast(visitors, fault, seconds=seconds, health="down", reads=True)
            fault = locked_postgres(installation)
            outlast(visitors, fault, seconds=seconds, health="ok", reads=True)
        assert _workers(installation) == workers, "no worker ended"
        outlast_redis(visitors, redis_seconds)


def outlast_redis(visitors: Visitors, seconds: float) -> None:
    installation = visitors.installation
    for fault in (down(installation, "valkey"), installation.paused("valkey")):
        outlast(visitors, fault, seconds=seconds, health="degraded", writes=True)
    # One that was at a job ends, and is replaced; the rest wait.
    assert visitors.installation.parts["worker"].starts == 1


def test_postgresql_and_redis_may_be_away_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    go_through_postgresql(tmp_path, seconds=0.5, redis_seconds=1.5)


@pytest.mark.soak
def test_postgresql_and_redis_may_be_away_for_long(tmp_path: Path) -> None:
    go_through_postgresql(tmp_path, seconds=LONG, redis_seconds=LONG_REDIS)


@pytest.mark.soak
def test_sqlite_may_be_locked_and_redis_away_for_long(tmp_path: Path) -> None:
    with install(tmp_path, "sqlite") as installation:
        visitors = Visitors(installation)
        workers = _workers(installation)
        for fault in (locked_sqlite(installation), locked_file(installation)):
            outlast(visitors, fault, seconds=LONG, health="down", reads=True)
        assert _workers(installation) == workers, "no worker ended"
        outlast_redis(visitors, LONG_REDIS / 3)


@pytest.mark.soak
def test_the_disk_of_sqlite_may_be_full_or_read_only(tmp_path: Path, disk: Path) -> None:
    url = f"sqlite:///{disk}/subtext.db"
    with install(tmp_path, "sqlite", DATABASE_URL=url) as installation:
        visitors = Visitors(installation)
        outlast(visitors, full_disk(disk), seconds=LONG, health="down", reads=True)
        fault = read_only_disk(installation, disk)
        outlast(visitors, fault, seconds=LONG, health="down", reads=True)


@pytest.mark.soak
def test_the_disk_of_postgresql_may_be_full(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with install(tmp_path, "postgresql") as installation:
        # What finds room in a page that is there already is still written, the mark of /health for one.
        outlast(Visitors(installation), full_disk(disk), seconds=LONG, health=None, reads=True)


# The same faults within one process, where their very moment can be chosen.


def fill_up(app: Flask) -> None:
    """Let the database of an app not grow by a single page, as on a full disk."""
    with app.app_context():
        ((pages,),) = fetch_all("PRAGMA page_count")
        fetch_all(f"PRAGMA max_page_count = {pages}")


def make_room(app: Flask) -> None:
    with app.app_context():
        fetch_all("PRAGMA max_page_count = 1000000")


def batch(number: int, items: int) -> dict[str, Any]:
    click = {"eventType": "click", "targetSelector": "#a" * 100, "timestamp": START * 1000}
    at = "2026-03-16T10:14:00Z"
    clicks = [{**click, "timestamp": at, "x": number, "y": item} for item in range(items)]
    return {"sessionId": "full", "batch": clicks}


def test_a_full_sqlite_answers_503_keeps_nothing_of_the_request_and_goes_on_when_there_is_room(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app()
    client, headers = app.test_client(), bearer(app, make_caller(app).tenant)
    fill_up(app)

    refused = client.post("/api/data/events", json=batch(1, 200), headers=headers)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json is not None
    assert refused.json.keys() == SHAPES[INGESTION]

    make_room(app)
    with app.app_context():
        assert fetch_all("SELECT COUNT(*) FROM ingestion_event") == [(0,)]
    taken = client.post("/api/data/events", json=batch(1, 200), headers=headers)
    assert taken.status_code == 200
    with app.app_context():
        assert fetch_all("SELECT COUNT(*) FROM ingestion_event") == [(200,)]


class Hoarder:
    """Write much of what it is told, and fail when there is no room."""

    @hookimpl
    def evidence_recorded(self, evidence: list[Evidence]) -> None:
        for number in range(2_000):
            fetch_all(
                "INSERT INTO core_heartbeat (name, at) VALUES (?, 1) RETURNING at",
                (f"{number}{'-' * 200}",),
            )


def test_a_disk_that_is_full_while_evidence_is_told_loses_it_for_no_plugin(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(plugins={"hoarder": Hoarder()})
    caller = make_caller(app)
    with app.app_context(), transaction():
        session = touch_session(caller.account_id, "full")
        record_evidence(session, "hoarder", [Evidence(START, "interaction", "click", 0.5, "e:1")])
    fill_up(app)
    with pytest.raises(peewee.OperationalError, match="full"):
        drain(app)
    with app.app_context():
        assert fetch_all("SELECT pending, attempts FROM core_outbox") == [(None, 0)]

    make_room(app)
    assert drain(app) == 1
    mood = app.test_client().get("/v1/sessions/full/mood", headers=caller.headers)
    assert mood.status_code == 200


def test_when_a_writer_is_stuck_few_wait_for_it_and_readers_are_answered(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(SUBTEXT_DATABASE_TIMEOUT=20.0, SUBTEXT_DATABASE_POOL=STUCK_WRITERS + 3)
    headers = bearer(app, make_caller(app).tenant)
    write_lock = app.extensions[EXTENSION].database.write_lock

    def write(number: int) -> int:
        client = app.test_client()
        return client.post("/api/data/events", json=batch(number, 1), headers=headers).status_code

    with ThreadPoolExecutor(3 * STUCK_WRITERS) as pool:
        with write_lock.held():
            time.sleep(STUCK_SECONDS * 1.1)
            writers = [pool.submit(write, number) for number in range(3 * STUCK_WRITERS)]
            refused = 2 * STUCK_WRITERS + 1  # the one who has the lock counts as well
            assert eventually(lambda: sum(each.done() for each in writers) == refused, 15)
            assert app.test_client().get("/livez").status_code == 200
            with app.app_context():
                assert fetch_all("SELECT COUNT(*) FROM ingestion_event") == [(0,)]
        statuses = Counter(each.result() for each in writers)
    assert statuses == {200: STUCK_WRITERS - 1, 503: refused}
