"""PostgreSQL can spread every table that grows by account or session, and a session then lies in one part of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peewee
import psycopg
import pytest

from core import Model, db, fetch_all, hookimpl, migrations
from core.sessions import erase_session
from core.testing import bearer, drain
from plugins.stream import services
from plugins.stream.analysis.findings import (
    EngagementUpdated,
    QualityPeriod,
    Result,
    SignalDetected,
    SignalEnded,
)
from plugins.stream.findings import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result as Said
    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

#: Looked up by what a request brings (a tenant, the digest of a key), and small.
SMALL = {"core_account", "core_api_key", "core_heartbeat"}
SHOWN = {"search_results": [{"object_id": "o", "rank": 1}]}
AT = "2026-03-16T10:14:30.000Z"


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """Return the URL of a database of its own, which others do not find in parts."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE parts")
        before, _, query = postgres_server.partition("?")
        yield f"{before.rpartition('/')[0]}/parts?{query}"
        connection.execute("DROP DATABASE parts WITH (FORCE)")


@pytest.fixture
def whole(make_app: MakeApp, database: str) -> Flask:
    """Return an app with all plugins on a PostgreSQL whose tables are whole."""
    return make_app(DATABASE_URL=database)


@pytest.fixture
def someone(whole: Flask, make_caller: MakeCaller) -> Caller:
    return make_caller(whole)


def spread(app: Flask, *arguments: str) -> Said:
    return app.test_cli_runner().invoke(args=["db", "partition", *arguments])


def tell(app: Flask, caller: Caller, session_id: str, number: int = 0) -> None:
    """Send an event through each API, the same ones for the same number, and let them become evidence."""
    client, headers = app.test_client(), caller.headers
    events = [{"type": "error", "id": f"e{number}"}, {"type": "click", "id": f"c{number}"}]
    pushed = [{"event_id": f"e{number}", "object_id": "o", "event_type": "click"}]
    item = {"eventType": "click", "targetSelector": "#a", "x": 1, "y": number, "timestamp": AT}
    token = bearer(app, caller.tenant, scope="ingest")
    for path, body, who in (
        (f"/v1/sessions/{session_id}/events", {"events": events}, headers),
        ("/api/data/events", {"sessionId": session_id, "batch": [item]}, token),
        ("/session", {"session_id": session_id, "search_query": "q", **SHOWN}, headers),
        ("/session/events", {"session_id": session_id, "events": pushed}, headers),
    ):
        answer = client.post(path, json=body, headers=who)
        assert answer.status_code < 300, (path, answer.get_json())
    drain(app)


def known(app: Flask, caller: Caller, session_id: str) -> list[Any]:
    """Return what the APIs tell of a session, and of all."""
    client = app.test_client()
    found = []
    for path in (
        f"/v1/sessions/{session_id}/mood",
        f"/v1/sessions/{session_id}/timeline",
        f"/session?session_id={session_id}",
        "/v1/analytics/moods",
        "/v1/search/metrics",
    ):
        answer = client.get(path, headers=caller.headers)
        assert answer.status_code == 200, (path, answer.get_json())
        found.append(answer.get_json())
    return found


def analyse(app: Flask, caller: Caller, session_id: str) -> None:
    """Stream a segment and keep what is found in it, as web and worker do."""
    with app.app_context():
        take = services.open_recording(caller.account_id, session_id, "c", services.LIVE)
        key = services.accept_segment(take, 1, b"media", 3.0, None)
        services.settle_segments([(take.session.key, key)], services.ANALYSED)
        keeper = Keeper(take)
        keeper.keep([SignalDetected("confusion", 1.0, "low", ""), EngagementUpdated("engaged", 0)])
        keeper.keep([SignalEnded("confusion", 2.0)])
        keeper.close(Result(3.0, (), (), {}, (QualityPeriod(0.0, 3.0, {}),)), 3.0)


def described_indexes() -> set[str]:
    """Return the indexes of tables, not those of their parts, each with its name and columns."""
    rows = fetch_all(
        "SELECT c.relname, i.indisunique, i.indkey::text FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition"
    )
    return {str(row) for row in rows}


def parts_read() -> dict[str, int]:
    """Return of how many parts of each table something was read or written since the last call."""
    fetch_all("SELECT pg_stat_force_next_flush()")
    rows = fetch_all(
        "SELECT inhparent::regclass::text, COUNT(*) FROM pg_inherits"
        " JOIN pg_stat_user_tables ON relid = inhrelid"
        " WHERE seq_scan + idx_scan + n_tup_ins > 0 GROUP BY 1"
    )
    fetch_all("SELECT pg_stat_reset()")
    return dict(rows)


def test_every_key_starts_with_the_account_or_the_session(whole: Flask) -> None:
    with whole.app_context():
        keys = fetch_all(
            "SELECT i.indrelid::regclass::text, a.attname FROM pg_index i"
            " JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = 'public'::regnamespace"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
            " WHERE i.indisunique"
        )

    others = {
        (table, column) for table, column in keys if column not in {"account_id", "session_key"}
    }
    assert {table for table, _ in others if not table.startswith("migration_")} == SMALL
    assert len({table for table, _ in keys} - SMALL) > 20


def test_what_is_stored_stays_and_everything_goes_on(whole: Flask, someone: Caller) -> None:
    for session_id in ("a", "b", "c"):
        tell(whole, someone, session_id)
    before = known(whole, someone, "a")
    with whole.app_context():
        indexes = described_indexes()

    said = spread(whole, "--partitions", "4").output

    assert "core_session: 4 partitions by account_id, 3 rows" in said
    assert "mood_event: 4 partitions by session_key, 6 rows" in said
    assert "mood_quota" not in said
    assert (
        "core_session: 4 partitions by account_id, as before"
        in spread(whole, "--partitions", "4").output
    )
    with whole.app_context():
        assert described_indexes() == indexes
    assert known(whole, someone, "a") == before
    tell(whole, someone, "a")  # repeats count once
    assert known(whole, someone, "a") == before
    tell(whole, someone, "a", 1)
    more = known(whole, someone, "a")
    assert more[0]["event_count"] == before[0]["event_count"] + 2
    assert len(more[1]["entries"]) > len(before[1]["entries"])

    assert "mood_event: 2 partitions" in spread(whole, "--partitions", "2").output
    assert known(whole, someone, "a") == more
    with whole.app_context():
        assert erase_session(someone.account_id, "a") >= 8
    assert "mood_event: one table, 4 rows" in spread(whole, "--partitions", "0").output
    tell(whole, someone, "b", 1)
    with whole.app_context():
        assert described_indexes() == indexes
        for series, _ in migrations.series():
            migrations.downgrade(series, "0001_initial")
        assert not [name for name in db.get_tables() if not name.startswith("migration_")]


def test_a_session_lies_in_one_part_of_each_table(whole: Flask, someone: Caller) -> None:
    assert spread(whole, "--partitions", "4").exit_code == 0
    # From the sixth time on a statement is prepared, and in time planned for any session.
    for number in range(12):
        tell(whole, someone, "a", number)
        known(whole, someone, "a")
        analyse(whole, someone, "a")
    client = whole.test_client()
    with whole.app_context():
        parts_read()
        tell(whole, someone, "a", 12)
        told = parts_read()
        analyse(whole, someone, "a")
        analysed = parts_read()
        for path in ("/v1/sessions/a/mood", "/v1/sessions/a/timeline", "/session?session_id=a"):
            client.get(path, headers=someone.headers)
        read = parts_read()
        client.get("/v1/stream/sessions/a", headers=someone.headers)
        shown = parts_read()
        erase_session(someone.account_id, "a")
        erased = parts_read()

    assert {"core_session", "ingestion_event", "clickstream_event", "mood_evidence"} <= set(told)
    assert {"stream_recording", "stream_segment", "stream_signal"} <= set(analysed)
    assert {"mood_state", "mood_event", "stream_signal"} <= set(read)
    assert {"stream_engagement", "stream_quality"} <= set(shown)
    assert len(erased) == 18  # every table that has rows by session
    for parts in (told, analysed, read, shown, erased):
        assert set(parts.values()) == {1}, parts


def test_a_table_that_is_in_use_stays_as_it_was(make_app: MakeApp, database: str) -> None:
    app = make_app(DATABASE_URL=database, SUBTEXT_DATABASE_TIMEOUT=0.3)
    with psycopg.connect(database) as other:
        other.execute("SELECT * FROM mood_event")  # and its transaction goes on

        result = spread(
            app, "--partitions", "2", "--table", "core_session", "--table", "mood_event"
        )

    assert result.exit_code == 1
    assert "core_session: 2 partitions by account_id, 0 rows" in result.output
    assert "mood_event is in use and stays as it was" in result.output
    assert spread(app, "--partitions", "2", "--table", "mood_event").exit_code == 0


def test_requests_for_a_table_that_is_being_copied_are_told_to_come_back(
    make_app: MakeApp, make_caller: MakeCaller, database: str
) -> None:
    app = make_app(DATABASE_URL=database, SUBTEXT_DATABASE_TIMEOUT=0.3)
    someone = make_caller(app)
    events = {"events": [{"type": "click", "id": "e"}]}
    client = app.test_client()
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE mood_event IN ACCESS EXCLUSIVE MODE")
        refused = client.post("/v1/sessions/a/events", json=events, headers=someone.headers)
    taken = client.post("/v1/sessions/a/events", json=events, headers=someone.headers)

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert taken.get_json()["total_events"] == 1


class Things:
    """A plugin of somebody else: one table that can be spread, and one that cannot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @hookimpl
    def register_migrations(self) -> Path:
        return self.directory

    @hookimpl
    def register_models(self) -> tuple[type[Model], ...]:
        return (Thing, Other)


class Thing(Model):
    session_key = peewee.BigIntegerField()
    name = peewee.TextField()

    class Meta:
        table_name = "things_thing"
        primary_key = peewee.CompositeKey("session_key", "name")


class Other(Model):
    class Meta:
        table_name = "things_other"


FIRST = """
def up(migrator, db):
    db.execute_sql(
        "CREATE TABLE things_thing (session_key bigint, name text CHECK (name <> ''), size integer DEFAULT 7,"
        " PRIMARY KEY (session_key, name)) WITH (fillfactor = 70)"
    )
    db.execute_sql("CREATE INDEX things_odd ON things_thing (name) WHERE name LIKE 'a%%'")
    db.execute_sql("CREATE TABLE things_other (id bigserial PRIMARY KEY)")
"""
SECOND = """
import peewee

def up(migrator, db):
    db.execute_sql("DROP INDEX things_odd")
    migrator.migrate(migrator.add_column("things_thing", "depth", peewee.IntegerField(null=True)))
    migrator.migrate(migrator.add_index("things_thing", ("name",), False))
"""


def test_tables_of_other_plugins_are_spread_and_migrated_on(
    make_core: MakeApp, database: str, tmp_path: Path
) -> None:
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "0001_first.py").write_text(FIRST)
    app = make_core(DATABASE_URL=database, plugins={"things": Things(directory)})
    with app.app_context():
        db.execute_sql("INSERT INTO things_thing SELECT n, 'a' FROM generate_series(1, 100) n")

    said = spread(app, "--partitions", "4").output
    refused = spread(app, "--table", "things_other").output
    unknown = spread(app, "--table", "pg_class").output

    assert "The primary key of things_other starts with neither session_key nor" in refused
    assert "There is no table pg_class that can be spread" in unknown
    assert "things_thing: 4 partitions by session_key, 100 rows" in said
    assert "things_other stays whole: its key starts with neither account nor session" in said
    (directory / "0002_second.py").write_text(SECOND)
    assert "Run flask db upgrade first; pending: things/0002_second" in spread(app).output
    with app.app_context():
        migrations.upgrade()
        db.execute_sql("INSERT INTO things_thing (session_key, name) VALUES (101, 'b')")
        assert fetch_all("SELECT size, depth FROM things_thing WHERE session_key > 99") == [
            (7, None),
            (7, None),
        ]
        with pytest.raises(peewee.IntegrityError):
            db.execute_sql("INSERT INTO things_thing (session_key, name) VALUES (102, '')")
        assert fetch_all(
            "SELECT DISTINCT c.reloptions FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = 'things_thing'::regclass"
        ) == [(["fillfactor=70"],)]


def test_sqlite_has_no_partitions(app: Flask) -> None:
    result = spread(app)

    assert result.exit_code == 1
    assert "Only PostgreSQL has partitions" in result.output
