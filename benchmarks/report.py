"""The figures as tables, and in the page that shows them: a section for each part that is measured."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import traffic
from benchmarks.moods import EVENTS_PER_POST, SHORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.apis import Apis
    from benchmarks.costs import Cost
    from benchmarks.growth import Growth
    from benchmarks.moods import Moods
    from benchmarks.streams import Streams

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN = "<!-- figures of {part}, written by python -m benchmarks -->"
END = "<!-- end of figures of {part} -->"

#: Times the CPU of reading the body alone that a stored batch may cost.
MOST_OF_PARSING = 3.0
#: Times the events of the straightforward handler that one core must take.
LEAST_OF_NAIVE = 5.0
#: Times that a request may cost with the most rows stored of what it costs with the fewest.
MOST_GROWTH = 1.3
#: Times that a mood request in a long session may take of one in a short session.
MOST_OF_SHORT = 1.2
#: CPU seconds that a second of video may cost, without and with speech recognition.
MOST_CPU, MOST_CPU_WITH_RECOGNITION = 0.13, 0.20
#: Seconds from the arrival of a stream's first segment until something is said of it.
MOST_LATENCY = 1.0
#: Live streams that two cores must carry.
LEAST_STREAMS = 8
#: Times that a request may take while sockets wait; what counts as unharmed, with room for noise at a millisecond.
MOST_OF_ALONE = 2.0

#: What is said of each kind of request besides how many items it has.
API_COLUMNS = (
    "requests/s per core",
    "items/s per core",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "CPU µs: web",
    "worker",
    "database, Valkey",
)


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


def api_aims(apis: Apis) -> list[Aim]:
    """Return what a batch of events costs against the two other handlers, in CPU of the web processes."""
    parse, taken, naive = (
        apis.costs[kind.name].cpu["web"] for kind in (traffic.PARSE, traffic.EVENTS, traffic.NAIVE)
    )
    of = f"{apis.storage}: "
    return [
        Aim(f"{of}CPU of a stored batch / of parsing it", taken / parse, MOST_OF_PARSING, True),
        Aim(f"{of}events per core / of the naive handler", naive / taken, LEAST_OF_NAIVE, False),
    ]


def growth_aims(growth: Growth) -> list[Aim]:
    """Return what each request costs at the largest size against the smallest, all processes together."""
    size = f"{growth.rows[-1]:,} / {growth.rows[0]:,} rows"
    return [
        Aim(f"{growth.storage}: {kind}, {size}", growth.ratio(kind, _total)[1], MOST_GROWTH, True)
        for kind in growth.turns
    ]


def mood_aims(moods: Moods) -> list[Aim]:
    """Return what a long session costs against a short one."""
    return [
        Aim("mood POST, long / short session", moods.ratio("POST"), MOST_OF_SHORT, True),
        Aim("mood GET, long / short session", moods.ratio("GET"), MOST_OF_SHORT, True),
    ]


def stream_aims(streams: Streams) -> list[Aim]:
    """Return what live video costs; how much longer requests take is of the median."""
    ratio = streams.asked_while.median / streams.asked_before.median
    aims = [
        Aim("CPU seconds a second of video", streams.cpu, MOST_CPU, True),
        Aim("first finding, seconds", streams.latency.median, MOST_LATENCY, True),
        Aim(f"live streams, {streams.workers} cores", streams.carried, LEAST_STREAMS, False),
        Aim(f"request, while {streams.sockets} sockets wait / before", ratio, MOST_OF_ALONE, True),
    ]
    if streams.cpu_with_recognition is not None:
        aims.insert(
            1,
            Aim(
                "the same with speech recognition",
                streams.cpu_with_recognition,
                MOST_CPU_WITH_RECOGNITION,
                True,
            ),
        )
    return aims


def render(tables: Sequence[str], aims: Sequence[Aim], *, command: str, date: str) -> str:
    """Return the figures of a part as Markdown."""
    lines = [
        f"Measured {date} on {machine()}, with `{command}`.",
        "",
        *tables,
        "",
        "| | measured | aim | |",
        "|---|---:|---:|---|",
        *(aim.row() for aim in aims),
    ]
    return "\n".join(lines) + "\n"


def api_table(apis: Apis) -> list[str]:
    """Return what a request of each kind costs."""
    items = {kind.name: kind.items for kind in traffic.KINDS}
    lines = [
        f"| {apis.storage}, {apis.rows:,} rows stored | items | {' | '.join(API_COLUMNS)} |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, cost in apis.costs.items():
        rate = 1 / cost.cpu["web"]
        times = " | ".join(f"{1e3 * cost.percentile(percent):.1f}" for percent in (50, 95, 99))
        besides = cost.cpu.get("database", 0.0) + cost.cpu["valkey"]
        cpu = " | ".join(
            f"{1e6 * part:,.0f}" for part in (cost.cpu["web"], cost.cpu["worker"], besides)
        )
        many = items[name]
        lines.append(f"| {name} | {many} | {rate:,.0f} | {many * rate:,.0f} | {times} | {cpu} |")
    megabytes = f"{apis.web_bytes / 1e6:.0f} MB"
    return [*lines, "", f"Memory of a web process after that, on {apis.storage}: {megabytes}."]


def growth_table(growth: Growth) -> list[str]:
    """Return what a request of each kind costs at each size, and how much more at the largest."""
    sizes = " | ".join(f"{rows:,} rows" for rows in growth.rows)
    lines = [
        f"| {growth.storage}: CPU µs, median ms | {sizes} | CPU, last / first | ms, last / first |",
        "|---|" + "---:|" * (len(growth.rows) + 2),
    ]
    for kind in growth.turns:
        costs = growth.costs(kind)
        cells = [f"{1e6 * cost.total:,.0f}, {1e3 * _middle(cost):.2f}" for cost in costs]
        for low, middle, high in (growth.ratio(kind, _total), growth.ratio(kind, _middle)):
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


def one_after_another(tables: Iterable[list[str]]) -> list[str]:
    """Return several tables as one, an empty line between them."""
    found: list[str] = []
    for table in tables:
        found += ["", *table] if found else table
    return found


def _total(cost: Cost) -> float:
    return cost.total


def _middle(cost: Cost) -> float:
    return cost.percentile(50)


def mood_table(moods: Moods) -> list[str]:
    """Return what mood requests take."""
    return [
        f"| mood request | {SHORT} events, ms | {moods.long:,} events, ms |",
        "|---|---:|---:|",
        *(
            f"| {label} | {1e3 * moods.seconds[what, SHORT]:.2f}"
            f" | {1e3 * moods.seconds[what, moods.long]:.2f} |"
            for what, label in (("POST", f"POST of {EVENTS_PER_POST} events"), ("GET", "GET"))
        ),
    ]


def stream_table(streams: Streams) -> list[str]:
    """Return what live video takes."""
    shown = (
        "a real face" if streams.has_face else "no face: requirements-media.txt is not installed"
    )
    recognition = streams.cpu_with_recognition
    before, during = streams.asked_before, streams.asked_while
    rows = {
        "CPU seconds of the analysis, a second of video": f"{streams.cpu:.3f}",
        "the same with speech recognition": "not installed"
        if recognition is None
        else f"{recognition:.3f}",
        "first finding after the first 3 s segment, median": f"{streams.latency.median:.2f} s",
        "the same, 95th percentile": f"{streams.latency.slow:.2f} s",
        "POST /v1/upload/analyze with 3 s, median and 95th percentile": (
            f"{_milliseconds(streams.upload)} ms"
        ),
        "CPU of the web processes for it": f"{1e3 * streams.upload_cpu:.1f} ms",
        f"live streams that {streams.workers} workers carry": f"{streams.carried}",
        "memory of a worker with its child": f"{streams.worker_bytes / 1e6:.0f} MB",
        "memory of a socket that waits": f"{streams.socket_bytes / 1e3:.0f} kB",
        "a request, median and 95th percentile": f"{_milliseconds(before)} ms",
        f"the same while {streams.sockets} sockets wait": f"{_milliseconds(during)} ms",
    }
    return [
        f"| 640 x 480, 30 a second, {shown} | |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]


def _milliseconds(spread: tuple[float, float]) -> str:
    return f"{1e3 * spread[0]:.2f}, {1e3 * spread[1]:.2f}"


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


def replace_figures(page: str, part: str, figures: str) -> str:
    """Return the page with other figures of a part between its two marks; ValueError when it has none."""
    begin, end = BEGIN.format(part=part), END.format(part=part)
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no marks for figures of {part}")
    return f"{before}{begin}\n{figures}{end}{after}"
