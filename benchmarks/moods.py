"""What a mood request takes in a short session and in a long one."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Server

SHORT = 10
#: Events of one POST while a session is filled: the most that the API takes.
EVENTS_PER_FILL = 1_000
#: Events of one POST that is measured.
EVENTS_PER_POST = 3
#: What visitors do, over and over; every event a second after the one before.
KINDS: tuple[dict[str, Any], ...] = (
    {"type": "page_view", "url": "/a"},
    {"type": "scroll", "speed": 400, "direction": "down"},
    {"type": "click", "x": 10, "y": 20},
    {"type": "hover", "duration_ms": 900},
    {"type": "focus"},
    {"type": "input_pause", "duration_ms": 1200},
    {"type": "error", "message": "Card declined"},
    {"type": "idle", "duration_ms": 5000},
)


@dataclass(frozen=True)
class Moods:
    """Hold the seconds of one request, median, by what was asked and how many events the session had."""

    seconds: dict[tuple[str, int], float]
    long: int

    def ratio(self, what: str) -> float:
        """Return how much longer a request takes in the long session."""
        return self.seconds[what, self.long] / self.seconds[what, SHORT]


class _Client:
    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.headers = {"X-Api-Key": server.key, "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> float:
        """Return the seconds that one request takes; RuntimeError unless it is answered with 200."""
        started = time.perf_counter()
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        seconds = time.perf_counter() - started
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return seconds


def _events(first: int, count: int, start: float) -> bytes:
    events = [
        {**KINDS[number % len(KINDS)], "ts": start + number}
        for number in range(first, first + count)
    ]
    return orjson.dumps({"events": events})


def measure(server: Server, *, samples: int, long: int, report: Callable[[str], object]) -> Moods:
    """Ask a session of `long` events and `samples` fresh ones of 10 in turns, one request at a time."""
    client = _Client(server)
    start = time.time() - long - samples * EVENTS_PER_POST
    report(f"filling a session with {long:,} events")
    for first in range(0, long, EVENTS_PER_FILL):
        count = min(EVENTS_PER_FILL, long - first)
        client.ask("POST", "/v1/sessions/long/events", _events(first, count, start))
    for number in range(samples):
        client.ask("POST", f"/v1/sessions/short-{number}/events", _events(0, SHORT, start))
    report(f"asking {samples} times")
    seconds: dict[tuple[str, int], list[float]] = {
        (what, size): [] for what in ("POST", "GET") for size in (SHORT, long)
    }
    for number in range(samples):
        short, late = f"/v1/sessions/short-{number}", long + number * EVENTS_PER_POST
        for path, size, first in ((short, SHORT, SHORT), ("/v1/sessions/long", long, late)):
            body = _events(first, EVENTS_PER_POST, start)
            seconds["POST", size].append(client.ask("POST", f"{path}/events", body))
            seconds["GET", size].append(client.ask("GET", f"{path}/mood"))
    client.connection.close()
    return Moods({what: median(its) for what, its in seconds.items()}, long)
