"""A session's mood is right whatever way its events came in."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import pytest

from core import ConfigurationError, now
from core.testing import BOTH
from plugins.mood import services
from plugins.mood.observations import EVENT_TYPES

START = 1_746_352_800


def events(seed: int, count: int) -> list[dict[str, Any]]:
    rng = Random(seed)  # noqa: S311 (a test's visitors are no secret)
    return [
        {
            "type": rng.choice(EVENT_TYPES),
            "ts": START + rng.randrange(120_000) / 1000,
            "x": rng.randrange(3) * 20,
            "y": 10,
            "duration_ms": rng.randrange(20_000),
            "speed": rng.randrange(4_000),
            "direction": rng.choice(["up", "down"]),
            "url": rng.choice(["/a", "/b"]),
        }
        for _ in range(count)
    ]


def answer_of(mood: Any, session_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = mood(session_id).json
    del answer["session_id"]
    return answer


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_events_come_changes_nothing(send: Any, mood: Any, seed: int) -> None:
    sent = events(seed, 60)
    send(sent, "at-once")
    shuffled = list(sent)
    Random(seed).shuffle(shuffled)  # noqa: S311
    for start in range(0, 60, 7):
        last = send(shuffled[start : start + 7], "bit-by-bit")
    assert last.json["total_events"] == 60
    assert last.json["current_mood"] == mood("bit-by-bit").json["mood"]
    assert answer_of(mood, "bit-by-bit") == answer_of(mood, "at-once")


def test_three_close_clicks_in_two_batches_out_of_order_are_a_rage_click(
    send: Any, mood: Any
) -> None:
    click = {"type": "click", "x": 100, "y": 100}
    send([{**click, "ts": START}, {**click, "ts": START + 0.8}])
    assert "rage_click_detected" not in mood().json["signals"]
    assert send([{**click, "ts": START + 0.4}]).json["current_mood"] == "frustrated"
    assert mood().json["signals"] == ["rage_click_detected"]


def test_a_late_event_of_a_long_session_is_put_in_place_by_a_job(
    app: Any, send: Any, mood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SYNCHRONOUS_RECOMPUTE_LIMIT", 10)
    click = {"type": "click", "x": 100, "y": 100}
    send([{"type": "hover", "ts": START + n} for n in range(20)])
    send([{**click, "ts": START + 15}, {**click, "ts": START + 15.8}])
    send([{**click, "ts": START + 15.4}])
    assert mood().json["mood"] == "confused"
    jobs = app.extensions["subtext"].jobs
    with app.app_context():
        jobs.run("mood.sweep")
    assert mood().json["mood"] == "frustrated"
    assert mood().json["event_count"] == 23


def test_recomputing_gives_exactly_the_same_answer(app: Any, send: Any, mood: Any) -> None:
    for number, batch in enumerate((events(7, 50), events(8, 50))):
        send(batch, f"s{number}")
    before = [mood(f"s{number}").json for number in range(2)]
    runner = app.test_cli_runner()
    assert "recomputed 2 sessions" in runner.invoke(args=["mood", "recompute"]).output
    assert [mood(f"s{number}").json for number in range(2)] == before


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_an_event_with_an_id_counts_once(send: Any, mood: Any) -> None:
    batch = [{"type": "error", "id": "e1"}, {"type": "error", "id": "e1"}, {"type": "error"}]
    assert send(batch).json["total_events"] == 2
    again = send([{"type": "error", "id": "e1"}, {"type": "error", "id": "e2"}])
    assert again.json["total_events"] == 3
    assert mood().json["event_count"] == 3
    assert send([{"type": "error", "id": "e1"}], "other").json["total_events"] == 1


def test_an_idempotency_key_makes_a_repeat_count_once(send: Any, mood: Any) -> None:
    batch = [{"type": "error"}, {"type": "error"}]
    first = send(batch, **{"Idempotency-Key": "k1"})
    again = send(batch, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert mood().json["event_count"] == 2
    other = send(batch[:1], **{"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert other.json["error"] == "Idempotency-Key mismatch"


def test_feedback_with_an_idempotency_key_is_recorded_once(
    client: Any, caller: Any, send: Any
) -> None:
    send([{"type": "error"}])
    for _ in range(2):
        client.post(
            "/v1/sessions/user_abc/feedback",
            json={"action_taken": "no_action", "was_helpful": True},
            headers={**caller.headers, "Idempotency-Key": "f1"},
        )
    found = client.get("/v1/analytics/interventions", headers=caller.headers).json
    assert found["interventions"][0]["feedback"] == 1


def test_milliseconds_are_recognised(send: Any, mood: Any) -> None:
    send([{"type": "click", "ts": START * 1000 + 250}])
    assert mood().json["updated_at"] == "2025-05-04T10:00:00.250Z"


def test_an_event_from_a_wrong_clock_does_not_age_the_others(send: Any, mood: Any) -> None:
    send([{"type": "error"}, {"type": "error"}, {"type": "back_nav"}])
    before = mood().json
    send([{"type": "backtrack", "ts": now() / 1_000_000 + 400 * 86_400}])
    after = mood().json
    assert after["mood"] == "frustrated"
    assert after["signals"] == before["signals"]
    assert abs(now() / 1_000_000 - _seconds(after["updated_at"])) < 60


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_the_clock_skew_must_be_a_number_of_seconds(
    make_app: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SUBTEXT_MOOD_CLOCK_SKEW", text)
    with pytest.raises(ConfigurationError, match="SUBTEXT_MOOD_CLOCK_SKEW"):
        make_app(SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "stream"))


def test_an_event_from_1970_counts_and_changes_no_mood(send: Any, mood: Any) -> None:
    send([{"type": "error"}] * 6)
    before = mood().json
    send([{"type": "page_view", "ts": 0}])
    after = mood().json
    assert after["event_count"] == 7
    assert (after["mood"], after["updated_at"]) == (before["mood"], before["updated_at"])


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_simultaneous_first_batches_all_count(app: Any, caller: Any, mood: Any) -> None:
    barrier = threading.Barrier(4)
    totals = []

    def post(number: int) -> None:
        barrier.wait()
        answer = app.test_client().post(
            "/v1/sessions/user_abc/events",
            json={"events": [{"type": "click", "ts": START + number + n} for n in range(5)]},
            headers=caller.headers,
        )
        totals.append(answer.json["total_events"])

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(totals) == [5, 10, 15, 20]
    assert mood().json["event_count"] == 20


def test_the_timeline_shows_events_moods_and_feedback_in_order(
    client: Any, caller: Any, send: Any
) -> None:
    send([{"type": "error", "message": "no", "ts": START + n} for n in range(3)])
    client.post(
        "/v1/sessions/user_abc/feedback",
        json={"action_taken": "show_live_chat", "was_helpful": False},
        headers=caller.headers,
    )
    url = "/v1/sessions/user_abc/timeline"
    page = client.get(url, headers=caller.headers).json
    assert [each["kind"] for each in page["entries"]] == [
        "error",
        "error",
        "error",
        "mood_changed",
        "feedback",
    ]
    assert page["entries"][0]["data"] == {"message": "no"}
    assert page["entries"][3]["data"]["mood"] == "frustrated"
    assert page["entries"][4]["data"]["was_helpful"] is False
    first = client.get(f"{url}?limit=2", headers=caller.headers).json
    rest = client.get(f"{url}?after={first['next_after']}", headers=caller.headers).json
    assert [*first["entries"], *rest["entries"]] == page["entries"]


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
