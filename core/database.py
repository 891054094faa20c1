"""The database: one proxy for all models, SQLite or PostgreSQL behind it, one way to write.

`transaction()` is the unit of work: services open it, everything inside commits together, and what was handed to
`after_commit()` runs once the commit is there. On SQLite it also takes a lock that is fair among processes, because
SQLite's own back-off starves writers (the database's busy handler sleeps ever longer while others overtake it).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledSqliteDatabase

from core.errors import ConfigurationError, Unavailable
from core.runtime import current, current_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

logger = logging.getLogger(__name__)

#: Seconds between two looks at a write lock that another process holds. A commit takes about 0.3 ms.
LOCK_POLL_SECONDS = 0.001
#: Seconds that one writer may have the lock, or wait for it as the first, before it counts as stuck …
STUCK_SECONDS = 1.0
#: … and writers of one process that then go on waiting. The connections and threads of the others are for who reads.
STUCK_WRITERS = 8
#: What PostgreSQL says while it is a standby (SQLSTATE read_only_sql_transaction).
READ_ONLY_SQLSTATE = "25006"
#: What it says of statements that took too long (query_canceled, lock_not_available).
TIMEOUT_SQLSTATES = frozenset({"57014", "55P03"})
#: Rows in one statement; more are sent in turns, which bounds the memory of a statement.
ROWS_PER_STATEMENT = 5_000


class CurrentDatabase(peewee.DatabaseProxy):
    """Stand for the database of the app whose context is active."""

    @property
    def obj(self) -> peewee.Database | None:
        """Return the active app's database, or None outside of an app context."""
        runtime = current_or_none()
        return runtime.database if runtime is not None else None

    @obj.setter
    def obj(self, _value: object) -> None:
        """Ignore peewee's initial None: the app context decides."""


db = CurrentDatabase()


class Model(peewee.Model):
    """Base of every table; `table_name` starts with the name of the plugin it belongs to."""

    class Meta:
        """Bind to the active app's database."""

        database = db
        legacy_table_names = False


class WriteLock:
    """Let one writer at a time into a SQLite file, in about the order they came.

    A thread lock inside the process and a POSIX advisory lock among processes, each waited for at most `timeout`
    seconds. Raises Unavailable when it cannot be had in time, at once when it is stuck and enough wait already.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self._threads = threading.Lock()
        self._places = threading.Semaphore(STUCK_WRITERS)
        self._since = float("inf")  # when the first in line came to be that
        self._file: int | None = None
        self._pid = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the length of the block."""
        has_place = self._places.acquire(blocking=False)
        try:
            if not has_place and time.monotonic() - self._since > STUCK_SECONDS:
                raise Unavailable("The database is busy")
            with self._first_in_line():
                yield
        finally:
            if has_place:
                self._places.release()

    @contextlib.contextmanager
    def _first_in_line(self) -> Iterator[None]:
        deadline = time.monotonic() + self.timeout
        if not self._threads.acquire(timeout=self.timeout):
            raise Unavailable("The database is busy")
        self._since = time.monotonic()
        try:
            try:
                descriptor = self._descriptor()
            except OSError as error:  # no such directory, or one that may not be written
                raise Unavailable("The database cannot be written") from error
            self._lock(descriptor, deadline)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._since = float("inf")
            self._threads.release()

    def _descriptor(self) -> int:
        # A descriptor inherited through fork shares its lock with the parent, so each process opens its own.
        if self._file is None or self._pid != os.getpid():
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()
        return self._file

    @staticmethod
    def _lock(descriptor: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable("The database is busy") from None
                time.sleep(LOCK_POLL_SECONDS)
            else:
                return


class SqliteDatabase(PooledSqliteDatabase):
    """A SQLite file in WAL mode whose transactions are immediate and whose writers queue fairly."""

    def __init__(self, path: str, *, pool: int, timeout: float, synchronous: str) -> None:
        super().__init__(
            path,
            max_connections=pool,
            timeout=timeout,
            lock_type="IMMEDIATE",
            check_same_thread=False,
            pragmas={
                "journal_mode": "wal",
                "synchronous": synchronous,
                "foreign_keys": 1,
                "busy_timeout": int(timeout * 1000),
                # Erased means gone: freed bytes are overwritten with zeros.
                "secure_delete": 1,
            },
        )
        self.write_lock = WriteLock(Path(f"{path}.lock"), timeout)

    def rollback(self) -> None:
        """Take the transaction back, unless SQLite has: it does so itself when the disk is full or fails."""
        if self.connection().in_transaction:
            super().rollback()


def open_database(
    url: str, *, data: str, pool: int, timeout: float, synchronous: str
) -> peewee.Database:
    """Describe the database that a URL names; nothing is opened yet.

    Raises ConfigurationError for a scheme that is neither SQLite nor PostgreSQL.
    """
    if not url:
        url = f"sqlite:///{Path(data, 'subtext.db')}"
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "sqlite":
        path = unquote(url.removeprefix("sqlite:///"))
        if not path or path == ":memory:" or not url.startswith("sqlite:///"):
            raise ConfigurationError(
                "DATABASE_URL: SQLite needs a file, as in sqlite:///subtext.db"
            )
        if synchronous.upper() not in {"FULL", "NORMAL", "EXTRA"}:
            raise ConfigurationError("SUBTEXT_SQLITE_SYNCHRONOUS must be FULL or NORMAL")
        return SqliteDatabase(path, pool=pool, timeout=timeout, synchronous=synchronous)
    if scheme in {"postgres", "postgresql"}:
        from core.postgresql import PostgresqlDatabase  # psycopg is for those who use it

        rest = url.split("://", 1)[1]
        return PostgresqlDatabase(f"postgresql://{rest}", pool=pool, timeout=timeout)
    raise ConfigurationError(
        f"DATABASE_URL: {scheme or 'no'} scheme is not supported; use sqlite:///… or postgresql://…"
    )


class _Work(threading.local):
    callbacks: list[Callable[[], object]] | None = None


_work = _Work()


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """Commit everything in the block together, or nothing of it.

    Inside another transaction it is a savepoint. Callbacks of `after_commit` run after the outermost commit and
    after the write lock is free. Raises Unavailable when the database is busy for too long.
    """
    if _work.callbacks is not None:
        announced = len(_work.callbacks)
        try:
            with db.atomic():
                yield
        except BaseException:
            del _work.callbacks[announced:]
            raise
        return
    database = current().database
    lock = getattr(database, "write_lock", None)
    if lock is not None:
        # Before the lock: its holder must not wait for a connection of those who wait for the lock.
        database.connect(reuse_if_open=True)
    callbacks: list[Callable[[], object]] = []
    _work.callbacks = callbacks
    try:
        with lock.held() if lock is not None else contextlib.nullcontext(), database.atomic():
            yield
    except peewee.OperationalError:
        if lock is not None:
            # On a disk that is read-only SQLite opens a file for reading, and such a connection never writes again.
            database.manual_close()
            database.close_idle()
        raise
    finally:
        _work.callbacks = None
    for callback in callbacks:
        callback()


def after_commit(callback: Callable[[], object]) -> None:
    """Run a callback once the current transaction is committed, or at once when there is none.

    A rollback forgets it. It must not raise: what it announces has already happened.
    """
    if _work.callbacks is None:
        callback()
    else:
        _work.callbacks.append(callback)


def insert_rows(
    model: type[peewee.Model], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert many rows at once and skip those that break a unique constraint.

    `columns` are field names, each row has their values in that order, already in the database's types.
    Returns how many rows are new. One `executemany` on SQLite, `unnest` of one array a column on PostgreSQL
    (7 and 4 times the rows per second of multi-row VALUES built by an ORM).
    """
    if not rows:
        return 0
    fields = [model._meta.fields[name] for name in columns]  # noqa: SLF001 (peewee's documented metadata)
    table = model._meta.table_name  # noqa: SLF001
    names = ", ".join(f'"{field.column_name}"' for field in fields)
    database = current().database
    postgres = isinstance(database, peewee.PostgresqlDatabase)
    if postgres:
        arrays = ", ".join(f"%b::{_array_type(field)}[]" for field in fields)
        source = f"SELECT * FROM unnest({arrays})"  # noqa: S608 (types of the model's fields)
    else:
        source = f"VALUES ({', '.join('?' * len(fields))})"
    # Names come from the model, never from a request.
    statement = f'INSERT INTO "{table}" ({names}) {source} ON CONFLICT DO NOTHING'
    new = 0
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        part = rows[start : start + ROWS_PER_STATEMENT]
        with peewee.__exception_wrapper__:
            cursor = database.cursor()
            if postgres:
                columns_of = zip(fields, zip(*part, strict=True), strict=True)
                cursor.execute(statement, [_array(field, values) for field, values in columns_of])
            else:
                cursor.executemany(statement, part)
            new += cursor.rowcount
    return new


_ARRAY_TYPES = {
    "AUTO": "integer",
    "BIGAUTO": "bigint",
    "BIGINT": "bigint",
    "INT": "integer",
    "SMALLINT": "smallint",
    "FLOAT": "double precision",
    "DOUBLE": "double precision",
    "BOOL": "boolean",
    "BLOB": "bytea",
}


def _array_type(field: peewee.Field) -> str:
    return _ARRAY_TYPES.get(field.field_type, "text")


def _array(field: peewee.Field, values: Sequence[Any]) -> list[Any]:
    if _array_type(field) == "double precision":
        # JSON writes 1 and 1.5, and psycopg takes no list of both kinds.
        return [value if value is None else float(value) for value in values]
    return list(values)


def fetch_all(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one hand-written query with `?` placeholders on either database and return its rows.

    For the few reads on the accept path where building the query would cost more than running it.
    """
    database = current().database
    if isinstance(database, peewee.PostgresqlDatabase):
        sql = sql.replace("%", "%%").replace("?", "%s")
    return list(database.execute_sql(sql, parameters).fetchall())


def row_lock() -> str:
    """Return the SQL that locks the rows a query reads: ` FOR UPDATE`, or nothing where writers queue anyway."""
    return " FOR UPDATE" if isinstance(db.obj, peewee.PostgresqlDatabase) else ""


def skip_locked() -> str:
    """Return the SQL that locks the rows a query reads and leaves out those that others hold, as `row_lock`."""
    return f"{row_lock()} SKIP LOCKED" if row_lock() else ""


def is_unavailable(error: BaseException) -> bool:
    """Say whether an error means that the database is away, full or too busy, not that the code is wrong."""
    if isinstance(error, MaxConnectionsExceeded | peewee.InterfaceError):
        return True
    cause = getattr(error, "orig", None)
    if isinstance(error, peewee.OperationalError):
        # SQLite calls a fault in the statement, or a table that is not there, operational too. It also has no savepoint
        # to go back to any more when it took everything back by itself, and that error hides its cause.
        if getattr(cause, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            return True
        hidden = cause.__context__ if cause is not None else None
        return hidden is not None and is_unavailable(hidden)
    return getattr(cause, "sqlstate", None) == READ_ONLY_SQLSTATE


def is_timeout(error: BaseException) -> bool:
    """Say whether PostgreSQL ended a statement because that took, or waited for a lock, too long."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in TIMEOUT_SQLSTATES


def release_connection() -> None:
    """Give the connection of this thread back to the pool; an open transaction is rolled back."""
    database = db.obj
    if database is not None and not database.is_closed():
        try:
            database.close()
        except (peewee.DatabaseError, sqlite3.Error):
            logger.warning("a database connection could not be closed", exc_info=True)
