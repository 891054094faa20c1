"""`python -m benchmarks`: measure, print, write `docs/performance.md`; exits with 1 when an aim is missed."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks import intake, moods, report
from benchmarks.server import running


@click.command()
@click.option("--rounds", default=7, show_default=True, help="Turns of each handler.")
@click.option("--requests", default=300, show_default=True, help="Batches in a turn.")
@click.option("--samples", default=300, show_default=True, help="Mood requests of each kind.")
@click.option("--events", default=100_000, show_default=True, help="Events of the long session.")
@click.option("--write/--no-write", default=True, help="Whether docs/performance.md is rewritten.")
def main(*, rounds: int, requests: int, samples: int, events: int, write: bool) -> None:
    """Measure what requests cost a real server, against two other handlers."""
    with (
        tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as directory,
        running(Path(directory)) as server,
    ):
        taken = intake.measure(server, rounds=rounds, requests=requests, report=_tell)
        felt = moods.measure(server, samples=samples, long=events, report=_tell)
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    figures = report.render(taken, felt, command=command, date=date)
    click.echo(figures)
    if write:
        page = report.PAGE.read_text()
        report.PAGE.write_text(report.replace_figures(page, figures))
    if not all(aim.is_met for aim in report.aims(taken, felt)):
        raise click.exceptions.Exit(1)


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
