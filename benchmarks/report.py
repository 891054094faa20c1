"""The figures as a table, and in the page that shows them."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.intake import EVENTS_PER_BATCH, HANDLERS
from benchmarks.moods import EVENTS_PER_POST, SHORT

if TYPE_CHECKING:
    from benchmarks.intake import Intake
    from benchmarks.moods import Moods

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures, written by python -m benchmarks -->", "<!-- end of figures -->"

#: Times the CPU of reading the body alone that a stored batch may cost.
MOST_OF_PARSING = 3.0
#: Times the events of the straightforward handler that one core must take.
LEAST_OF_NAIVE = 5.0
#: Times that a mood request in a long session may take of one in a short session.
MOST_OF_SHORT = 1.2


@dataclass(frozen=True)
class Aim:
    """Compare one measured ratio with what it should be."""

    what: str
    value: float
    bound: float
    is_upper: bool

    @property
    def is_met(self) -> bool:
        """Say whether the ratio is on the right side of the bound."""
        return self.value <= self.bound if self.is_upper else self.value >= self.bound

    def row(self) -> str:
        """Return the aim as a row of a table."""
        sign = "≤" if self.is_upper else "≥"
        verdict = "met" if self.is_met else "missed"
        return f"| {self.what} | {self.value:.2f} | {sign} {self.bound:g} | {verdict} |"


def aims(intake: Intake, moods: Moods) -> list[Aim]:
    """Return the ratios that matter with their bounds."""
    parse, api, naive = HANDLERS
    cpu = intake.seconds
    return [
        Aim("CPU of a stored batch / of parsing it", cpu[api] / cpu[parse], MOST_OF_PARSING, True),
        Aim("events per core / of the naive handler", cpu[naive] / cpu[api], LEAST_OF_NAIVE, False),
        Aim("mood POST, long / short session", moods.ratio("POST"), MOST_OF_SHORT, True),
        Aim("mood GET, long / short session", moods.ratio("GET"), MOST_OF_SHORT, True),
    ]


def render(intake: Intake, moods: Moods, *, command: str, date: str) -> str:
    """Return all figures as Markdown."""
    kilobytes = f"{intake.body_bytes / 1000:.1f}"
    lines = [
        f"Measured {date} on {machine()}, with `{command}`.",
        "",
        f"| {EVENTS_PER_BATCH} events, {kilobytes} kB | CPU µs a request | events a second per core |",
        "|---|---:|---:|",
        *(
            f"| {name} | {1e6 * intake.seconds[name]:,.0f} | {intake.events_per_core(name):,.0f} |"
            for name in HANDLERS
        ),
        "",
        f"| mood request | {SHORT} events, ms | {moods.long:,} events, ms |",
        "|---|---:|---:|",
        *(
            f"| {label} | {1e3 * moods.seconds[what, SHORT]:.2f}"
            f" | {1e3 * moods.seconds[what, moods.long]:.2f} |"
            for what, label in (("POST", f"POST of {EVENTS_PER_POST} events"), ("GET", "GET"))
        ),
        "",
        "| ratio | measured | aim | |",
        "|---|---:|---:|---|",
        *(aim.row() for aim in aims(intake, moods)),
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return what the figures depend on: processor, cores, versions."""
    cores = len(os.sched_getaffinity(0))
    version = ".".join(map(str, sys.version_info[:3]))
    return (
        f"{cores} cores ({_processor()}), {platform.system()}, Python {version},"
        f" SQLite {sqlite3.sqlite_version}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def replace_figures(page: str, figures: str) -> str:
    """Return the page with other figures between its two marks; ValueError when it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for figures")
    return f"{before}{BEGIN}\n{figures}{END}{after}"
