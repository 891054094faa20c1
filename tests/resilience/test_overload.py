"""Ten times more requests than can be answered: what is answered, what it costs, and how it is afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.web import LONGEST_WAIT_SECONDS
from examples.demo.client import Client
from tests.resilience.installation import Installation, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.testing import MakeApp

SECONDS = float(os.environ.get("SOAK_OVERLOAD_SECONDS", "60"))
#: Connections that send request after request; a web process answers about eight at a time without anybody waiting.
CONNECTIONS = int(os.environ.get("SOAK_OVERLOAD_CONNECTIONS", "1500"))
WARM_CONNECTIONS = 120  # more than there are threads, so that all of them have been started
GROWTH_MIB = 100.0
#: Seconds until it is well again: what had got a thread when its client hung up is done first.
RECOVERY_SECONDS = 10.0
SESSIONS = 50
ITEMS = 10
REDIAL_SECONDS = 0.05


@dataclass
class Load:
    """What was answered, how long the slowest answer took, and the most memory that all processes had together."""

    statuses: Counter[int] = field(default_factory=Counter)
    #: Connections that were refused or cut off, by the name of the error.
    broken: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak_mib: float = 0.0


def memory(installation: Installation) -> float:
    """Return the memory of all processes together (MiB), what they share counted once."""
    total = 0
    for _, process in installation.victims():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


async def overload(
    installation: Installation, token: Mapping[str, str], connections: int, seconds: float
) -> Load:
    """Send batches over so many connections at once, each the next one as soon as it is answered, then hang up."""
    load = Load()
    head = "".join(f"{name}: {value}\r\n" for name, value in token.items())
    numbers = itertools.count()
    senders = [
        asyncio.create_task(_send(installation.port, head, numbers, load))
        for _ in range(connections)
    ]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await asyncio.sleep(min(1.0, seconds / 4))
        load.peak_mib = max(load.peak_mib, await asyncio.to_thread(memory, installation))
    for sender in senders:
        sender.cancel()
    for end in await asyncio.gather(*senders, return_exceptions=True):
        assert isinstance(end, asyncio.CancelledError), end
    return load


async def _send(port: int, head: str, numbers: Iterator[int], load: Load) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while await _request(reader, writer, head, next(numbers), load):
                    pass
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            load.broken[type(error).__name__] += 1
            await asyncio.sleep(REDIAL_SECONDS)


async def _request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    head: str,
    number: int,
    load: Load,
) -> bool:
    """Send one batch and count its answer; tell whether the connection stays open."""
    at = f"2026-03-16T10:{number // 60 % 60:02}:{number % 60:02}Z"
    click = {"eventType": "click", "targetSelector": "#a", "timestamp": at, "x": number}
    batch = [{**click, "y": item} for item in range(ITEMS)]
    body = json.dumps({"sessionId": f"load-{number % SESSIONS}", "batch": batch})
    started = time.monotonic()
    writer.write(
        f"POST /api/data/events HTTP/1.1\r\nHost: localhost\r\n{head}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    await reader.readexactly(int(headers["content-length"]))
    code = int(status.split()[1])
    load.statuses[code] += 1
    load.slowest = max(load.slowest, time.monotonic() - started)
    assert code == 200 or int(headers["retry-after"]) >= 1
    return headers.get("connection") != "close"


def check_overload(
    directory: Path, *, storage: str, connections: int, seconds: float, **settings: str
) -> Load:
    """Overload an installation, and assert what it answers, what it costs, and that it is well at once afterwards."""
    installation = Installation(directory, storage=storage, **settings)
    worker = installation.parts["worker"]
    assert not isinstance(worker, Postgres)
    worker.command = ["python", "-m", "workers", "default"]
    with installation:
        token = installation.token()  # now: the account's limit will soon be used up
        asyncio.run(overload(installation, token, WARM_CONNECTIONS, seconds / 4))
        before = memory(installation)
        load = asyncio.run(overload(installation, token, connections, seconds))
        over = time.monotonic()
        health = installation.health()["status"]
        with Client(installation.url, installation.by_key, tries=1) as client:
            answer = client.get("/v1/sessions/load-1/mood")
        recovery = time.monotonic() - over
        growth = load.peak_mib - before
        print(  # shown by -s, and when it fails: figures belong to the promise  # noqa: T201
            f"{storage} {settings}: {dict(load.statuses)}, broken {dict(load.broken)}, slowest {load.slowest:.1f} s,"
            f" memory {before:.0f} + {growth:.0f} MiB, well after {recovery:.2f} s"
        )
        assert load.statuses.keys() <= {200, 429, 503}
        assert load.statuses[200] > 0
        assert health == "ok"
        assert answer.status in {200, 429}
        assert growth < GROWTH_MIB
        if seconds >= SECONDS:
            assert recovery < RECOVERY_SECONDS
        assert "Traceback" not in installation.log("web")
    return load


def test_more_requests_than_can_be_answered_are_turned_away_and_cost_no_memory(
    tmp_path: Path,
) -> None:
    check_overload(tmp_path, storage="sqlite", connections=400, seconds=3, WEB_CONCURRENCY="1")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/data/events", {"success", "data", "error", "metadata"}),
        ("/v1/sessions/s/events", {"error", "message", "request_id"}),
        ("/session", {"detail"}),
    ],
)
def test_who_has_waited_too_long_for_a_thread_is_told_to_come_back(
    make_app: MakeApp, path: str, fields: set[str]
) -> None:
    client = make_app().test_client()
    late = {"subtext.waited": LONGEST_WAIT_SECONDS + 0.1}

    answer = client.post(path, json={}, environ_overrides=late)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json is not None
    assert answer.json.keys() == fields
    for address in ("/livez", "/health", "/readyz", "/metrics"):
        assert client.get(address, environ_overrides=late).status_code == 200


@pytest.mark.soak
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_a_minute_of_overload_is_survived(tmp_path: Path, storage: str) -> None:
    load = check_overload(tmp_path, storage=storage, connections=CONNECTIONS, seconds=SECONDS)
    assert load.statuses[503] > 0


@pytest.mark.soak
def test_a_minute_of_overload_by_one_account_is_limited(tmp_path: Path) -> None:
    load = check_overload(
        tmp_path,
        storage="sqlite",
        connections=CONNECTIONS,
        seconds=SECONDS,
        SUBTEXT_RATE_LIMITS="1",
        SUBTEXT_RATE_LIMIT="600/minute",
    )
    assert load.statuses[429] > load.statuses[200]
