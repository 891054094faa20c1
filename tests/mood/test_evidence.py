"""What other plugins found out counts toward the mood of the same session."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from core import Evidence, now, record_evidence, touch_session, transaction
from core.testing import BOTH, drain

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_746_352_800_000_000
SECOND = 1_000_000


@pytest.fixture
def tell(app: Any, caller: Any) -> Callable[..., None]:
    """Return a function that records evidence as another plugin would, and has it delivered."""

    def record(evidence: list[Evidence], session_id: str = "user_abc") -> None:
        with app.app_context(), transaction():
            session = touch_session(caller.account_id, session_id)
            record_evidence(session, "ingestion", evidence)
        drain(app)

    return record


def seen(kind: str, number: int, modality: str = "video", **fields: Any) -> Evidence:
    return Evidence(
        START + number * SECOND, modality, kind, 0.9, f"{modality}:{number}", fields or None
    )


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_session_that_only_another_plugin_has_seen_has_a_mood(
    client: Any, caller: Any, tell: Any, mood: Any
) -> None:
    tell([seen("frustration", number) for number in range(6)])
    answer = mood()
    assert answer.status_code == 200
    assert answer.json["mood"] == "frustrated"
    assert answer.json["event_count"] == 6
    assert answer.json["signals"] == ["video_frustration"]
    feedback = client.post(
        "/v1/sessions/user_abc/feedback",
        json={"action_taken": "show_live_chat"},
        headers=caller.headers,
    )
    assert feedback.status_code == 200


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_evidence_told_twice_counts_once(tell: Any, mood: Any) -> None:
    batch = [seen("confusion", number) for number in range(4)]
    for _ in range(3):
        tell(batch)
    assert mood().json["event_count"] == 4


def test_evidence_adds_to_the_events_of_a_session(send: Any, tell: Any, mood: Any) -> None:
    send([{"type": "page_view", "ts": START // SECOND + n} for n in range(3)])
    assert mood().json["mood"] == "browsing"
    tell([seen("frustration", number, "facial") for number in range(8)])
    answer = mood().json
    assert answer["mood"] == "frustrated"
    assert answer["event_count"] == 3


def test_interaction_events_make_rage_clicks_and_error_clicks(tell: Any, mood: Any) -> None:
    clicks = [
        Evidence(START + n * 200_000, "interaction", "click", 1.0, f"e:{n}", {"x": 5, "y": 5})
        for n in (0, 2)
    ]
    late = Evidence(START + 200_000, "interaction", "click", 1.0, "e:1", {"x": 5, "y": 5})
    error = Evidence(START + SECOND, "interaction", "error", 1.0, "e:3")
    tell([*clicks, error])
    tell([late])
    answer = mood().json
    assert answer["mood"] == "frustrated"
    assert set(answer["signals"]) >= {"rage_click_detected", "error_click"}


def test_searches_that_find_nothing_frustrate(tell: Any, mood: Any) -> None:
    tell([seen("zero_results", number, "search") for number in range(3)])
    assert mood().json["mood"] == "frustrated"
    assert mood().json["signals"] == ["search_without_results"]


@pytest.mark.parametrize("modality", ["voice", "event", "smell"])
def test_evidence_that_no_rule_knows_does_not_count(tell: Any, mood: Any, modality: str) -> None:
    kind = "click" if modality == "event" else "unheard_of"
    tell([seen(kind, number, modality) for number in range(5)])
    assert mood().status_code == 404


def test_a_modality_that_weighs_nothing_is_left_out(
    client: Any, caller: Any, app: Any, tell: Any, mood: Any
) -> None:
    tell([seen("frustration", number) for number in range(6)])
    change: dict[str, Any] = {"modality_weights": {"video": 0}}
    client.patch("/v1/mood/settings", json=change, headers=caller.headers)
    with app.app_context():
        app.extensions["subtext"].jobs.run("mood.sweep")
    assert mood().status_code == 404
    change = {"modality_weights": {"video": None}}
    client.patch("/v1/mood/settings", json=change, headers=caller.headers)
    with app.app_context():
        app.extensions["subtext"].jobs.run("mood.sweep")
    assert mood().json["mood"] == "frustrated"


@pytest.mark.parametrize(
    "fields",
    [{"x": "left", "y": None}, {"x": True}, {"url": 5}, {"x": 2**64 - 1, "y": [1]}, {}, None],
)
def test_odd_fields_of_evidence_are_left_out(tell: Any, mood: Any, fields: Any) -> None:
    tell(
        [
            Evidence(START + n, "interaction", "click", strength, f"e:{n}", fields)
            for n, strength in enumerate([1.0, 7.5, -1.0, 0.0])
        ]
    )
    assert mood().json["event_count"] == 4


def test_evidence_from_a_wrong_clock_counts_at_its_receipt(tell: Any, mood: Any) -> None:
    ahead = now() + 400 * 86_400 * SECOND
    tell([Evidence(ahead, "voice", "hesitation", 1.0, "v:1")])
    assert mood().json["updated_at"][:4] != str(1970 + math.floor(ahead / 1e6 / 31_556_952))


def test_an_erased_session_forgets_its_evidence(
    client: Any, caller: Any, tell: Any, mood: Any
) -> None:
    tell([seen("frustration", number) for number in range(6)])
    assert client.delete("/v1/sessions/user_abc", headers=caller.headers).status_code == 200
    assert mood().status_code == 404
