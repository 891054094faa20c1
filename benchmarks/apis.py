"""What a request of each API costs, and beside it two handlers to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import traffic
from benchmarks.costs import Cost, measure, typical
from benchmarks.installation import installed
from benchmarks.processes import resident_bytes
from benchmarks.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.installation import Installation

#: Requests that are under way at the same time.
CONNECTIONS = 4
#: Requests of each kind before anything is measured.
WARM_UP = 40


@dataclass(frozen=True)
class Apis:
    """Hold what each kind costs on one kind of database, and the bytes of its largest web process afterwards."""

    storage: str
    rows: int
    costs: Mapping[str, Cost]
    web_bytes: int


def measure_apis(  # noqa: PLR0913 - what is measured is this much
    directory: Path,
    storages: Sequence[str],
    *,
    rows: int,
    rounds: int,
    requests: int,
    report: Callable[[str], object],
) -> Iterator[Apis]:
    """Let all kinds take turns on each kind of database."""
    for storage in storages:
        report(f"{storage}: storing {rows:,} rows")
        with installed(directory / storage, storage, rows=rows) as house:
            turns = _take_turns(house, rounds, requests, report)
            costs = {name: typical(its) for name, its in turns.items()}
            memory = max(map(resident_bytes, house.server.workers()))
        yield Apis(storage, house.server.rows, costs, memory)


def _take_turns(
    house: Installation, rounds: int, requests: int, report: Callable[[str], object]
) -> dict[str, list[Cost]]:
    clients = {kind: Traffic(house.server, seed) for seed, kind in enumerate(traffic.KINDS)}
    for kind, client in clients.items():
        measure(house, client.make(kind, min(requests, WARM_UP)), CONNECTIONS)
    turns: dict[str, list[Cost]] = {kind.name: [] for kind in traffic.KINDS}
    for number in range(rounds):
        for kind, client in clients.items():
            cost = measure(house, client.make(kind, requests), CONNECTIONS)
            turns[kind.name].append(cost)
        parse, events, naive, *_ = (1e6 * its[-1].cpu["web"] for its in turns.values())
        report(
            f"{house.storage}, round {number + 1} of {rounds}, CPU µs a request of 100 events:"
            f" {parse:.0f} to parse, {events:.0f} to take, {naive:.0f} naively"
        )
    return turns
