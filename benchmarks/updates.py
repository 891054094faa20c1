"""`python -m benchmarks.updates`: what the fill factor of the table of moods saves on PostgreSQL.

A mood's row is rewritten with every batch of its session. Where its page has room, the new version goes beside the old
one and no index is touched (a heap-only tuple). The server itself counts how often; no clock is in it.
"""

from __future__ import annotations

import random
import tempfile
from typing import TYPE_CHECKING

import click

from benchmarks.moods import KINDS
from benchmarks.partitions import STATES, open_layout, server
from core import current, fetch_all, migrations, transaction
from core.accounts import create_account
from core.database import db
from plugins.mood import services as mood

if TYPE_CHECKING:
    from flask import Flask

FILLFACTORS = (100, 90, 80, 70)
#: As the service writes it when the mood stays the same.
UPDATE = """
    UPDATE mood_state SET state = state || '', events = events + 1, updated_at = updated_at + 1
    WHERE session_key = %s
"""
EVENTS = 50


def measure(app: Flask, fillfactor: int, sessions: int, updates: int) -> tuple[float, int]:
    """Return the share of heap-only updates, and the bytes of the table afterwards."""
    rng = random.Random(1)  # noqa: S311 (which sessions are drawn)
    with app.app_context():
        migrations.upgrade()
        create_account("Benchmark", plan="enterprise")
        db.execute_sql(f"ALTER TABLE mood_state SET (fillfactor = {fillfactor})")
        events = [{**KINDS[number % len(KINDS)]} for number in range(EVENTS)]
        with transaction():
            mood.record_events(1, "enterprise", "s1", events)
        db.execute_sql(STATES.format(sessions=sessions))
        db.execute_sql("VACUUM ANALYZE mood_state")
        fetch_all("SELECT pg_stat_reset()")
        for _ in range(updates):
            db.execute_sql(UPDATE, (rng.randint(1, sessions),))
        fetch_all("SELECT pg_stat_force_next_flush()")
        done, hot = fetch_all(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'mood_state'"
        )[0]
        size = fetch_all("SELECT pg_table_size('mood_state')")[0][0]
        current().database.close_all()
    return hot / done, size


@click.command()
@click.option("--sessions", default=2_000, show_default=True, help="Moods in the table.")
@click.option("--updates", default=20_000, show_default=True, help="Updates of moods at random.")
def main(sessions: int, updates: int) -> None:
    """Measure and print."""
    click.echo("| fill factor | updates that touch no index | MB of the table |\n|---:|---:|---:|")
    with server() as url, tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as data:
        for number, fillfactor in enumerate(FILLFACTORS):
            app = open_layout(url, number, data)
            hot, size = measure(app, fillfactor, sessions, updates)
            click.echo(f"| {fillfactor} | {hot:.0%} | {size / 1e6:.1f} |")


if __name__ == "__main__":
    main()
