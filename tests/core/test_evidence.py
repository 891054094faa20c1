from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core import (
    Evidence,
    Session,
    clock,
    create_account,
    evidence,
    fetch_all,
    hookimpl,
    record_evidence,
    touch_session,
    transaction,
)
from core.runtime import EXTENSION
from core.testing import BOTH, drain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from core.testing import MakeApp

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


class Ear:
    """Writes down what it hears in the database, and fails when told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: BaseException | None = None
        self.broken_statement = False
        self.heard: list[tuple[str, str, list[str]]] = []

    @hookimpl
    def evidence_recorded(
        self, session: Session, source: str, evidence: Sequence[Evidence]
    ) -> None:
        fetch_all(
            "INSERT INTO core_heartbeat (name, at) VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET at = core_heartbeat.at + 1 RETURNING at",
            (self.name,),
        )
        if self.broken_statement:
            fetch_all("SELECT nothing FROM nowhere")
        if self.failure is not None:
            raise self.failure
        self.heard.append((session.session_id, source, [e.reference for e in evidence]))


@pytest.fixture
def ears() -> dict[str, Ear]:
    return {"left": Ear("left"), "right": Ear("right")}


@pytest.fixture
def listening(make_core: MakeApp, ears: dict[str, Ear]) -> Flask:
    return make_core(plugins=ears)


def click(reference: str, **fields: Any) -> Evidence:
    return Evidence(1, "interaction", "click", 0.5, reference, fields or None)


def record(app: Flask, session_id: str, *references: str) -> Session:
    with app.app_context(), transaction():
        account = fetch_all("SELECT id FROM core_account")
        account_id = account[0][0] if account else create_account("Test").id
        session = touch_session(account_id, session_id)
        record_evidence(session, "left", [click(reference) for reference in references])
    return session


def stored(app: Flask) -> dict[str, int]:
    """Return how often each ear's writes were committed."""
    with app.app_context():
        return dict(fetch_all("SELECT name, at FROM core_heartbeat"))


def later(monkeypatch: pytest.MonkeyPatch, microseconds: int) -> None:
    at = clock.now() + microseconds
    monkeypatch.setattr(clock, "now", lambda: at)


@both
def test_evidence_is_told_to_every_plugin_once(listening: Flask, ears: dict[str, Ear]) -> None:
    record(listening, "s", "e:1", "e:2")

    assert drain(listening) == 1
    assert drain(listening) == 0

    assert ears["left"].heard == ears["right"].heard == [("s", "left", ["e:1", "e:2"])]
    assert stored(listening) == {"left": 1, "right": 1}


@both
def test_evidence_comes_as_it_was_recorded(make_core: MakeApp) -> None:
    heard: list[Evidence] = []

    class Keeper:
        @hookimpl
        def evidence_recorded(self, evidence: Sequence[Evidence]) -> None:
            heard.extend(evidence)

    app = make_core(plugins={"keeper": Keeper()})
    said = [
        Evidence(2**53, "facial", "ü🙂\x00", 0.25, "f:1", {"x": 1, "deep": [{"y": None}]}),
        Evidence(-1, "voice", "v", 1.0, "v:1"),
    ]
    with app.app_context(), transaction():
        session = touch_session(create_account("Test").id, "s")
        record_evidence(session, "anyone", said)

    drain(app)

    assert heard == said


def test_batches_are_told_in_the_order_they_were_stored(
    listening: Flask, ears: dict[str, Ear]
) -> None:
    for number in range(5):
        record(listening, f"s{number}", "e")

    drain(listening)

    assert [session_id for session_id, *_ in ears["left"].heard] == ["s0", "s1", "s2", "s3", "s4"]


def test_no_evidence_is_no_batch(listening: Flask) -> None:
    record(listening, "s")

    assert drain(listening) == 0


def test_evidence_of_a_transaction_that_failed_is_not_told(
    listening: Flask, ears: dict[str, Ear]
) -> None:
    session = record(listening, "s")
    with listening.app_context(), pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
        record_evidence(session, "left", [click("e:1")])
        raise ZeroDivisionError

    assert drain(listening) == 0
    assert ears["left"].heard == []


@both
def test_a_plugin_that_fails_is_told_again_and_the_others_are_not(
    listening: Flask, ears: dict[str, Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    ears["left"].failure = ZeroDivisionError("on purpose")
    record(listening, "s", "e:1")

    assert drain(listening) == 0
    assert stored(listening) == {"right": 1}  # what the failing one wrote is taken back
    assert drain(listening) == 0  # it is not due yet

    ears["left"].failure = None
    later(monkeypatch, 5 * clock.SECOND)
    assert drain(listening) == 1
    assert stored(listening) == {"left": 1, "right": 1}
    assert len(ears["right"].heard) == 1


@both
def test_a_mistake_in_a_plugins_statement_does_not_hold_up_the_others(
    listening: Flask, ears: dict[str, Ear]
) -> None:
    ears["left"].broken_statement = True
    record(listening, "s", "e:1")
    record(listening, "t", "e:2")

    drain(listening)

    assert [session_id for session_id, *_ in ears["right"].heard] == ["s", "t"]
    assert stored(listening) == {"right": 2}


@both
def test_after_five_failures_a_batch_is_parked_and_can_be_told_again(
    listening: Flask, ears: dict[str, Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    ears["left"].failure = ZeroDivisionError("on purpose")
    record(listening, "s", "e:1")
    for _ in range(10):
        drain(listening)
        later(monkeypatch, clock.DAY)

    with listening.app_context():
        ((_, source, attempts, error),) = evidence.parked_rows()
        assert (source, attempts, error) == ("left", 5, "left: ZeroDivisionError")
        assert evidence.outbox_length() == 1
        ears["left"].failure = None
        assert evidence.retry_parked() == 1
    assert drain(listening) == 1
    assert stored(listening) == {"left": 1, "right": 1}


@both
def test_a_crash_while_telling_loses_nothing_and_repeats_nothing(
    listening: Flask, ears: dict[str, Ear]
) -> None:
    ears["right"].failure = SystemExit()  # the process ends while the second plugin is told
    record(listening, "s", "e:1")
    with pytest.raises(SystemExit):
        drain(listening)
    assert stored(listening) == {}

    ears["right"].failure = None
    assert drain(listening) == 1
    assert stored(listening) == {"left": 1, "right": 1}


@both
def test_evidence_of_a_session_that_is_gone_is_dropped(
    listening: Flask, ears: dict[str, Ear]
) -> None:
    session = record(listening, "s", "e:1")
    with listening.app_context():
        fetch_all("DELETE FROM core_session WHERE id = ? RETURNING id", (session.key,))

    assert drain(listening) == 1
    assert ears["left"].heard == []


def test_a_plugin_that_was_removed_in_the_meantime_is_not_waited_for(
    make_core: MakeApp, ears: dict[str, Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    ears["left"].failure = ZeroDivisionError("on purpose")
    app = make_core(plugins=ears)
    record(app, "s", "e:1")
    drain(app)
    later(monkeypatch, 5 * clock.SECOND)

    without = make_core(plugins={"right": ears["right"]})

    assert drain(without) == 1
    assert len(ears["right"].heard) == 1


def test_one_run_leaves_time_for_other_jobs(listening: Flask, ears: dict[str, Ear]) -> None:
    for number in range(5):
        record(listening, f"s{number}", "e")

    with listening.app_context():
        assert evidence.drain_outbox(limit=3) == 3
        assert evidence.outbox_length() == 2


def test_what_is_recorded_nudges_the_job_that_tells_it_after_the_commit(
    listening: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[str, str]] = []
    jobs = listening.extensions[EXTENSION].jobs
    monkeypatch.setattr(jobs, "enqueue", lambda name, unique: nudged.append((name, unique)))

    session = record(listening, "s", "e:1")
    with listening.app_context(), pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 (the body is what is taken back)
        record_evidence(session, "left", [click("e:2")])
        raise ZeroDivisionError

    assert nudged == [("core.drain_outbox", "outbox")]
