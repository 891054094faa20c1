"""A plan's sessions are counted by calendar month, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH
from plugins.mood.quota import PLAN_LIMITS, parse_plan_limits

if TYPE_CHECKING:
    from flask import Flask

MAY = 1_778_000_000_000_000  # 2026-05-05T16:53:20Z
JUNE = MAY + 30 * 86_400_000_000
EVENTS = {"events": [{"type": "click"}]}


@pytest.fixture
def app(make_app: Any) -> Flask:
    app: Flask = make_app(
        SUBTEXT_MOOD_PLAN_LIMITS={"starter": 2},
        SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "stream"),
    )
    return app


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_clock(moment: int) -> None:
        monkeypatch.setattr("core.clock.now", lambda: moment)
        monkeypatch.setattr("plugins.mood.services.now", lambda: moment)

    set_clock(MAY)
    return set_clock


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_new_session_past_the_quota_is_refused_and_leaves_nothing(
    client: Any, caller: Any, send: Any, mood: Any, at: Any
) -> None:
    assert send(EVENTS["events"], "one").status_code == 200
    assert send(EVENTS["events"], "two").status_code == 200
    answer = send(EVENTS["events"], "three")
    assert answer.status_code == 429
    assert answer.json == {
        "error": "Rate limit exceeded",
        "plan": "starter",
        "limit": 2,
        "reset_at": "2026-06-01T00:00:00.000Z",
    }
    assert answer.headers["RateLimit-Limit"] == "2"
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert answer.headers["RateLimit-Reset"] == answer.headers["Retry-After"] == "2272000"
    assert mood("three").status_code == 404
    analytics = client.get("/v1/analytics/moods", headers=caller.headers).json
    assert analytics["total_sessions"] == 2


def test_events_of_a_session_already_counted_are_never_refused(send: Any, at: Any) -> None:
    for session in ("one", "two", "one", "two"):
        assert send(EVENTS["events"], session).status_code == 200
    at(JUNE)
    for session in ("three", "four", "one"):
        assert send(EVENTS["events"], session).status_code == 200


def test_the_next_month_starts_anew(send: Any, at: Any) -> None:
    for session in ("one", "two"):
        send(EVENTS["events"], session)
    assert send(EVENTS["events"], "three").status_code == 429
    at(JUNE)
    assert send(EVENTS["events"], "three").status_code == 200


def test_accounts_have_quotas_of_their_own(
    app: Any, client: Any, send: Any, make_caller: Any, at: Any
) -> None:
    for session in ("one", "two"):
        send(EVENTS["events"], session)
    other = make_caller(app)
    answer = client.post("/v1/sessions/three/events", json=EVENTS, headers=other.headers)
    assert answer.status_code == 200


def test_deleting_a_session_gives_no_room_back(
    client: Any, caller: Any, send: Any, at: Any
) -> None:
    for session in ("one", "two"):
        send(EVENTS["events"], session)
    client.delete("/v1/sessions/one", headers=caller.headers)
    assert send(EVENTS["events"], "three").status_code == 429


def test_the_operator_may_set_other_limits() -> None:
    assert parse_plan_limits("starter=10, pro=7") == {**PLAN_LIMITS, "starter": 10, "pro": 7}
    for text in ("free=1", "starter", "starter=-1", "starter=x"):
        with pytest.raises(ValueError, match="must be like"):
            parse_plan_limits(text)
