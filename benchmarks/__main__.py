"""`python -m benchmarks`: measure, print, write `docs/performance.md`; exits with 1 when an aim is missed."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks import intake, moods, report, streams
from benchmarks.server import running
from plugins.stream.analysis.errors import ModelsMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.report import Aim

PARTS = ("events", "mood", "streams")


@dataclass(frozen=True)
class Sizes:
    """Say how much of each thing is done."""

    rounds: int
    requests: int
    samples: int
    events: int
    segments: int
    streams: int
    sockets: int


@click.command()
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Measure this part alone.")
@click.option("--rounds", default=7, show_default=True, help="Turns of each handler.")
@click.option("--requests", default=300, show_default=True, help="Batches in a turn.")
@click.option("--samples", default=300, show_default=True, help="Requests of each kind.")
@click.option("--events", default=100_000, show_default=True, help="Events of the long session.")
@click.option("--segments", default=5, show_default=True, help="Segments of a live stream, 3 s.")
@click.option("--streams", default=20, show_default=True, help="Live streams at a time, at most.")
@click.option("--sockets", default=500, show_default=True, help="Sockets that wait.")
@click.option("--write/--no-write", default=True, help="Whether docs/performance.md is rewritten.")
def main(*, only: tuple[str, ...], write: bool, **sizes: int) -> None:
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
    with tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as name:
        directory = Path(name)
        if {"events", "mood"} & set(parts):
            with running(directory) as server:
                if "events" in parts:
                    taken = intake.measure(
                        server, rounds=sizes.rounds, requests=sizes.requests, report=_tell
                    )
                    yield "events", report.intake_table(taken), report.intake_aims(taken)
                if "mood" in parts:
                    felt = moods.measure(
                        server, samples=sizes.samples, long=sizes.events, report=_tell
                    )
                    yield "mood", report.mood_table(felt), report.mood_aims(felt)
        if "streams" in parts:
            try:
                load = streams.Load(sizes.segments, sizes.streams, sizes.sockets, sizes.samples)
                carried = streams.measure(directory, load, report=_tell)
            except ModelsMissing as error:
                raise click.ClickException(str(error)) from error
            yield "streams", report.stream_table(carried), report.stream_aims(carried)


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
