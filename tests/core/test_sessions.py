from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from core import (
    Evidence,
    Invalid,
    NotFound,
    Outcome,
    Session,
    SessionErased,
    clock,
    create_account,
    erase_session,
    fetch_all,
    find_session,
    get_session,
    hookimpl,
    once,
    record_evidence,
    sessions,
    touch_session,
    transaction,
)
from core.evidence import drain_outbox
from core.maintenance import clean_up
from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from core.testing import MakeApp

both = pytest.mark.parametrize("storage", BOTH, indirect=True)

STRANGE_IDS = ["a", " ", "a/b//c", "..", "ü🙂", "x" * 256, "'; DROP TABLE core_session --", "%00"]


@pytest.fixture
def account(make_core: MakeApp) -> Iterator[int]:
    """Open the context of an app and return the id of an account in it."""
    with make_core().app_context():
        yield create_account("Test").id


def touch(account: int, session_id: str = "s") -> Session:
    with transaction():
        return touch_session(account, session_id)


@both
@pytest.mark.parametrize("session_id", STRANGE_IDS)
def test_any_text_can_be_a_session_id(session_id: str, account: int) -> None:
    session = touch(account, session_id)

    assert get_session(account, session_id) == session
    assert touch(account, session_id) == session


@both
@pytest.mark.parametrize(
    "session_id", ["", "x" * 257, "a\x00b", "\ud800", None, 1, True, 1.5, ["s"], {"s": 1}, b"s"]
)
def test_an_impossible_session_id_is_refused_and_never_found(session_id: Any, account: int) -> None:
    with pytest.raises(Invalid):
        touch(account, session_id)
    if isinstance(session_id, str):
        assert find_session(account, session_id) is None


@both
def test_the_same_id_is_another_session_for_another_account(account: int) -> None:
    other = create_account("Other").id

    mine, theirs = touch(account), touch(other)

    assert mine.key != theirs.key
    erase_session(account, "s")
    assert find_session(other, "s") == theirs
    assert touch(other) == theirs


@both
def test_what_nobody_has_seen_is_not_found(account: int) -> None:
    assert find_session(account, "s") is None
    with pytest.raises(NotFound):
        get_session(account, "s")
    with pytest.raises(NotFound):
        erase_session(account, "s")


@both
def test_touching_marks_the_session_as_seen_to_within_a_minute(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_000)
    touch(account)
    monkeypatch.setattr(clock, "now", lambda: 1_000 + clock.MINUTE)
    touch(account)
    assert fetch_all("SELECT first_seen, last_seen FROM core_session") == [(1_000, 1_000)]

    later = 1_001 + clock.MINUTE
    monkeypatch.setattr(clock, "now", lambda: later)
    touch(account)
    assert fetch_all("SELECT first_seen, last_seen FROM core_session") == [(1_000, later)]


@both
def test_an_erased_session_cannot_be_written_while_its_tombstone_stands(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(account)
    erase_session(account, "s")

    with pytest.raises(SessionErased) as refusal:
        touch(account)
    assert refusal.value.status == 410
    assert refusal.value.extra == {"session_id": "s"}
    assert find_session(account, "s") is None

    later = clock.now() + 31 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert touch(account).session_id == "s"


@both
def test_a_tombstone_holds_no_session_id(account: int) -> None:
    touch(account, "somebody@example.com")
    erase_session(account, "somebody@example.com")

    (row,) = fetch_all("SELECT * FROM core_tombstone")
    assert "somebody" not in str(row)


@both
def test_a_session_can_be_erased_again_after_its_tombstone_is_gone(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(account)
    erase_session(account, "s")
    later = clock.now() + 31 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    touch(account)

    erase_session(account, "s")

    with pytest.raises(SessionErased):
        touch(account)


def test_without_tombstones_an_erased_session_may_begin_anew(make_core: MakeApp) -> None:
    with make_core(SUBTEXT_TOMBSTONE_DAYS=0).app_context():
        account = create_account("Test").id
        first = touch(account)
        erase_session(account, "s")

        assert touch(account).key != first.key or find_session(account, "s") is not None


class Diary:
    """Keeps nothing, but says what it was asked to erase."""

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.broken = False

    @hookimpl
    def erase_session(self, session: Session) -> int:
        if self.broken:
            raise ZeroDivisionError
        self.erased.append(session.session_id)
        return 5

    @hookimpl
    def evidence_recorded(self, session: Session) -> None:
        """Take it."""


@both
def test_erasing_reaches_every_plugin_the_outbox_and_the_stored_answers(
    make_core: MakeApp,
) -> None:
    diary = Diary()
    with make_core(plugins={"diary": diary}).app_context():
        account = create_account("Test").id

        def act() -> Outcome:
            session = touch_session(account, "s")
            record_evidence(session, "diary", [Evidence(1, "interaction", "click", 1.0, "e:1")])
            return Outcome(200, b"{}", session.key)

        once(account, "post", "key", b"body", act)

        assert erase_session(account, "s") == 5 + 1 + 1 + 1
        assert diary.erased == ["s"]
        for table in ("core_outbox", "core_answer", "core_session"):
            assert fetch_all(f"SELECT COUNT(*) FROM {table}") == [(0,)]  # noqa: S608


@both
def test_when_one_plugin_cannot_erase_nothing_is_erased(make_core: MakeApp) -> None:
    diary = Diary()
    with make_core(plugins={"diary": diary}).app_context():
        account = create_account("Test").id
        session = touch(account)
        diary.broken = True

        with pytest.raises(ZeroDivisionError):
            erase_session(account, "s")

        assert touch(account) == session


@both
def test_sessions_past_the_retention_time_are_erased_and_others_stay(
    make_core: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary()
    with make_core(plugins={"diary": diary}, SUBTEXT_RETENTION_DAYS=7).app_context():
        account = create_account("Test").id
        start = clock.now()
        touch(account, "old")
        touch(account, "returning")
        monkeypatch.setattr(clock, "now", lambda: start + 8 * clock.DAY)
        touch(account, "returning")
        touch(account, "new")

        clean_up()

        assert diary.erased == ["old"]
        assert find_session(account, "returning") is not None
        assert find_session(account, "new") is not None
        # Retention is no erasure that somebody asked for: who comes back begins anew.
        assert touch(account, "old").session_id == "old"


def test_one_clean_up_erases_more_sessions_than_one_batch(
    make_core: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_core(SUBTEXT_RETENTION_DAYS=1).app_context():
        account = create_account("Test").id
        with transaction():
            for number in range(501):
                touch_session(account, f"s{number}")
        later = clock.now() + 2 * clock.DAY
        monkeypatch.setattr(clock, "now", lambda: later)

        clean_up()

        assert fetch_all("SELECT COUNT(*) FROM core_session") == [(0,)]


def test_without_a_retention_time_sessions_stay(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(account)
    later = clock.now() + 36_500 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)

    clean_up()

    assert find_session(account, "s") is not None


@both
def test_tombstones_are_forgotten_when_their_time_is_over(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(account)
    erase_session(account, "s")
    assert sessions.drop_expired_tombstones() == 0

    later = clock.now() + 31 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)

    assert sessions.drop_expired_tombstones() == 1


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_erasing_while_evidence_of_the_session_is_told_does_not_deadlock(
    make_core: MakeApp,
) -> None:
    told, go_on = threading.Event(), threading.Event()

    class Slow:
        @hookimpl
        def evidence_recorded(self, session: Session) -> None:
            told.set()
            go_on.wait(10)

    app = make_core(plugins={"slow": Slow()})
    with app.app_context():
        account = create_account("Test").id
        with transaction():
            session = touch_session(account, "s")
            record_evidence(session, "slow", [Evidence(1, "interaction", "click", 1.0, "e:1")])

    outcomes: list[object] = []

    def drain() -> None:
        with app.app_context():
            outcomes.append(("drained", drain_outbox()))

    def erase() -> None:
        with app.app_context():
            outcomes.append(("erased", erase_session(account, "s") > 0))

    threads = [threading.Thread(target=work) for work in (drain, erase)]
    threads[0].start()
    told.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)

    assert sorted(map(str, outcomes)) == ["('drained', 1)", "('erased', True)"]
    with app.app_context():
        assert fetch_all("SELECT COUNT(*) FROM core_outbox") == [(0,)]


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_drain_that_finds_its_session_being_erased_drops_the_evidence(
    make_core: MakeApp,
) -> None:
    erasing, go_on = threading.Event(), threading.Event()
    told: list[str] = []

    class Slow:
        @hookimpl
        def erase_session(self, session: Session) -> int:
            erasing.set()
            go_on.wait(10)
            return 0

        @hookimpl
        def evidence_recorded(self, session: Session) -> None:
            told.append(session.session_id)

    app = make_core(plugins={"slow": Slow()})
    with app.app_context():
        account = create_account("Test").id
        with transaction():
            session = touch_session(account, "s")
            record_evidence(session, "slow", [Evidence(1, "interaction", "click", 1.0, "e:1")])
    failures: list[BaseException] = []

    def run(work: Any) -> None:
        try:
            with app.app_context():
                work()
        except Exception as error:  # noqa: BLE001 (whatever a thread raises fails the test below)
            failures.append(error)

    eraser = threading.Thread(target=run, args=(lambda: erase_session(account, "s"),))
    drainer = threading.Thread(target=run, args=(drain_outbox,))
    eraser.start()
    erasing.wait(10)
    drainer.start()
    # The drainer holds the row of the outbox now, or soon, and waits for the session.
    with app.app_context():
        for _ in range(200):
            waiting = fetch_all(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
            if waiting != [(0,)]:
                break
            go_on.wait(0.02)
    go_on.set()
    eraser.join(30)
    drainer.join(30)

    assert failures == []
    assert told == []
    with app.app_context():
        assert fetch_all("SELECT COUNT(*) FROM core_outbox") == [(0,)]
        with pytest.raises(SessionErased):
            touch(account)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_one_session_touched_from_many_threads_is_one_session(make_core: MakeApp) -> None:
    app: Flask = make_core()
    with app.app_context():
        account = create_account("Test").id
    keys: list[int] = []

    def work() -> None:
        with app.app_context():
            keys.append(touch(account).key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1
