from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import peewee
import pytest

from core import Model, Unavailable, after_commit, db, fetch_all, insert_rows, transaction
from core.database import is_unavailable, open_database, release_connection
from core.runtime import EXTENSION
from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from core.testing import MakeApp

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


class Note(Model):
    id = peewee.BigAutoField()
    author = peewee.BigIntegerField()
    number = peewee.IntegerField()
    weight = peewee.FloatField(null=True)
    flagged = peewee.BooleanField(null=True)
    text = peewee.TextField(null=True)
    picture = peewee.BlobField(null=True)

    class Meta:
        table_name = "tiny_note"
        indexes = ((("author", "number"), True),)


@pytest.fixture
def notes(core_app: Flask) -> Iterator[Flask]:
    """Open an app context with the table of notes."""
    with core_app.app_context():
        db.create_tables([Note])
        try:
            yield core_app
        finally:
            db.drop_tables([Note])


def numbers() -> list[int]:
    return [number for (number,) in fetch_all("SELECT number FROM tiny_note ORDER BY number")]


def write(*of: int) -> int:
    return insert_rows(Note, ["author", "number"], [(1, number) for number in of])


@both
def test_what_a_transaction_wrote_is_committed_together(notes: Flask) -> None:
    with transaction():
        write(1)
        write(2)

    release_connection()
    assert numbers() == [1, 2]


@both
def test_an_error_takes_everything_in_the_transaction_back(notes: Flask) -> None:
    with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
        write(1)
        raise ZeroDivisionError

    assert numbers() == []


@both
def test_an_error_in_an_inner_transaction_takes_only_that_one_back(notes: Flask) -> None:
    with transaction():
        write(1)
        with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
            write(2)
            raise ZeroDivisionError
        write(3)

    assert numbers() == [1, 3]


@both
def test_a_transaction_can_be_used_again_after_a_broken_statement(notes: Flask) -> None:
    with pytest.raises(peewee.DatabaseError), transaction():
        fetch_all("SELECT nothing FROM nowhere")
    with transaction():
        write(1)

    assert numbers() == [1]


def test_callbacks_run_after_the_commit_when_the_lock_is_free(notes: Flask) -> None:
    seen: list[object] = []

    def look() -> None:
        with transaction():  # would wait for the lock if it were still held
            seen.append((db.in_transaction(), numbers()))

    with transaction():
        write(1)
        after_commit(look)
        with transaction():
            after_commit(lambda: seen.append("inner"))
        assert seen == []

    assert seen == [(True, [1]), "inner"]


def test_a_callback_may_open_a_transaction_of_its_own(notes: Flask) -> None:
    def more() -> None:
        with transaction():
            write(2)
            after_commit(lambda: seen.append(numbers()))

    seen: list[list[int]] = []
    with transaction():
        write(1)
        after_commit(more)

    assert seen == [[1, 2]]


def test_a_rollback_forgets_its_callbacks(notes: Flask) -> None:
    seen: list[str] = []
    with transaction():
        after_commit(lambda: seen.append("outer"))
        with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
            after_commit(lambda: seen.append("inner"))
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
        after_commit(lambda: seen.append("lost"))
        raise ZeroDivisionError

    assert seen == ["outer"]


def test_without_a_transaction_a_callback_runs_at_once(notes: Flask) -> None:
    seen: list[int] = []

    after_commit(lambda: seen.append(1))

    assert seen == [1]


@both
def test_rows_that_are_there_already_are_skipped_and_not_counted(notes: Flask) -> None:
    assert write(1, 2, 3) == 3
    assert write(2, 3, 4, 4) == 1
    assert numbers() == [1, 2, 3, 4]


@both
def test_inserting_no_rows_does_nothing(notes: Flask) -> None:
    assert write() == 0


@both
def test_a_batch_of_more_rows_than_one_statement_takes_is_inserted_whole(notes: Flask) -> None:
    with transaction():
        assert write(*range(12_345)) == 12_345
        assert write(*range(12_340, 12_350)) == 5

    assert fetch_all("SELECT COUNT(*) FROM tiny_note") == [(12_350,)]


@both
def test_values_of_every_kind_come_back_as_they_went_in(notes: Flask) -> None:
    columns = ["author", "number", "weight", "flagged", "text", "picture"]
    rows = [
        (2**63 - 1, 1, 1, True, 'é 🙂 "\\{},', b"\x00\xff"),
        (-(2**63), 2, 2.5, False, "", b""),
        (3, 3, None, None, None, None),
    ]

    assert insert_rows(Note, columns, rows) == 3

    found = fetch_all(
        "SELECT author, number, weight, flagged, text, picture FROM tiny_note ORDER BY number"
    )
    assert [(*row[:-1], None if row[-1] is None else bytes(row[-1])) for row in found] == rows


@both
def test_a_column_that_is_null_in_every_row_can_be_inserted(notes: Flask) -> None:
    rows = [(1, n, None, None, None) for n in range(3)]

    assert insert_rows(Note, ["author", "number", "weight", "text", "picture"], rows) == 3


@both
def test_rows_that_cannot_be_stored_leave_nothing_behind(notes: Flask) -> None:
    rows = [(1, 1), (1, 2**70)]

    with pytest.raises((peewee.DatabaseError, OverflowError)), transaction():
        insert_rows(Note, ["author", "number"], rows)

    assert numbers() == []


@both
def test_handwritten_statements_take_the_same_placeholders_on_both(notes: Flask) -> None:
    write(1, 2)

    assert fetch_all("SELECT number FROM tiny_note WHERE number % 2 = ?", (0,)) == [(2,)]
    assert fetch_all(
        "UPDATE tiny_note SET text = ? WHERE number = ? RETURNING text", ("x%", 1)
    ) == [("x%",)]
    assert fetch_all("DELETE FROM tiny_note WHERE number = ? RETURNING id", (9,)) == []


@both
def test_a_mistake_in_a_statement_is_not_taken_for_a_database_that_is_away(notes: Flask) -> None:
    with pytest.raises(peewee.DatabaseError) as mistake:
        fetch_all("SELECT nothing FROM nowhere")

    assert not is_unavailable(mistake.value)


def test_a_database_that_cannot_be_opened_is_away(tmp_path: Path) -> None:
    database = open_database(
        f"sqlite:///{tmp_path}/none/x.db", data="", pool=1, timeout=0.1, synchronous="FULL"
    )

    with pytest.raises(peewee.OperationalError) as failure:
        database.connect()

    assert is_unavailable(failure.value)


def test_a_postgresql_that_is_not_there_is_away(make_core: MakeApp) -> None:
    database = open_database(
        "postgresql://nobody@127.0.0.1:1/none", data="", pool=1, timeout=2, synchronous="FULL"
    )

    with pytest.raises(peewee.OperationalError) as failure:
        database.connect()

    assert is_unavailable(failure.value)


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_statement_that_takes_too_long_is_ended(make_core: MakeApp) -> None:
    app = make_core(SUBTEXT_DATABASE_TIMEOUT=0.05)

    with app.app_context(), pytest.raises(peewee.OperationalError) as failure:
        fetch_all("SELECT pg_sleep(20)")

    assert is_unavailable(failure.value)


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_postgresql_that_is_read_only_is_away(notes: Flask) -> None:
    fetch_all("SELECT set_config('default_transaction_read_only', 'on', false)")
    with pytest.raises(peewee.DatabaseError) as failure, transaction():
        write(1)
    fetch_all("SELECT set_config('default_transaction_read_only', 'off', false)")

    assert is_unavailable(failure.value)


def test_a_request_that_cannot_have_the_write_lock_is_told_to_come_back(
    make_core: MakeApp,
) -> None:
    app = make_core(SUBTEXT_DATABASE_TIMEOUT=0.05, SUBTEXT_SELF_SERVICE_KEYS=True)

    @app.post("/write")
    def write_something() -> str:
        with transaction():
            return "written"

    lock = app.extensions[EXTENSION].database.write_lock
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            held.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        held.wait(10)
        answer = app.test_client().post("/write")
    finally:
        release.set()
        holder.join()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert app.test_client().post("/write").status_code == 200


def test_who_waits_for_a_connection_does_not_hold_the_write_lock(make_core: MakeApp) -> None:
    app = make_core(SUBTEXT_DATABASE_POOL=1, SUBTEXT_DATABASE_TIMEOUT=5.0)
    reading, waiting = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def note(work: Callable[[], None]) -> None:
        try:
            with app.app_context():
                work()
        except (Unavailable, peewee.DatabaseError, ValueError) as error:
            outcomes.append(repr(error))
        else:
            outcomes.append("done")

    def read_then_write() -> None:
        fetch_all("SELECT 1")  # takes the only connection
        reading.set()
        waiting.wait(10)
        with transaction():
            fetch_all("SELECT 1")

    def write_at_once() -> None:
        reading.wait(10)
        threading.Timer(0.2, waiting.set).start()  # by then this one waits for the connection
        with transaction():
            fetch_all("SELECT 1")

    threads = [threading.Thread(target=note, args=(w,)) for w in (read_then_write, write_at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == ["done", "done"]


def test_a_pool_without_a_free_connection_is_answered_with_503(make_core: MakeApp) -> None:
    app = make_core(SUBTEXT_DATABASE_POOL=1, SUBTEXT_DATABASE_TIMEOUT=0.05)

    @app.get("/read")
    def read() -> str:
        fetch_all("SELECT 1")
        return "read"

    taken, release = threading.Event(), threading.Event()

    def keep() -> None:
        with app.app_context():
            fetch_all("SELECT 1")
            taken.set()
            release.wait(10)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        taken.wait(10)
        answer = app.test_client().get("/read")
    finally:
        release.set()
        keeper.join()

    assert answer.status_code == 503


@pytest.mark.parametrize("url", ["sqlite:///relative.db", "sqlite:////absolute/with%20space.db"])
def test_a_sqlite_url_names_a_file(url: str) -> None:
    database = open_database(url, data="", pool=1, timeout=1, synchronous="FULL")

    assert database.database in {"relative.db", "/absolute/with space.db"}


def test_without_a_url_the_file_lies_in_the_data_directory() -> None:
    database = open_database("", data="here", pool=1, timeout=1, synchronous="FULL")

    assert database.database == "here/subtext.db"
