"""What some requests cost an installation."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.load import send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.installation import Installation
    from benchmarks.load import Request


@dataclass(frozen=True)
class Cost:
    """Hold what one request cost: CPU seconds by part of the installation, and the seconds that each was waited for."""

    cpu: Mapping[str, float]
    seconds: Sequence[float]

    @property
    def total(self) -> float:
        """Return the CPU seconds of all parts together."""
        return sum(self.cpu.values())

    def percentile(self, percent: int) -> float:
        """Return the seconds within which so many of a hundred requests were answered."""
        if len(self.seconds) == 1:
            return self.seconds[0]
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def measure(house: Installation, requests: Sequence[Request], connections: int) -> Cost:
    """Send requests and count what they cost, with the work that they leave to the workers."""
    before = house.look()
    seconds = send(house.server.port, requests, connections)
    web = house.spent(before)["web"]
    house.settle()  # for which the web processes are asked again and again
    spent = house.spent(before) | {"web": web}
    return Cost({part: used / len(requests) for part, used in spent.items()}, seconds)


def typical(turns: Sequence[Cost]) -> Cost:
    """Return the median of what several turns cost, with the times of all their requests."""
    cpu = {part: median(turn.cpu[part] for turn in turns) for part in turns[0].cpu}
    return Cost(cpu, [seconds for turn in turns for seconds in turn.seconds])
