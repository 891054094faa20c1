"""A database as months of traffic leave it: what a few visitors stored through the API, copied many times.

Each copy is an account of its own, its visitors a minute before the next one's, its rows in the order in which
requests stored them. So every table has its true share, whatever the plugins keep, and no row is made up here.
"""

# ruff: noqa: S608 - the names are those of the tables that there are

from __future__ import annotations

from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

import peewee

from core.database import db, fetch_all
from core.evidence import drain_outbox
from core.runtime import current
from examples.demo.replay import headers_for
from examples.demo.visitors import event_batches, in_time_order, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask.testing import FlaskClient

    from examples.demo.replay import Credentials

#: Visitors of one account, and batches of events that a script in its pages sends besides.
VISITORS, BATCHES, EVENTS_PER_BATCH = 24, 10, 100
#: Accounts that are copied in one transaction.
COPIES_PER_COMMIT = 500
#: Microseconds from the visitors of one account to those of the next.
BETWEEN = 60_000_000
ACCOUNTS, SESSIONS = "core_account", "core_session"
#: The table whose row a column names.
REFERENCES = {
    "session_key": SESSIONS,
    "account_id": ACCOUNTS,
    "batch_id": "clickstream_batch",
    "recording_id": "stream_recording",
}
TIMES = frozenset(
    {"at", "occurred_at", "sent_at", "first_seen", "last_seen", "since"}
    | {"created_at", "updated_at", "received_at", "started_at", "ended_at", "released_at"}
)
#: Text that no two accounts may share.
NAMES = frozenset({"tenant", "public_id", "digest", "correlation_id"})


def visit(client: FlaskClient, credentials: Credentials) -> None:
    """Let the visitors of one account do what they do, and tell every plugin what came of it."""
    for call in in_time_order(simulate(VISITORS)):
        answer = client.post(call.path, json=call.body, headers=headers_for(call, credentials))
        if answer.status_code != call.status:
            raise RuntimeError(f"POST {call.path}: {answer.status_code} {answer.text[:500]}")
    bearer = {"Authorization": f"Bearer {credentials.token}"}
    for body in islice(event_batches(EVENTS_PER_BATCH), BATCHES):
        answer = client.post("/api/data/events", json=body, headers=bearer)
        if answer.status_code != HTTPStatus.OK:
            raise RuntimeError(f"POST of a batch: {answer.status_code} {answer.text[:500]}")
    with client.application.app_context():
        while drain_outbox():
            pass


def multiply(rows: int) -> int:
    """Copy the one account that there is until about `rows` rows are stored, and return how many those are."""
    is_postgres = isinstance(current().database, peewee.PostgresqlDatabase)
    counts = {table: _number(f"SELECT COUNT(*) FROM {table}") for table in _tables()}
    each = sum(counts.values())
    accounts = max(1, round(rows / each))
    _hurry(is_postgres=is_postgres)
    statements = [_copying(table) for table in counts]
    for table in counts:
        db.execute_sql(f"CREATE TEMPORARY TABLE template_{table} AS SELECT * FROM {table}")
    for first in range(1, accounts, COPIES_PER_COMMIT):
        with current().database.atomic():
            for copy in range(first, min(first + COPIES_PER_COMMIT, accounts)):
                for statement in statements:
                    db.execute_sql(statement.format(copy=copy, age=(accounts - copy) * BETWEEN))
    for table in counts:
        db.execute_sql(f"DROP TABLE template_{table}")
    _finish(counts, is_postgres=is_postgres)
    return accounts * each


def _tables() -> list[str]:
    """Return the tables that hold something of an account, those that others refer to first."""
    known = {table: set(_columns(table)) for table in db.get_tables()}
    belonging = [table for table, columns in known.items() if columns & REFERENCES.keys()]
    others = [table for table in belonging if table != SESSIONS]
    return [
        table
        for table in (ACCOUNTS, SESSIONS, *sorted(others))
        if _number(f"SELECT COUNT(*) FROM {table}")
    ]


def _copying(table: str) -> str:
    """Return the statement that copies the template's rows; `copy` and `age` are to be filled in."""
    columns = _columns(table)
    values = ", ".join(_value(table, column) for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM template_{table}"


def _value(table: str, column: str) -> str:
    if column == "id" or column in REFERENCES:
        stride = _number(f"SELECT COALESCE(MAX(id), 0) FROM {REFERENCES.get(column, table)}")
        return f"{column} + {{copy}} * {stride}"
    if column in TIMES:
        return f"{column} - {{age}}"
    if column in NAMES:
        return f"{column} || '-' || {{copy}}"
    return f'"{column}"'


def _hurry(*, is_postgres: bool) -> None:
    """Write without waiting for the disk: whoever pulls the plug fills anew."""
    haste = (
        ("SET synchronous_commit TO off", "SET statement_timeout TO 0")
        if is_postgres
        else (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA cache_size = -500000",
        )
    )
    for statement in haste:
        db.execute_sql(statement)


def _finish(tables: Iterable[str], *, is_postgres: bool) -> None:
    """Leave the database as one that has been running for long."""
    if is_postgres:
        for table in tables:
            if "id" in _columns(table):
                last = f"(SELECT MAX(id) FROM {table})"
                fetch_all(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})")
        db.execute_sql("VACUUM ANALYZE")  # what autovacuum does within minutes
        db.execute_sql("CHECKPOINT")
    # Nobody else must have a connection that is in such a hurry.
    current().database.manual_close()


def _columns(table: str) -> list[str]:
    return [column.name for column in db.get_columns(table)]


def _number(query: str) -> int:
    value: Any = fetch_all(query)[0][0]
    return int(value)
