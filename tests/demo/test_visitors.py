"""The simulated visitors: the same every time, and sent to a server they are what they say."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import orjson
import pytest

from core.testing import bearer, drain
from examples.demo.searching import GRADES, relevance
from examples.demo.visitors import (
    CLICKSTREAM,
    INGESTION,
    INTENTS,
    MOOD,
    START,
    event_batches,
    in_time_order,
    simulate,
)

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller
    from examples.demo.visitors import Visitor

SAMPLE = 36


def sent(visitors: list[Visitor]) -> bytes:
    return orjson.dumps([(call.path, call.at, call.body) for call in in_time_order(visitors)])


def test_the_same_seed_gives_the_same_visitors() -> None:
    assert sent(list(simulate(SAMPLE, seed=7))) == sent(list(simulate(SAMPLE, seed=7)))
    assert sent(list(simulate(SAMPLE, seed=7))) != sent(list(simulate(SAMPLE, seed=8)))


def test_a_larger_sample_begins_like_a_smaller_one() -> None:
    assert list(simulate(SAMPLE))[:5] == list(simulate(5))
    assert list(simulate(0)) == []


def test_another_start_moves_the_visits_and_changes_nothing_they_do() -> None:
    hour = 3_600_000_000
    now, later = list(simulate(SAMPLE)), list(simulate(SAMPLE, start=START + hour))
    assert [visitor.intent for visitor in now] == [visitor.intent for visitor in later]
    assert [call.at + hour for call in in_time_order(now)] == [
        call.at for call in in_time_order(later)
    ]
    assert not {v.session_id for v in now} & {v.session_id for v in later}


def test_a_sample_holds_every_intent_every_api_and_every_kind_of_fault() -> None:
    visitors = list(simulate(SAMPLE))
    assert Counter(visitor.intent for visitor in visitors) == dict.fromkeys(INTENTS, SAMPLE // 6)
    calls = in_time_order(visitors)
    assert {call.api for call in calls} == {MOOD, CLICKSTREAM, INGESTION}
    assert {(call.api, call.status) for call in calls if call.rejected} == {
        (MOOD, 400),
        (CLICKSTREAM, 422),
        (INGESTION, 200),
    }
    assert {call.path for call in calls if call.reasons} == {
        "/api/data/events",
        "/api/data/facial",
        "/api/data/voice",
    }


def test_all_that_one_visitor_does_is_in_one_session() -> None:
    for visitor in simulate(SAMPLE):
        for call in visitor.calls:
            body = call.body
            named = body.get("sessionId") or body.get("session_id") or call.path.split("/")[3]
            assert named == visitor.session_id


def test_results_are_clicked_the_more_the_more_relevant_they_are() -> None:
    shown: Counter[int] = Counter()
    clicked: Counter[int] = Counter()
    for visitor in simulate(3_000):
        if (search := visitor.searched) is not None:
            shown.update(relevance(search.query, result) for result in search.results)
            clicked.update(relevance(search.query, click.object_id) for click in search.clicks)
            assert {click.object_id for click in search.clicks} <= set(search.results)
    rates = [clicked[grade] / shown[grade] for grade in sorted(set(GRADES))]
    assert rates == sorted(rates)
    assert rates[-1] > 5 * rates[0]


def test_every_call_is_answered_as_it_says(app: Flask, client: FlaskClient, caller: Caller) -> None:
    token = bearer(app, caller.tenant)
    for call in in_time_order(simulate(SAMPLE)):
        headers = token if call.api == INGESTION else caller.headers
        answer = client.post(call.path, json=call.body, headers=headers)
        assert answer.status_code == call.status, (call, answer.text)
        if call.api == INGESTION:
            data = answer.get_json()["data"]
            assert (data["accepted"], data["rejected"]) == (call.accepted, call.rejected)
            assert [each["reason"] for each in data["rejections"]] == list(call.reasons)


def test_a_call_that_is_sent_again_counts_once(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    def events(session_id: str) -> int:
        mood = client.get(f"/v1/sessions/{session_id}/mood", headers=caller.headers)
        return int(mood.get_json()["event_count"])

    visitor = next(v for v in simulate(6) if not v.is_tester)
    counts = []
    for _ in range(2):
        for call in visitor.calls:
            headers = {**caller.headers, "Idempotency-Key": call.idempotency_key}
            client.post(call.path, json=call.body, headers=headers)
        drain(app)
        counts.append(events(visitor.session_id))
    assert counts[0] == counts[1] > 0


def test_most_intents_are_recognised_from_events_and_from_faces_alike(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    token = bearer(app, caller.tenant)
    visitors = list(simulate(SAMPLE, seed=3))
    for call in in_time_order(visitors):
        headers = token if call.api == INGESTION else caller.headers
        client.post(call.path, json=call.body, headers=headers)
    while drain(app):
        pass
    recognised: Counter[bool] = Counter()
    for visitor in visitors:
        answer = client.get(f"/v1/sessions/{visitor.session_id}/mood", headers=caller.headers)
        recognised[visitor.is_tester] += answer.get_json()["mood"] == visitor.intent
    testers = sum(visitor.is_tester for visitor in visitors)
    assert recognised[True] >= 0.8 * testers
    assert recognised[False] >= 0.8 * (SAMPLE - testers)


@pytest.mark.parametrize("size", [1, 100, 1_000])
def test_batches_for_load_are_valid_and_of_varied_sessions_and_times(
    size: int, app: Flask, client: FlaskClient, caller: Caller
) -> None:
    bodies = list(islice(event_batches(size), 3))
    assert len({body["sessionId"] for body in bodies}) == 3
    assert len({body["batch"][0]["timestamp"] for body in bodies}) == 3
    for body in bodies:
        answer = client.post("/api/data/events", json=body, headers=bearer(app, caller.tenant))
        assert answer.get_json()["data"]["accepted"] == size
