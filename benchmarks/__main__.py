"""`python -m benchmarks`: measure, print, write `docs/performance.md`; exits with 1 when an aim is missed."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import apis, growth, moods, report, streams
from benchmarks.installation import POSTGRESQL, SQLITE, storages
from benchmarks.server import running
from plugins.stream.analysis.errors import ModelsMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.report import Aim

PARTS = ("apis", "growth", "mood", "streams")


@dataclass(frozen=True)
class Sizes:
    """Say how much of each thing is done."""

    rounds: int
    requests: int
    storage: tuple[str, ...]
    stored: int
    rows: tuple[int, ...]
    samples: int
    events: int
    segments: int
    streams: int
    sockets: int


def _numbers(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Read `10000,1000000`: two sizes or more, the smallest first."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter("write numbers, as in 10000,1000000") from None
    if len(sizes) < 2 or sorted(sizes) != list(sizes) or sizes[0] < 1:
        raise click.BadParameter("write two sizes or more, the smallest first")
    return sizes


@click.command()
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Measure this part alone.")
@click.option(
    "--storage",
    multiple=True,
    type=click.Choice((SQLITE, POSTGRESQL), case_sensitive=False),
    help="Measure APIs and growth on this kind of database alone.",
)
@click.option("--rounds", default=7, show_default=True, help="Turns of each kind of request.")
@click.option("--requests", default=300, show_default=True, help="Requests in a turn.")
@click.option(
    "--stored",
    default=100_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Rows before all APIs are asked.",
)
@click.option(
    "--rows",
    default="10000,1000000,10000000",
    show_default=True,
    callback=_numbers,
    help="Rows stored, over which costs grow.",
)
@click.option("--samples", default=300, show_default=True, help="Requests of each kind.")
@click.option("--events", default=100_000, show_default=True, help="Events of the long session.")
@click.option("--segments", default=5, show_default=True, help="Segments of a live stream, 3 s.")
@click.option("--streams", default=20, show_default=True, help="Live streams at a time, at most.")
@click.option("--sockets", default=500, show_default=True, help="Sockets that wait.")
@click.option("--write/--no-write", default=True, help="Whether docs/performance.md is rewritten.")
def main(*, only: tuple[str, ...], write: bool, **sizes: Any) -> None:
    """Measure what requests and streams cost a real server."""
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    is_met = True
    for part, table, aims in _measure(only or PARTS, Sizes(**sizes)):
        figures = report.render(table, aims, command=command, date=date)
        click.echo(figures)
        is_met = is_met and all(aim.is_met for aim in aims)
        if write:
            page = report.PAGE.read_text()
            report.PAGE.write_text(report.replace_figures(page, part, figures))
    if not is_met:
        raise click.exceptions.Exit(1)


def _measure(parts: tuple[str, ...], sizes: Sizes) -> Iterator[tuple[str, list[str], list[Aim]]]:
    """Yield each part with its table and its aims as soon as it was measured."""
    measures = {"apis": _apis, "growth": _growth, "mood": _moods, "streams": _streams}
    for part, measure in measures.items():
        if part in parts:
            with tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as directory:
                yield part, *measure(Path(directory), sizes)


def _apis(directory: Path, sizes: Sizes) -> tuple[list[str], list[Aim]]:
    found = list(
        apis.measure_apis(
            directory,
            sizes.storage or storages(),
            rows=sizes.stored,
            rounds=sizes.rounds,
            requests=sizes.requests,
            report=_tell,
        )
    )
    table = report.one_after_another(map(report.api_table, found))
    return table, [aim for each in found for aim in report.api_aims(each)]


def _growth(directory: Path, sizes: Sizes) -> tuple[list[str], list[Aim]]:
    found = [
        growth.measure_growth(
            directory,
            storage,
            sizes.rows,
            rounds=sizes.rounds,
            requests=sizes.requests,
            report=_tell,
        )
        for storage in sizes.storage or storages()
    ]
    table = report.one_after_another(map(report.growth_table, found))
    return table, [aim for each in found for aim in report.growth_aims(each)]


def _moods(directory: Path, sizes: Sizes) -> tuple[list[str], list[Aim]]:
    with running(directory) as server:
        felt = moods.measure(server, samples=sizes.samples, long=sizes.events, report=_tell)
    return report.mood_table(felt), report.mood_aims(felt)


def _streams(directory: Path, sizes: Sizes) -> tuple[list[str], list[Aim]]:
    load = streams.Load(sizes.segments, sizes.streams, sizes.sockets, sizes.samples)
    try:
        carried = streams.measure(directory, load, report=_tell)
    except ModelsMissing as error:
        raise click.ClickException(str(error)) from error
    return report.stream_table(carried), report.stream_aims(carried)


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
