"""What is wrong with a request is told by field, and nothing of it is stored."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import orjson
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.testing import Caller

GOOD = {"type": "click"}
URL = "/v1/sessions/user_abc/events"


@pytest.mark.parametrize(
    "body", [{}, {"events": None}, {"events": []}, {"events": {}}, {"events": "x"}, [], 7, "x"]
)
def test_events_must_be_a_list_with_something_in_it(client: Any, caller: Caller, body: Any) -> None:
    answer = client.post(URL, json=body, headers=caller.headers)
    assert answer.status_code == 400
    assert answer.json == {"error": "Missing required field", "field": "events"}


@pytest.mark.parametrize("event", [None, 5, "click", [], {}, {"type": None}, {"x": 1}])
def test_an_event_must_be_an_object_with_a_type(send: Callable[..., Any], event: Any) -> None:
    answer = send([GOOD, GOOD, GOOD, event])
    assert answer.status_code == 400
    assert answer.json == {"error": "Missing required field", "field": "events[3].type"}


def test_each_unknown_type_is_named_once(send: Callable[..., Any]) -> None:
    answer = send([{"type": kind} for kind in ("tap", "click", "pinch", "tap", "", "Click")])
    assert answer.json["invalid"] == ["tap", "pinch", "", "Click"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", 5),
        ("type", ["click"]),
        ("ts", "1746352800"),
        ("ts", True),
        ("ts", None),
        ("ts", -1),
        ("ts", 1e300),
        ("ts", 2**63),
        ("x", "1"),
        ("x", True),
        ("y", []),
        ("y", 2**63),
        ("duration_ms", -1),
        ("duration_ms", "5"),
        ("speed", {}),
        ("direction", "left"),
        ("direction", 1),
        ("url", 1),
        ("url", "a\0b"),
        ("message", "x" * 513),
        ("message", 5),
        ("id", ""),
        ("id", 7),
        ("id", "x" * 257),
    ],
)
def test_a_wrong_optional_field_is_named_with_the_reason(
    send: Callable[..., Any], mood: Callable[..., Any], field: str, value: Any
) -> None:
    answer = send([{"type": "click"}, {"type": "error", field: value}])
    assert answer.status_code == 400
    assert answer.json["error"] == "Invalid value"
    assert answer.json["field"] == f"events[1].{field}"
    assert answer.json["message"].startswith("must ")
    assert mood().status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b'{"events": [{"type": "click", "x": NaN}]}',
        b'{"events": [{"type": "click", "url": "\\ud800"}]}',
        b"[" * 3000,
        b"\xff",
    ],
)
def test_what_is_no_json_is_a_400(client: Any, caller: Caller, body: bytes) -> None:
    answer = client.post(
        URL, data=body, headers={**caller.headers, "Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json["error"] == "Invalid JSON"


def test_another_content_type_is_a_415(client: Any, caller: Caller) -> None:
    answer = client.post(URL, data="events=1", headers=caller.headers)
    assert answer.status_code == 415
    assert answer.json["error"] == "Unsupported media type"


def test_a_body_over_a_mebibyte_is_a_413(client: Any, caller: Caller) -> None:
    body = {"events": [{"type": "click", "url": "x" * 1024 * 1024}]}
    answer = client.post(URL, json=body, headers=caller.headers)
    assert answer.status_code == 413
    assert answer.json["error"] == "Payload too large"


def test_a_thousand_events_are_taken_and_one_more_is_not(send: Callable[..., Any]) -> None:
    assert send([GOOD] * 1000).json["events_stored"] == 1000
    answer = send([GOOD] * 1001)
    assert answer.status_code == 400
    assert answer.json["field"] == "events"


def test_a_gzip_body_is_read(client: Any, caller: Caller) -> None:
    body = gzip.compress(orjson.dumps({"events": [GOOD]}))
    answer = client.post(
        URL,
        data=body,
        headers={
            **caller.headers,
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        },
    )
    assert answer.json["total_events"] == 1


def test_unknown_fields_are_ignored(send: Callable[..., Any]) -> None:
    assert send([{"type": "click", "selector": "#buy", "nested": {"a": [1]}}]).status_code == 200


def test_a_session_id_has_at_most_256_characters(send: Callable[..., Any]) -> None:
    assert send([GOOD], "x" * 256).status_code == 200
    answer = send([GOOD], "x" * 257)
    assert answer.status_code == 400
    assert answer.json["field"] == "session_id"
    assert send([GOOD], "a%00b").status_code == 400


def test_the_body_is_looked_at_before_the_quota(make_app: Any, make_caller: Any) -> None:
    app = make_app(
        SUBTEXT_MOOD_PLAN_LIMITS={"starter": 0},
        SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "stream"),
    )
    headers = make_caller(app).headers
    client = app.test_client()
    assert client.post(URL, json={"events": []}, headers=headers).status_code == 400
    assert client.post(URL, json={"events": [GOOD]}, headers=headers).status_code == 429


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action_taken", 5),
        ("action_taken", "x" * 129),
        ("action_taken", "a\0b"),
        ("was_helpful", "yes"),
        ("was_helpful", 1),
        ("notes", "x" * 513),
        ("notes", 5),
    ],
)
def test_feedback_with_wrong_fields_is_refused(
    client: Any, caller: Caller, send: Callable[..., Any], field: str, value: Any
) -> None:
    send([GOOD])
    answer = client.post(
        "/v1/sessions/user_abc/feedback",
        json={"action_taken": "no_action", field: value},
        headers=caller.headers,
    )
    assert answer.status_code == 400
    assert (answer.json["error"], answer.json["field"]) == ("Invalid value", field)


def test_a_wrong_method_and_a_missing_scope_have_the_same_shape(
    app: Any, client: Any, caller: Caller, make_caller: Any
) -> None:
    answer = client.get(URL, headers=caller.headers)
    assert answer.status_code == 405
    assert answer.json["error"] == "Method not allowed"
    other = make_caller(app, "clickstream")
    answer = client.post(URL, json={"events": [GOOD]}, headers=other.headers)
    assert answer.status_code == 403
    assert answer.json["error"] == "Forbidden"
