"""Partitions: PostgreSQL keeps a table in parts, by a hash of the account or the session that its keys start with.

A table is copied into its new form in one transaction, with its indexes, constraints and sequence under the names
they had, so that everything that knows the table, later migrations among it, goes on working.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import peewee

from core import migrations
from core.database import db, fetch_all, transaction
from core.errors import ConfigurationError
from core.models import Answer, Outbox, SessionRow, Tombstone
from core.runtime import current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Columns by which a table may be spread: all that is asked of it on the accept path names one of them.
KEYS = ("session_key", "account_id")
#: Parts of a table; beyond some hundreds planning a query costs more than the parts save.
MAX_PARTITIONS = 256
#: What PostgreSQL says when a lock was not to be had in time (SQLSTATE lock_not_available).
LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Partitioned:
    """Say what came of one table: by which column it is spread now, and what that took; no seconds: it was so before.

    Without a key it stays whole because its primary key starts with neither column.
    """

    table: str
    key: str | None
    partitions: int
    rows: int = 0
    seconds: float | None = None


def partition(partitions: int, tables: Sequence[str] = ()) -> Iterator[Partitioned]:
    """Spread tables over a number of partitions, or make them whole again at 0; yield what came of each.

    Without names: the sessions, and every table of a plugin whose key starts with the session. Each table is a
    transaction, so that an end in between leaves some tables done and none half done. Raises ConfigurationError on
    SQLite, before all migrations are applied, for a table that cannot be spread, and for one that is in use.
    """
    if not isinstance(db.obj, peewee.PostgresqlDatabase):
        raise ConfigurationError("Only PostgreSQL has partitions; this database is SQLite")
    if pending := migrations.pending():
        raise ConfigurationError(f"Run flask db upgrade first; pending: {', '.join(pending)}")
    with migrations.one_at_a_time():
        for table in tables or _grown_with_sessions():
            yield _partition(table, partitions, is_named=bool(tables))


def _grown_with_sessions() -> list[str]:
    # The outbox is a queue: it is nearly empty, and drained in an order that goes across all sessions.
    return [
        SessionRow._meta.table_name,  # noqa: SLF001 (peewee's documented metadata)
        *(
            table
            for model in current().plugins.models()
            if _leading_column(table := model._meta.table_name) != "account_id"  # noqa: SLF001
        ),
    ]


def _spreadable() -> set[str]:
    own: tuple[type[Any], ...] = (SessionRow, Tombstone, Answer, Outbox)
    models = (*own, *current().plugins.models())
    return {model._meta.table_name for model in models}  # noqa: SLF001 (peewee's documented metadata)


def _partition(table: str, partitions: int, *, is_named: bool) -> Partitioned:
    if table not in _spreadable():
        raise ConfigurationError(f"There is no table {table} that can be spread")
    key = _leading_column(table)
    if key not in KEYS:
        if is_named:
            raise ConfigurationError(
                f"The primary key of {table} starts with neither {' nor '.join(KEYS)}"
            )
        return Partitioned(table, None, 0)
    if _count_partitions(table) == partitions:
        return Partitioned(table, key, partitions)
    started = time.monotonic()
    try:
        with transaction():
            # Taken first and waited for as briefly as a request waits: everyone else queues behind who waits for it.
            db.execute_sql(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
            rows = _rebuild(table, key, partitions)
    except peewee.OperationalError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise ConfigurationError(
            f"{table} is in use and stays as it was; stop what uses it, or try again"
        ) from error
    return Partitioned(table, key, partitions, rows, time.monotonic() - started)


def _rebuild(table: str, key: str, partitions: int) -> int:
    """Copy a locked table into its new form and return how many rows it has."""
    if _column(
        "SELECT 1 FROM pg_attribute WHERE attrelid = ?::regclass AND attidentity <> ''", table
    ):
        raise ConfigurationError(f"{table} has an identity column, whose numbers would begin anew")
    constraints = _column(
        "SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint"
        " WHERE conrelid = ?::regclass AND contype IN ('p', 'u', 'f', 'x') ORDER BY contype DESC",
        table,
    )
    indexes = _column(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ?::regclass"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)",
        table,
    )
    # What a column takes its default from goes with the table unless the new one takes it over.
    sequences = fetch_all(
        "SELECT s.oid::regclass::text, a.attname FROM pg_depend d"
        " JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
        " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
        " WHERE d.refobjid = ?::regclass AND d.deptype = 'a'",
        (table,),
    )
    old = f"{table}_before"
    db.execute_sql(f'ALTER TABLE "{table}" RENAME TO "{old}"')
    _create(table, old, key, partitions)
    rows: int = db.execute_sql(f'INSERT INTO "{table}" SELECT * FROM "{old}"').rowcount  # noqa: S608 (our own names)
    for sequence, column in sequences:
        db.execute_sql(f'ALTER SEQUENCE {sequence} OWNED BY "{table}"."{column}"')
    db.execute_sql(f'DROP TABLE "{old}"')
    for constraint in constraints:
        _execute(f'ALTER TABLE "{table}" ADD {constraint}')
    for index in indexes:
        _execute(index.replace(" ON ONLY ", " ON ", 1))
    db.execute_sql(f'ANALYZE "{table}"')
    return rows


def _create(table: str, like: str, key: str, partitions: int) -> None:
    """Create a table as another one is, without its indexes and constraints but for checks."""
    # A table that has partitions has no storage of its own: its parts have what was set for it.
    settings = _column(
        "SELECT DISTINCT array_to_string(reloptions, ', ') FROM pg_class"
        " WHERE relkind = 'r' AND reloptions IS NOT NULL AND (oid = ?::regclass"
        " OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ?::regclass))",
        like,
        like,
    )
    storage = f" WITH ({settings[0]})" if settings else ""
    columns = (
        f'(LIKE "{like}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE'
        " INCLUDING COMPRESSION INCLUDING COMMENTS)"
    )
    if not partitions:
        db.execute_sql(f'CREATE TABLE "{table}" {columns}{storage}')
        return
    db.execute_sql(f'CREATE TABLE "{table}" {columns} PARTITION BY HASH ("{key}")')
    for number in range(partitions):
        db.execute_sql(
            f'CREATE TABLE "{table}_{number}_of_{partitions}" PARTITION OF "{table}"'
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number}){storage}"
        )


def _leading_column(table: str) -> str | None:
    names = _column(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE i.indrelid = to_regclass(?) AND i.indisprimary",
        table,
    )
    return names[0] if names else None


def _count_partitions(table: str) -> int:
    return len(fetch_all("SELECT 1 FROM pg_inherits WHERE inhparent = ?::regclass", (table,)))


def _column(query: str, *parameters: Any) -> list[Any]:
    return [value for (value,) in fetch_all(query, parameters)]


def _execute(statement: str) -> None:
    # A condition of an index or a constraint may hold a %, which the driver takes for a placeholder.
    db.execute_sql(statement.replace("%", "%%"))
