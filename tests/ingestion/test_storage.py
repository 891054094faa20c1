from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from core.database import fetch_all
from core.sessions import erase_session
from core.testing import BOTH
from plugins.ingestion import examples

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import Caller
    from tests.ingestion.conftest import Writer

on_both = pytest.mark.parametrize("storage", BOTH, indirect=True)

EVENT = examples.EVENTS["batch"][0]
FRAME = examples.FRAMES["batch"][0]
SEGMENT = examples.SEGMENTS["batch"][0]
EXAMPLES = {"events": examples.EVENTS, "facial": examples.FRAMES, "voice": examples.SEGMENTS}
TABLES = {"events": "ingestion_event", "facial": "ingestion_frame", "voice": "ingestion_segment"}


def rows(app: Flask, table: str) -> int:
    with app.app_context():
        return int(fetch_all(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608


@on_both
def test_a_batch_that_is_sent_again_is_accepted_and_counts_once(writer: Writer) -> None:
    for kind, body in EXAMPLES.items():
        first = writer.post(kind, body)
        again = writer.post(kind, body)
        assert again.data == first.data
    assert len(writer.stored()) == 7
    assert len(writer.outbox()) == 3


@on_both
def test_events_are_the_same_by_their_id_or_else_by_their_content(writer: Writer) -> None:
    other_order = dict(reversed(EVENT.items()))
    with_id = {**EVENT, "eventId": "e1"}
    moved = {**with_id, "timestamp": "2026-03-16T11:00:00Z", "x": 1}
    data = writer.send(
        "events", EVENT, other_order, EVENT, {**EVENT, "x": 541}, with_id, moved, with_id
    )
    assert data["accepted"] == 7
    assert writer.send("events", moved, {**EVENT, "eventId": "e2"})["accepted"] == 2
    stored = writer.stored()
    assert len(stored) == 4
    assert [item for item in stored if item.get("eventId") == "e1"] == [with_id]


@on_both
def test_frames_and_segments_are_the_same_by_their_index(writer: Writer) -> None:
    later = {**FRAME, "timestamp": "2026-03-16T11:00:00Z", "attentionScore": 0.1}
    assert writer.send("facial", FRAME, later)["accepted"] == 2
    assert writer.send("facial", later)["accepted"] == 1
    assert writer.send("voice", SEGMENT, {**SEGMENT, "transcript": "other"})["accepted"] == 2
    assert writer.send("voice", {**SEGMENT, "segmentIndex": 1})["accepted"] == 1
    assert writer.stored() == [FRAME, SEGMENT, {**SEGMENT, "segmentIndex": 1}]


def test_the_same_items_in_two_sessions_are_two(writer: Writer) -> None:
    for session in ("a", "b"):
        writer.send("facial", FRAME, session=session)
        writer.send("events", {**EVENT, "eventId": "e1"}, session=session)
    assert len(writer.stored("a")) == len(writer.stored("b")) == 2


@on_both
def test_what_only_some_stores_refuse_does_not_spoil_the_batch(writer: Writer) -> None:
    data = writer.send(
        "events",
        {**EVENT, "note": "a\0b", "max": 2**64 - 1, "tiny": 5e-324},
        {**EVENT, "x": 2**63 - 1, "y": -(2**63)},
        {**EVENT, "x": 1e308},
        {**EVENT, "eventId": "\U0001f600 ☃"},
    )
    assert data["accepted"] == 4
    assert len(writer.stored()) == 4


@on_both
@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_an_idempotency_key_replays_the_answer_byte_for_byte(writer: Writer, kind: str) -> None:
    body = {**EXAMPLES[kind], "batch": [*EXAMPLES[kind]["batch"], {}]}
    first = writer.post(kind, body, Idempotency_Key="k1")
    stored = writer.stored()
    again = writer.post(kind, body, Idempotency_Key="k1")
    assert (again.status_code, again.data) == (200, first.data)
    assert again.content_type == first.content_type
    assert writer.stored() == stored
    other = writer.post(kind, EXAMPLES[kind], Idempotency_Key="k1")
    assert other.status_code == 422
    assert other.json == {
        "success": False,
        "data": None,
        "error": "Idempotency-Key was used with a different request",
        "metadata": None,
    }


def test_an_idempotency_key_is_of_one_address_and_of_no_request_that_failed(
    writer: Writer,
) -> None:
    assert writer.post("events", {"sessionId": "s"}, Idempotency_Key="k").status_code == 400
    assert writer.post("events", examples.EVENTS, Idempotency_Key="k").status_code == 200
    assert writer.post("facial", examples.FRAMES, Idempotency_Key="k").status_code == 200
    assert writer.post("facial", examples.FRAMES, Idempotency_Key="k" * 256).status_code == 400


@on_both
def test_simultaneous_repeats_are_stored_once(writer: Writer) -> None:
    frames = [{**FRAME, "frameIndex": index} for index in range(50)]
    codes: list[int] = []

    def send(**headers: str) -> None:
        body = {"sessionId": "sess_001", "batch": frames}
        codes.append(writer.post("facial", body, **headers).status_code)

    threads = [
        threading.Thread(target=send, kwargs={"Idempotency_Key": "k"} if number % 2 else {})
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 6
    assert len(writer.stored()) == 50


@on_both
def test_the_timeline_tells_a_session_in_time_order_page_by_page(writer: Writer) -> None:
    for kind, body in EXAMPLES.items():
        writer.post(kind, {**body, "batch": body["batch"][::-1]})
    whole = writer.timeline()
    assert [(entry["at"][17:], entry["kind"]) for entry in whole] == [
        ("30.000Z", "frame"),
        ("30.000Z", "segment"),
        ("31.000Z", "frame"),
        ("32.120Z", "event"),
        ("35.400Z", "event"),
        ("40.000Z", "event"),
        ("40.000Z", "segment"),
    ]
    assert {entry["source"] for entry in whole} == {"ingestion"}
    pages: list[Any] = []
    after = 0
    client: Any = writer.app.test_client()
    while after is not None:
        page = client.get(
            f"/v1/sessions/sess_001/timeline?limit=2&after={after}", headers=writer.key_headers
        ).json
        pages += page["entries"]
        after = page["next_after"]
    assert pages == whole


@on_both
def test_an_erased_session_is_gone_and_late_data_does_not_bring_it_back(
    app: Flask, caller: Caller, writer: Writer
) -> None:
    for kind, body in EXAMPLES.items():
        writer.post(kind, body, Idempotency_Key="k")
        writer.send(kind, body["batch"][0], session="other")
    with app.app_context():
        removed = erase_session(caller.account_id, "sess_001")
    assert removed >= 7
    assert writer.timeline() == []
    assert len(writer.stored("other")) == 3
    for kind, body in EXAMPLES.items():
        response = writer.post(kind, body)
        assert response.status_code == 410
        assert response.json["error"] == "Session was erased"
        assert rows(app, TABLES[kind]) == 1


@on_both
def test_the_migrations_go_down_and_up_again(app: Flask, writer: Writer) -> None:
    from core import migrations

    writer.send("facial", FRAME)
    with app.app_context():
        migrations.downgrade("ingestion")
        migrations.upgrade()
    assert writer.timeline() == []
    assert writer.send("facial", FRAME)["accepted"] == 1
