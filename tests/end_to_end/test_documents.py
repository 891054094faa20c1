"""What the documents of the APIs show works against a server that really runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.demo.client import Client

from . import documents
from .conftest import token

if TYPE_CHECKING:
    from core.processes import Tree

    from .conftest import Shell


def test_the_mood_documents_command_lines_work_with_only_host_and_key_changed(
    tree: Tree, shell: Shell
) -> None:
    issued = shell(documents.addressed(documents.GENERATE_KEY, tree.url))
    key = issued["api_key"]
    assert issued | {"api_key": ""} == {
        "api_key": "",
        "customer": "Acme Inc",
        "email": "dev@acme.com",
        "plan": "starter",
        "limits": "5,000 sessions/month",
        "message": "Store this key safely - it won't be shown again.",
    }

    def run(command: str) -> object:
        return shell(documents.addressed(command, tree.url, key))

    assert run(documents.SEND_ONE_EVENT) == {
        "session_id": "user_abc",
        "events_stored": 1,
        "total_events": 1,
        "current_mood": "neutral",
    }
    assert run(documents.DELETE_SESSION) == {
        "session_id": "user_abc",
        "deleted": True,
        "message": "Session data permanently erased.",
    }
    assert run(documents.READ_MOOD) == {"error": "Session not found", "session_id": "user_abc"}
    assert run(documents.READ_HEALTH) == {"status": "ok", "version": "1.0.0"}


def test_the_documents_batch_sent_twice_gives_the_documents_mood(tree: Tree, shell: Shell) -> None:
    key = shell(documents.addressed(documents.GENERATE_KEY, tree.url))["api_key"]

    def run(command: str) -> object:
        return shell(documents.addressed(command, tree.url, key))

    run(documents.SEND_EVENTS)
    assert run(documents.SEND_EVENTS) == {
        "session_id": "user_abc",
        "events_stored": 3,
        "total_events": 6,
        "current_mood": "frustrated",
    }
    mood = run(documents.READ_MOOD)
    assert mood == {
        "session_id": "user_abc",
        "mood": "frustrated",
        "confidence": 0.89,
        "signals": ["rage_click_detected", "repeated_errors"],
        "suggested_action": "show_live_chat",
        "event_count": 6,
        "updated_at": "2025-05-04T10:00:07.000Z",
    }
    assert run(documents.READ_MOOD_BEARER) == mood
    assert run(documents.SEND_FEEDBACK) == {"session_id": "user_abc", "feedback_recorded": True}
    analytics = run(documents.READ_ANALYTICS)
    assert isinstance(analytics, dict)
    assert analytics["total_sessions"] == analytics["feedback_count"] == 1
    assert analytics["mood_distribution"][0] == {
        "mood": "frustrated",
        "count": 1,
        "percentage": 100.0,
    }


def test_the_ingestion_documents_batches_are_accepted_whole(tree: Tree) -> None:
    with Client(tree.url, token(tree.url, tree.key)) as client:
        for kind, body in (
            ("events", documents.EVENTS),
            ("facial", documents.FRAMES),
            ("voice", documents.SEGMENTS),
        ):
            assert client.post(f"/api/data/{kind}", body) == (
                200,
                {
                    "success": True,
                    "data": {
                        "sessionId": "sess_001",
                        "accepted": len(body["batch"]),
                        "rejected": 0,
                        "rejections": [],
                    },
                    "error": None,
                    "metadata": None,
                },
            )


def test_the_clickstream_documents_session_is_kept_and_given_back(tree: Tree) -> None:
    with Client(tree.url) as client:  # the document names no key, and `python app.py` asks for none
        assert client.post("/session", documents.SEARCH) == (200, None)
        assert client.post("/session/events", documents.CLICKS) == (200, None)
        status, session = client.get("/session?session_id=sess-123")
        assert status == 200
        assert session["events"] == documents.CLICKS["events"]
        assert session["is_irrelevant"] is False
        assert session["search_results"][0]["rank"] == 1.0
        same = ("search_query", "payload_filter", "user_id", "created_at", "search_meta")
        assert {name: session[name] for name in same} == {
            name: documents.SEARCH[name] for name in same
        }
        assert client.post("/session/irrelevant", {"session_id": "sess-123"}) == (200, None)
        assert client.get("/session?session_id=sess-123").body["is_irrelevant"] is True
        unknown = client.post("/session/irrelevant", {"session_id": "sess-0"})
        assert unknown == (404, {"detail": "Session with id=sess-0 not found"})
