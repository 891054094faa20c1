from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from core import (
    BadRequest,
    IdempotencyMismatch,
    Outcome,
    SessionErased,
    clock,
    create_account,
    erase_session,
    fetch_all,
    once,
    touch_session,
    transaction,
)
from core.maintenance import clean_up
from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.testing import MakeApp

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


class Act:
    """Counts how often it was done, and answers differently each time."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Outcome:
        self.done += 1
        return Outcome(200 + self.done, b"\x00\xff %d" % self.done)


@pytest.fixture
def act() -> Act:
    return Act()


@pytest.fixture
def account(make_core: MakeApp) -> Iterator[int]:
    """Open the context of an app and return the id of an account in it."""
    with make_core().app_context():
        yield create_account("Test").id


@both
def test_a_repeat_gets_the_first_answer_byte_for_byte(account: int, act: Act) -> None:
    first = once(account, "post", "key", b"body", act)

    assert once(account, "post", "key", b"body", act) == first == Outcome(201, b"\x00\xff 1")
    assert act.done == 1


@both
def test_the_same_key_with_another_body_is_refused(account: int, act: Act) -> None:
    once(account, "post", "key", b"body", act)

    with pytest.raises(IdempotencyMismatch) as refusal:
        once(account, "post", "key", b"other", act)

    assert refusal.value.status == 422
    assert act.done == 1


@both
def test_a_key_counts_for_one_account_and_one_operation(account: int, act: Act) -> None:
    other = create_account("Other").id

    once(account, "post", "key", b"body", act)
    once(other, "post", "key", b"body", act)
    once(account, "post elsewhere", "key", b"body", act)

    assert act.done == 3


def test_without_a_key_every_request_counts(account: int, act: Act) -> None:
    once(account, "post", None, b"body", act)
    once(account, "post", None, b"body", act)

    assert act.done == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b", "\x7f"])
def test_an_unusable_key_is_refused(key: str, account: int, act: Act) -> None:
    with pytest.raises(BadRequest):
        once(account, "post", key, b"body", act)

    assert act.done == 0


@both
@pytest.mark.parametrize(
    "key", ["k", "x" * 255, "ü", "a b", "8e03978e-40d5-43e8-bc93-6894a57f9324"]
)
def test_any_printable_key_will_do(key: str, account: int, act: Act) -> None:
    once(account, "post", key, b"body", act)
    once(account, "post", key, b"body", act)

    assert act.done == 1


@both
def test_a_failed_request_is_not_kept(account: int, act: Act) -> None:
    def fail() -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        once(account, "post", "key", b"body", fail)

    assert once(account, "post", "key", b"body", act).status == 201


@both
def test_an_answer_is_kept_for_a_day(
    account: int, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = clock.now()
    once(account, "post", "key", b"body", act)
    monkeypatch.setattr(clock, "now", lambda: start + clock.DAY - clock.MINUTE)
    once(account, "post", "key", b"body", act)
    assert act.done == 1

    monkeypatch.setattr(clock, "now", lambda: start + clock.DAY + clock.MINUTE)
    once(account, "post", "key", b"other", act)
    assert act.done == 2


def test_old_answers_are_cleaned_up(account: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start = clock.now()
    once(account, "post", "key", b"body", Act())
    monkeypatch.setattr(clock, "now", lambda: start + clock.DAY + clock.MINUTE)

    clean_up()

    assert fetch_all("SELECT COUNT(*) FROM core_answer") == [(0,)]


def test_the_clients_own_key_is_not_stored(account: int) -> None:
    once(account, "post", "somebody@example.com", b"body", Act())

    assert "somebody" not in str(fetch_all("SELECT * FROM core_answer"))


@both
def test_a_repeat_after_an_erasure_does_not_bring_the_answer_back(account: int) -> None:
    def act() -> Outcome:
        return Outcome(200, b"personal", touch_session(account, "s").key)

    once(account, "post", "key", b"body", act)
    erase_session(account, "s")

    with pytest.raises(SessionErased):
        once(account, "post", "key", b"body", act)


@both
def test_simultaneous_repeats_are_done_once(make_core: MakeApp) -> None:
    app = make_core()
    with app.app_context():
        account = create_account("Test").id
    start = threading.Barrier(6)
    outcomes: list[Outcome] = []

    def act() -> Outcome:
        ((count,),) = fetch_all(
            "INSERT INTO core_heartbeat (name, at) VALUES ('done', 1)"
            " ON CONFLICT (name) DO UPDATE SET at = core_heartbeat.at + 1 RETURNING at"
        )
        return Outcome(200, b"%d" % count)

    def repeat() -> None:
        with app.app_context():
            with transaction():  # connected, so that all arrive together
                fetch_all("SELECT 1")
            start.wait(10)
            outcomes.append(once(account, "post", "key", b"body", act))

    threads = [threading.Thread(target=repeat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [Outcome(200, b"1")] * 6
