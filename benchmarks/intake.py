"""What a batch of events costs the server, against the two other handlers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.load import Task, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Server

#: The handlers by name, in the order in which they take turns.
HANDLERS = {
    "parse only": "/v1/baseline/parse",
    "ingestion API": "/api/data/events",
    "marshmallow + insert_many": "/v1/baseline/naive",
}
EVENTS_PER_BATCH = 100
#: Batches that each handler gets before anything is measured.
WARM_UP = 40


@dataclass(frozen=True)
class Intake:
    """Hold the CPU seconds of one request, median of the rounds, by handler; and the bytes of a body."""

    seconds: dict[str, float]
    body_bytes: int

    def events_per_core(self, handler: str) -> float:
        """Return how many events one core takes in a second."""
        return EVENTS_PER_BATCH / self.seconds[handler]


def measure(
    server: Server, *, rounds: int, requests: int, report: Callable[[str], object]
) -> Intake:
    """Send `requests` batches to each handler in each round and count the web processes' CPU time."""
    seed = 0
    size = 0
    for path in HANDLERS.values():
        seed += 1
        size = send(Task(server.port, path, server.token, WARM_UP, EVENTS_PER_BATCH, seed))
    seconds: dict[str, list[float]] = {name: [] for name in HANDLERS}
    for number in range(rounds):
        for name, path in HANDLERS.items():
            seed += 1
            task = Task(server.port, path, server.token, requests, EVENTS_PER_BATCH, seed)
            before = server.cpu_seconds()
            size = send(task)
            seconds[name].append((server.cpu_seconds() - before) / requests)
        shown = ", ".join(f"{name} {1e6 * its[-1]:.0f}" for name, its in seconds.items())
        report(f"round {number + 1} of {rounds}, CPU µs a request: {shown}")
    return Intake({name: median(its) for name, its in seconds.items()}, size)
