"""How the cost of a request grows with what is stored: a server for each size, all running, asked in turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import traffic
from benchmarks.costs import Cost, measure, typical
from benchmarks.installation import installed
from benchmarks.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


KINDS = (
    traffic.EVENTS,
    traffic.POST_MOOD,
    traffic.READ_MOOD,
    traffic.MOOD_ANALYTICS,
    traffic.CLICK,
    traffic.READ_SEARCH,
    traffic.SEARCH_METRICS,
    traffic.TIMELINE,
)
#: Requests of each kind before anything is measured: enough that each account was seen by the one web process.
WARM_UP = 200


@dataclass(frozen=True)
class Growth:
    """Hold what each kind costs, by its name, turn by turn, for each number of rows stored."""

    storage: str
    rows: Sequence[int]
    turns: Mapping[str, Sequence[Sequence[Cost]]]

    def costs(self, kind: str) -> list[Cost]:
        """Return what a kind costs at each size."""
        return [typical(turns) for turns in self.turns[kind]]

    def ratio(self, kind: str, of: Callable[[Cost], float]) -> tuple[float, float, float]:
        """Return how many times more it is at the largest size: the smallest, middle and largest of the turns."""
        smallest, *_, largest = self.turns[kind]
        ratios = [of(after) / of(before) for before, after in zip(smallest, largest, strict=True)]
        return min(ratios), median(ratios), max(ratios)


def measure_growth(  # noqa: PLR0913 - what is measured is this much
    directory: Path,
    storage: str,
    sizes: Sequence[int],
    *,
    rounds: int,
    requests: int,
    report: Callable[[str], object],
) -> Growth:
    """Run a server with one web process for each size at the same time, and send each the same requests in turns."""
    with ExitStack() as stack:
        houses = []
        for size in sizes:
            report(f"{storage}: storing {size:,} rows")
            place = directory / f"{storage}-{size}"
            houses.append(stack.enter_context(installed(place, storage, rows=size, processes=1)))
        clients = [
            {kind: Traffic(house.server, n) for n, kind in enumerate(KINDS)} for house in houses
        ]
        for house, client in zip(houses, clients, strict=True):
            for kind in KINDS:
                measure(house, client[kind].make(kind, min(requests, WARM_UP)), 1)
        turns: dict[str, list[list[Cost]]] = {kind.name: [[] for _ in houses] for kind in KINDS}
        for number in range(rounds):
            for kind in KINDS:
                for house, client, its in zip(houses, clients, turns[kind.name], strict=True):
                    its.append(measure(house, client[kind].make(kind, requests), 1))
            report(f"{storage}: round {number + 1} of {rounds}")
        return Growth(storage, [house.server.rows for house in houses], turns)
