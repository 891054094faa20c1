"""PostgreSQL through psycopg 3, pooled, with a bound on every wait.

The server ends statements and lock waits that take too long. What it cannot end is its own silence: a machine that
hangs, a network that drops packets. libpq bounds only the wait for a new connection; the others are bounded here.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg
from peewee import Psycopg3Adapter
from playhouse.pool import PooledPostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import RV, PQGen

#: How many times longer a statement may take than a wait for a lock or a connection.
STATEMENT_FACTOR: Final = 6
#: Seconds by which the server's own bound comes before ours, whose answer says more.
GRACE_SECONDS: Final = 1.0
#: Seconds in which a server that did not answer is not asked again, so that not everybody waits for it in turn.
PAUSE_SECONDS: Final = 2.0
#: Seconds between two looks whether a wait was interrupted; psycopg's own default.
INTERVAL_SECONDS: Final = 0.1


class ServerSilent(psycopg.OperationalError):
    """The server has not answered in time; its connection is closed."""


class PatientConnection(psycopg.Connection[Any]):
    """Wait for each answer for `patience` seconds at most. Raises ServerSilent."""

    patience: float | None = None

    def wait(
        self, gen: PQGen[RV], interval: float = INTERVAL_SECONDS, timeout: float | None = None
    ) -> RV:
        """Wait for what a generator of libpq calls comes to."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # its answer may still come, and is not to be taken for another one
            raise ServerSilent("PostgreSQL does not answer") from error


class PatientAdapter(Psycopg3Adapter):
    """Open connections that do not wait for ever."""

    def connect(self, db: PostgresqlDatabase, **parameters: Any) -> PatientConnection:
        """Return a new connection."""
        connection = PatientConnection.connect(dbname=db.database, **parameters)
        connection.patience = db.patience
        return connection


class PostgresqlDatabase(PooledPostgresqlDatabase):
    """PostgreSQL through psycopg 3, pooled, with bounded statements, lock waits and silences.

    `timeout` is in seconds, for a connection, a lock, and an answer to the question whether a pooled connection still
    stands; a statement may take STATEMENT_FACTOR times as long.
    """

    psycopg3_adapter = PatientAdapter

    def __init__(self, url: str, *, pool: int, timeout: float) -> None:
        try:
            parameters: dict[str, Any] = dict(conninfo_to_dict(url))
        except psycopg.ProgrammingError:  # its message quotes the URL, and with it the password
            raise ConfigurationError("DATABASE_URL is not a URL of PostgreSQL") from None
        milliseconds = int(timeout * 1000)
        options = (
            f"-c statement_timeout={milliseconds * STATEMENT_FACTOR} -c lock_timeout={milliseconds}"
        )
        parameters["options"] = f"{options} {parameters.get('options', '')}".strip()
        parameters.setdefault("connect_timeout", max(2, int(timeout)))
        parameters.setdefault("application_name", "subtext")
        name = parameters.pop("dbname", "")
        self.patience = timeout * STATEMENT_FACTOR + GRACE_SECONDS
        self._timeout = timeout
        self._silent_until = float("-inf")
        super().__init__(
            name, max_connections=pool, timeout=timeout, prefer_psycopg3=True, **parameters
        )

    @contextlib.contextmanager
    def unbounded(self) -> Iterator[None]:
        """Let statements of this thread take as long as they take: migrations work on all of a table."""
        connection = self.connection()
        self.execute_sql("SET statement_timeout = 0")
        connection.patience = None
        try:
            yield
        finally:
            connection.patience = self.patience
            self.execute_sql("RESET statement_timeout")

    def _connect(self) -> Any:
        with self._pool_lock:  # the others wait for the one who asks, and then know as well
            if time.monotonic() < self._silent_until:
                raise ServerSilent("PostgreSQL did not answer a moment ago")
            try:
                return super()._connect()
            except (ServerSilent, psycopg.errors.ConnectionTimeout):
                self._silent_until = time.monotonic() + PAUSE_SECONDS
                raise

    def _is_closed(self, conn: PatientConnection) -> bool:
        # A round trip: a connection that the server closed in the meantime is replaced before anybody uses it.
        conn.patience = self._timeout
        try:
            conn.execute("SELECT 1")
        except ServerSilent:
            raise
        except psycopg.Error:
            return True
        finally:
            conn.patience = self.patience
        return False
