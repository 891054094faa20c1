from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import peewee
import pytest

from app import BUILTIN_PLUGINS
from core import ConfigurationError, db, hookimpl, migrations
from core.database import open_database
from core.factory import build_app
from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

FIRST = """
import peewee

def up(migrator, db):
    class Thing(peewee.Model):
        class Meta:
            database = db
            table_name = "things_thing"
    db.create_tables([Thing])

def down(migrator, db):
    db.execute_sql("DROP TABLE things_thing")
"""
SECOND = """
import peewee

def up(migrator, db):
    migrator.migrate(migrator.add_column("things_thing", "size", peewee.IntegerField(default=1)))

def down(migrator, db):
    migrator.migrate(migrator.drop_column("things_thing", "size"))
"""
BROKEN = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE things_half (id INTEGER)")
    raise ZeroDivisionError
"""


class Things:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @hookimpl
    def register_migrations(self) -> Path:
        return self.directory


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Return a directory with a plugin's two migrations."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "0001_first.py").write_text(FIRST)
    (directory / "0002_second.py").write_text(SECOND)
    return directory


@pytest.fixture
def empty_database(request: pytest.FixtureRequest, storage: str, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without any table, which does not exist yet on SQLite."""
    if storage == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh' / 'subtext.db'}"
        return
    import psycopg

    server: str = request.getfixturevalue("postgres_server")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
        before, _, query = server.partition("?")
        yield f"{before.rpartition('/')[0]}/fresh?{query}"
        connection.execute("DROP DATABASE fresh WITH (FORCE)")


@pytest.fixture
def things(empty_database: str, series: Path) -> Iterator[Flask]:
    """Open the context of an app whose database is empty, with one plugin."""
    app = build_app(
        {}, {"DATABASE_URL": empty_database}, plugins={"things": Things(series)}, discover=False
    )
    with app.app_context():
        yield app
    app.extensions["subtext"].database.close_all()


both = pytest.mark.parametrize("storage", BOTH, indirect=True)


@both
def test_the_core_and_each_plugin_are_migrated_once(things: Flask) -> None:
    assert migrations.upgrade() == [
        "core/0001_initial",
        "core/0002_keys",
        "things/0001_first",
        "things/0002_second",
    ]
    assert migrations.upgrade() == []
    assert migrations.pending() == []
    assert {"migration_core", "migration_things", "things_thing"} <= set(db.get_tables())


@both
def test_the_status_tells_what_is_applied_and_what_is_not(things: Flask, series: Path) -> None:
    migrations.upgrade()
    (series / "0003_third.py").write_text("def up(migrator, db): pass")

    assert migrations.status() == [
        ("core", "0001_initial", True),
        ("core", "0002_keys", True),
        ("things", "0001_first", True),
        ("things", "0002_second", True),
        ("things", "0003_third", False),
    ]
    assert migrations.pending() == ["things/0003_third"]


@both
def test_the_last_migration_of_one_series_can_be_taken_back_and_done_again(things: Flask) -> None:
    migrations.upgrade()

    assert migrations.downgrade("things") == ["things/0002_second"]
    assert "size" not in {column.name for column in db.get_columns("things_thing")}
    assert migrations.upgrade() == ["things/0002_second"]
    assert "size" in {column.name for column in db.get_columns("things_thing")}


@both
def test_a_whole_series_can_be_taken_back(things: Flask) -> None:
    migrations.upgrade()

    assert migrations.downgrade("things", "0001_first") == [
        "things/0002_second",
        "things/0001_first",
    ]
    assert migrations.downgrade("core", "0001_initial") == ["core/0002_keys", "core/0001_initial"]
    assert not [table for table in db.get_tables() if not table.startswith("migration_")]


@both
def test_a_migration_that_fails_leaves_nothing_behind(things: Flask, series: Path) -> None:
    migrations.upgrade()
    (series / "0003_broken.py").write_text(BROKEN)

    with pytest.raises(ZeroDivisionError):
        migrations.upgrade()

    assert "things_half" not in db.get_tables()
    assert migrations.pending() == ["things/0003_broken"]


def test_an_unknown_series_or_migration_is_refused(things: Flask) -> None:
    migrations.upgrade()

    with pytest.raises(ConfigurationError, match="no series thing; there are core, things"):
        migrations.downgrade("thing")
    with pytest.raises(ConfigurationError, match="0009_none"):
        migrations.downgrade("things", "0009_none")


@both
def test_the_tables_of_a_plugin_that_is_gone_stay(things: Flask, empty_database: str) -> None:
    migrations.upgrade()
    without = build_app({}, {"DATABASE_URL": empty_database}, discover=False)

    with without.app_context():
        assert migrations.upgrade() == []
        assert "things_thing" in db.get_tables()
    without.extensions["subtext"].database.close_all()


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_migration_may_take_longer_than_a_request(empty_database: str, series: Path) -> None:
    (series / "0003_slow.py").write_text(
        # Longer than the server lets it take, and than the client waits.
        "def up(migrator, db): db.execute_sql('SELECT pg_sleep(1.2)')"
    )
    app = build_app(
        {},
        {"DATABASE_URL": empty_database, "SUBTEXT_DATABASE_TIMEOUT": 0.01},
        plugins={"things": Things(series)},
        discover=False,
    )

    with app.app_context():
        assert "things/0003_slow" in migrations.upgrade()
        with pytest.raises(peewee.OperationalError):
            db.execute_sql("SELECT pg_sleep(0.3)")
    app.extensions["subtext"].database.close_all()


@both
def test_two_releases_that_start_at_the_same_moment_wait_for_one_another(
    empty_database: str, root: Path
) -> None:
    environment: dict[str, Any] = {
        **os.environ,
        "DATABASE_URL": empty_database,
        "SUBTEXT_PLUGINS_DISABLED": ",".join(BUILTIN_PLUGINS),
    }
    command = [sys.executable, "-m", "flask", "--app", "app:create_app", "db", "upgrade"]

    releases = [
        subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = sorted(release.communicate(timeout=120) for release in releases)

    assert said == [
        ("applied core/0001_initial\napplied core/0002_keys\n", ""),
        ("nothing to apply\n", ""),
        ("nothing to apply\n", ""),
    ]
    database = open_database(empty_database, data="", pool=1, timeout=5, synchronous="FULL")
    assert "core_session" in database.get_tables()
    database.close_all()
