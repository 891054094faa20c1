"""`python -m benchmarks.turns`: how long a write keeps the other writers of a SQLite file waiting.

Writers of one SQLite file take turns. What one turn takes, from before the lock until after the commit is on the disk,
bounds what the whole installation takes, however many cores it has: that is when PostgreSQL is due.
"""

from __future__ import annotations

import random
import tempfile
import time
from statistics import median

import click

from app import create_app
from benchmarks.partitions import work
from benchmarks.report import machine
from core import migrations, transaction
from core.accounts import create_account
from plugins.mood import services as mood


def measure(directory: str, sessions: int, requests: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of each kind of write, one at a time, and the CPU seconds among them."""
    app = create_app(
        DATABASE_URL=f"sqlite:///{directory}/turns.db", REDIS_URL="", SUBTEXT_DATA=directory
    )
    with app.app_context():
        migrations.upgrade()
        create_account("Benchmark", plan="enterprise")
        for number in range(1, sessions + 1):
            with transaction():
                mood.record_events(1, "enterprise", f"s{number}", [{"type": "click"}])
        writes = {
            what: act
            for what, act in work(sessions, random.Random(1)).items()  # noqa: S311 (which sessions are drawn)
            if "POST" in what or "told" in what
        }
        taken: dict[str, list[tuple[float, float]]] = {what: [] for what in writes}
        for _ in range(requests):
            for what, act in writes.items():
                started, cpu = time.perf_counter(), time.process_time()
                act()
                taken[what].append((time.perf_counter() - started, time.process_time() - cpu))
    return {
        what: (median(seconds for seconds, _ in its), median(cpu for _, cpu in its))
        for what, its in taken.items()
    }


@click.command()
@click.option("--sessions", default=500, show_default=True, help="Sessions that are written to.")
@click.option("--requests", default=500, show_default=True, help="Writes of each kind.")
def main(sessions: int, requests: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as directory:
        click.echo(
            f"synchronous=FULL; {machine()}\n\n| | ms | of that CPU | a second |\n|---|---:|---:|---:|"
        )
        for what, (seconds, cpu) in measure(directory, sessions, requests).items():
            click.echo(f"| {what} | {1e3 * seconds:.2f} | {1e3 * cpu:.2f} | {1 / seconds:,.0f} |")


if __name__ == "__main__":
    main()
