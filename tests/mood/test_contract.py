"""Every example of the API's document, as a request and its answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.testing import Caller

EVENTS = [
    {"type": "rage_click", "x": 240, "y": 580, "ts": 1746352800},
    {"type": "error", "message": "Payment failed", "ts": 1746352802},
    {"type": "idle", "duration_ms": 4500, "ts": 1746352807},
]
VALID_TYPES = [
    "click",
    "rage_click",
    "scroll",
    "input_pause",
    "backtrack",
    "back_nav",
    "page_view",
    "error",
    "idle",
    "hover",
    "focus",
    "blur",
]
NOT_FOUND = {"error": "Session not found", "session_id": "user_abc"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_documented_batch_sent_twice_gives_the_documented_answers(
    send: Callable[..., Any], mood: Callable[..., Any]
) -> None:
    assert send(EVENTS).json["current_mood"] == "frustrated"
    answer = send(EVENTS)
    assert answer.status_code == 200
    assert answer.json == {
        "session_id": "user_abc",
        "events_stored": 3,
        "total_events": 6,
        "current_mood": "frustrated",
    }
    answer = mood()
    assert answer.status_code == 200
    assert answer.json == {
        "session_id": "user_abc",
        "mood": "frustrated",
        "confidence": 0.89,
        "signals": ["rage_click_detected", "repeated_errors"],
        "suggested_action": "show_live_chat",
        "event_count": 6,
        "updated_at": "2025-05-04T10:00:07.000Z",
    }


def test_the_quick_start_works(send: Callable[..., Any], mood: Callable[..., Any]) -> None:
    assert send(EVENTS[:1]).json["current_mood"] == "neutral"
    assert mood().json == {
        "session_id": "user_abc",
        "mood": "neutral",
        "confidence": 0,
        "signals": [],
        "suggested_action": "no_action",
        "event_count": 1,
        "updated_at": "2025-05-04T10:00:00.000Z",
    }


def test_events_without_a_time_happened_now_and_in_their_order(
    send: Callable[..., Any], mood: Callable[..., Any]
) -> None:
    batch = [
        {"type": "rage_click", "x": 240, "y": 580},
        {"type": "error", "message": "Payment failed"},
        {"type": "idle", "duration_ms": 4500},
    ]
    assert send(batch).status_code == 200
    answer = mood().json
    assert answer["mood"] == "frustrated"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["updated_at"])


def test_the_key_may_come_as_a_bearer_token(client: Any, caller: Caller) -> None:
    answer = client.post(
        "/v1/sessions/abc/events",
        json={"events": EVENTS},
        headers={"Authorization": f"Bearer {caller.key}"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/sessions/abc/events"),
        ("GET", "/v1/sessions/abc/mood"),
        ("POST", "/v1/sessions/abc/feedback"),
        ("DELETE", "/v1/sessions/abc"),
        ("GET", "/v1/analytics/moods"),
        ("GET", "/v1/analytics/interventions"),
        ("GET", "/v1/mood/settings"),
        ("PATCH", "/v1/mood/settings"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": "sm_live_xxxxxxxxxxxx"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic c21f"},
        {"Authorization": "Bearer sm_" + "0" * 48},
    ],
)
def test_without_a_valid_key_the_answer_is_401_before_anything_else(
    client: Any, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = client.open(path, method=method, headers=headers, data=b"no json")
    assert answer.status_code == 401
    assert answer.json == {"error": "Unauthorized", "message": "Missing or invalid API key"}


def test_an_unknown_event_type_rejects_the_whole_batch(
    send: Callable[..., Any], mood: Callable[..., Any]
) -> None:
    answer = send([*EVENTS, {"type": "page_visit"}, {"type": "page_visit"}])
    assert answer.status_code == 400
    assert answer.json == {
        "error": "Invalid event type(s)",
        "invalid": ["page_visit"],
        "valid_types": VALID_TYPES,
    }
    assert mood().status_code == 404


@pytest.mark.parametrize("path", ["/mood", "/feedback", ""])
def test_a_session_without_events_is_not_found(client: Any, caller: Caller, path: str) -> None:
    method = {"/mood": "GET", "/feedback": "POST", "": "DELETE"}[path]
    answer = client.open(
        f"/v1/sessions/user_abc{path}",
        method=method,
        headers=caller.headers,
        json={"action_taken": "no_action"} if method == "POST" else None,
    )
    assert answer.status_code == 404
    assert answer.json == NOT_FOUND


def test_feedback_is_recorded(client: Any, caller: Caller, send: Callable[..., Any]) -> None:
    send(EVENTS)
    answer = client.post(
        "/v1/sessions/user_abc/feedback",
        headers=caller.headers,
        json={
            "action_taken": "show_live_chat",
            "was_helpful": True,
            "notes": "User started chat immediately",
        },
    )
    assert answer.status_code == 200
    assert answer.json == {"session_id": "user_abc", "feedback_recorded": True}


@pytest.mark.parametrize("body", [{}, {"action_taken": None}, {"action_taken": ""}, [], "x", 5])
def test_feedback_without_an_action_is_refused_before_the_session_is_looked_up(
    client: Any, caller: Caller, body: Any
) -> None:
    answer = client.post("/v1/sessions/user_abc/feedback", headers=caller.headers, json=body)
    assert answer.status_code == 400
    assert answer.json == {"error": "Missing required field", "field": "action_taken"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_analytics_list_all_moods_by_count_and_then_by_name(
    client: Any, caller: Caller, send: Callable[..., Any]
) -> None:
    for number in range(2):
        send(EVENTS, f"angry-{number}")
        client.post(
            f"/v1/sessions/angry-{number}/feedback",
            headers=caller.headers,
            json={"action_taken": "show_live_chat"},
        )
    send([{"type": "idle", "duration_ms": 60000}] * 3, "bored")
    answer = client.get("/v1/analytics/moods", headers=caller.headers)
    assert answer.status_code == 200
    assert answer.json == {
        "total_sessions": 3,
        "feedback_count": 2,
        "mood_distribution": [
            {"mood": "frustrated", "count": 2, "percentage": 66.7},
            {"mood": "disengaged", "count": 1, "percentage": 33.3},
            {"mood": "browsing", "count": 0, "percentage": 0.0},
            {"mood": "confused", "count": 0, "percentage": 0.0},
            {"mood": "decisive", "count": 0, "percentage": 0.0},
            {"mood": "focused", "count": 0, "percentage": 0.0},
            {"mood": "neutral", "count": 0, "percentage": 0.0},
        ],
    }


def test_analytics_without_sessions_are_all_zero(client: Any, caller: Caller) -> None:
    answer = client.get("/v1/analytics/moods", headers=caller.headers).json
    assert answer["total_sessions"] == answer["feedback_count"] == 0
    assert [each["count"] for each in answer["mood_distribution"]] == [0] * 7
    assert [each["percentage"] for each in answer["mood_distribution"]] == [0.0] * 7


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_deleted_session_is_gone_for_good(
    client: Any, caller: Caller, send: Callable[..., Any], mood: Callable[..., Any]
) -> None:
    send(EVENTS)
    client.post(
        "/v1/sessions/user_abc/feedback",
        headers=caller.headers,
        json={"action_taken": "show_live_chat", "was_helpful": True},
    )
    answer = client.delete("/v1/sessions/user_abc", headers=caller.headers)
    assert answer.status_code == 200
    assert answer.json == {
        "session_id": "user_abc",
        "deleted": True,
        "message": "Session data permanently erased.",
    }
    assert mood().json == NOT_FOUND
    late = send(EVENTS)
    assert late.status_code == 410
    assert late.json == {"error": "Session was erased", "session_id": "user_abc"}
    analytics = client.get("/v1/analytics/moods", headers=caller.headers).json
    assert (analytics["total_sessions"], analytics["feedback_count"]) == (0, 0)
    interventions = client.get("/v1/analytics/interventions", headers=caller.headers).json
    assert interventions == {"interventions": []}


def test_health_needs_no_key(client: Any) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json == {"status": "degraded", "version": "1.0.0"}


def test_every_answer_carries_a_request_id(
    client: Any, send: Callable[..., Any], mood: Callable[..., Any]
) -> None:
    for answer in (send(EVENTS), mood(), mood("unknown"), client.get("/health"), send([])):
        assert answer.headers["X-Request-Id"]


def test_an_unexpected_failure_is_a_500_with_the_request_id(
    client: Any, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("plugins.mood.services.read_mood", fail)
    answer = client.get("/v1/sessions/abc/mood", headers=caller.headers)
    assert answer.status_code == 500
    assert answer.json == {
        "error": "Internal Server Error",
        "request_id": answer.headers["X-Request-Id"],
    }


def test_a_session_belongs_to_its_account(
    app: Any, client: Any, send: Callable[..., Any], make_caller: Any
) -> None:
    send(EVENTS)
    stranger = make_caller(app)
    assert client.get("/v1/sessions/user_abc/mood", headers=stranger.headers).json == NOT_FOUND
    assert client.delete("/v1/sessions/user_abc", headers=stranger.headers).status_code == 404


@pytest.mark.parametrize(
    ("path", "session_id"),
    [("a%2Fb", "a/b"), ("a/b", "a/b"), ("x/events", "x/events"), ("a%20b", "a b"), ("%C3%BC", "ü")],
)
def test_special_characters_in_session_ids_are_decoded(
    client: Any, caller: Caller, path: str, session_id: str
) -> None:
    url = f"/v1/sessions/{path}/events"
    answer = client.post(url, json={"events": EVENTS}, headers=caller.headers)
    assert answer.json["session_id"] == session_id
    mood = client.get(f"/v1/sessions/{path}/mood", headers=caller.headers)
    assert mood.json["session_id"] == session_id


KEY_REQUEST = {"customer_name": "Acme Inc", "email": "dev@acme.com", "plan": "starter"}


class TestKeys:
    def test_a_key_is_made_for_anyone_and_works(self, client: Any) -> None:
        answer = client.post("/v1/keys/generate", json=KEY_REQUEST)
        assert answer.status_code == 201
        key = answer.json.pop("api_key")
        assert re.fullmatch(r"sm_[0-9a-f]{48}", key)
        assert answer.headers["Cache-Control"] == "no-store"
        expected = {
            "customer": "Acme Inc",
            "email": "dev@acme.com",
            "plan": "starter",
            "limits": "5,000 sessions/month",
            "message": "Store this key safely - it won't be shown again.",
        }
        assert {name: answer.json[name] for name in expected} == expected
        url = "/v1/sessions/abc/events"
        sent = client.post(url, json={"events": EVENTS}, headers={"X-Api-Key": key})
        assert sent.status_code == 200

    @pytest.mark.parametrize(
        ("plan", "limits"), [("growth", "50,000"), ("pro", "200,000"), (None, "5,000")]
    )
    def test_the_limits_are_those_of_the_plan(
        self, client: Any, plan: str | None, limits: str
    ) -> None:
        body = {"customer_name": "Acme", **({"plan": plan} if plan else {})}
        answer = client.post("/v1/keys/generate", json=body)
        assert answer.json["limits"] == f"{limits} sessions/month"
        assert answer.json["email"] is None

    @pytest.mark.parametrize(
        "body", [{}, {"customer_name": ""}, {"customer_name": "  "}, {"customer_name": None}, [], 1]
    )
    def test_a_key_needs_a_customer(self, client: Any, body: Any) -> None:
        answer = client.post("/v1/keys/generate", json=body)
        assert answer.status_code == 400
        assert answer.json == {"error": "customer_name is required"}

    @pytest.mark.parametrize("plan", ["free", "", 1, [], {}, True])
    def test_a_plan_must_exist(self, client: Any, plan: Any) -> None:
        answer = client.post("/v1/keys/generate", json={"customer_name": "Acme", "plan": plan})
        assert answer.status_code == 400
        assert answer.json == {
            "error": "Invalid plan",
            "valid_plans": ["starter", "growth", "pro"],
        }

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("customer_name", 5),
            ("customer_name", True),
            ("customer_name", "x" * 257),
            ("customer_name", "a\0b"),
            ("email", 5),
            ("email", "x" * 321),
        ],
    )
    def test_odd_values_are_refused(self, client: Any, field: str, value: Any) -> None:
        answer = client.post("/v1/keys/generate", json={"customer_name": "Acme", field: value})
        assert answer.status_code == 400
        assert answer.json["error"] == "Invalid value"
        assert answer.json["field"] == field

    def test_the_operator_can_turn_it_off(self, make_app: Any) -> None:
        app = make_app(
            SUBTEXT_SELF_SERVICE_KEYS=False,
            SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "stream"),
        )
        answer = app.test_client().post("/v1/keys/generate", json=KEY_REQUEST)
        assert answer.status_code == 403
        assert answer.json["error"] == "Forbidden"

    def test_an_address_gets_ten_keys_an_hour(self, make_app: Any) -> None:
        app = make_app(
            SUBTEXT_RATE_LIMITS=True,
            SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "stream"),
        )
        client = app.test_client()
        statuses = [
            client.post("/v1/keys/generate", json=KEY_REQUEST).status_code for _ in range(11)
        ]
        assert statuses == [201] * 10 + [429]
