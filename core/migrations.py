"""Migrations: one numbered series for the core and one for each plugin, applied under a lock.

Each series has its own history table `migration_<name>`, so a plugin can come and go. Two releases that start at
the same moment wait for one another.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import peewee
from playhouse.migrations import MigrationError, Runner

from core.database import db
from core.errors import ConfigurationError
from core.runtime import current

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds to wait for another process that is migrating.
LOCK_TIMEOUT_SECONDS = 120.0
LOCK_POLL_SECONDS = 0.1
#: The advisory lock's number: the bytes of "subtext" as an integer, so that no other program has it by chance.
ADVISORY_LOCK = int.from_bytes(b"subtext", "big")


def series() -> list[tuple[str, Path]]:
    """Return name and directory of every series of the active app: the core's first, then the plugins'."""
    root = Path(__file__).resolve().parent.parent / "migrations"
    return [("core", root), *current().plugins.migrations()]


def upgrade() -> list[str]:
    """Apply what is pending and return `series/name` of each migration applied."""
    with one_at_a_time():
        return [
            f"{name}/{migration}"
            for name, directory in series()
            for migration in _runner(name, directory).up()
        ]


def downgrade(name: str, target: str | None = None) -> list[str]:
    """Take back the last migration of one series, or every one back through `target`."""
    directories = dict(series())
    if name not in directories:
        raise ConfigurationError(f"There is no series {name}; there are {', '.join(directories)}")
    with one_at_a_time():
        try:
            taken_back = _runner(name, directories[name]).down(target)
        except MigrationError as error:
            raise ConfigurationError(f"{name}: {error}") from error
        return [f"{name}/{migration}" for migration in taken_back]


def status() -> list[tuple[str, str, bool]]:
    """Return (series, migration, applied) of every migration that is known."""
    return [
        (name, migration.name, bool(migration.applied))
        for name, directory in series()
        for migration in _runner(name, directory).status()
    ]


def pending() -> list[str]:
    """Return `series/name` of what is not applied yet."""
    return [f"{name}/{migration}" for name, migration, applied in status() if not applied]


def _runner(name: str, directory: Path) -> Runner:
    table = f"migration_{name.replace('-', '_')}"
    return Runner(db.obj, directory=str(directory), table_name=table)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process at a time change the schema; ConfigurationError when another one does so for too long.

    On PostgreSQL a statement in the block may take as long as it takes.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    if isinstance(db.obj, peewee.PostgresqlDatabase):
        with db.connection_context() if db.is_closed() else contextlib.nullcontext():
            while not db.execute_sql(
                "SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,)
            ).fetchone()[0]:
                _wait(deadline)
            try:
                # An index on a large table takes longer than a request's statement may.
                with db.unbounded():
                    yield
            finally:
                db.execute_sql("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
        return
    path = Path(db.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock comes before the connection: switching a new file to WAL collides with another that does the same.
    with path.with_name(f"{path.name}.migrate").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(deadline)
        yield


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ConfigurationError("Another process has been migrating this database for too long")
    time.sleep(LOCK_POLL_SECONDS)
