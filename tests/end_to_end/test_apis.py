"""Against servers that really run: the documents' examples work, and what one API is told moves what another says.

One module, since starting them takes longer than all of its tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.demo.client import Client

from . import documents
from .conftest import eventually, token

if TYPE_CHECKING:
    from core.processes import Tree

    from .conftest import Shell

#: 2026-03-16T10:14:00Z.
START = 1_773_656_040


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


def test_a_face_and_an_error_of_the_test_tool_move_the_mood_of_the_session(tree: Tree) -> None:
    with (
        Client(tree.url, {"X-Api-Key": tree.key}) as client,
        Client(tree.url, token(tree.url, tree.key)) as tool,
    ):
        views = [{"type": "page_view", "url": f"/{n}", "ts": START + 5 * n} for n in range(3)]
        receipt = client.post("/v1/sessions/moved/events", {"events": views}).body
        assert receipt["current_mood"] == "browsing"

        frames = [
            {
                "frameIndex": n,
                "timestamp": f"2026-03-16T10:14:{20 + n}.000Z",
                "emotions": {"frustration": 0.9, "neutral": 0.1},
                "attentionScore": 0.6,
            }
            for n in range(8)
        ]
        errors = [
            {
                "eventType": "error",
                "targetSelector": "#pay",
                "timestamp": f"2026-03-16T10:14:{30 + n}.000Z",
            }
            for n in range(2)
        ]
        for kind, batch in (("facial", frames), ("events", errors)):
            body = {"sessionId": "moved", "batch": batch}
            assert tool.post(f"/api/data/{kind}", body).body["data"]["rejected"] == 0

        def moved() -> bool:
            mood = client.get("/v1/sessions/moved/mood").body
            expected = {"facial_frustration", "repeated_errors"}
            return mood["mood"] == "frustrated" and expected <= set(mood["signals"])

        assert eventually(moved), client.get("/v1/sessions/moved/mood")


def test_a_session_that_only_the_test_tool_saw_has_a_mood(tree: Tree) -> None:
    spoken = {
        "startTime": "2026-03-16T10:14:30.000Z",
        "endTime": "2026-03-16T10:14:38.200Z",
        "transcript": "Um, where is it?",
        "sentiment": "neutral",
        "sentimentScore": 0.0,
        "hesitationCount": 5,
    }
    with Client(tree.url, {"X-Api-Key": tree.key}) as client:
        batch = [{**spoken, "segmentIndex": n} for n in range(4)]
        with Client(tree.url, token(tree.url, tree.key)) as tool:
            tool.post("/api/data/voice", {"sessionId": "heard", "batch": batch})
        assert eventually(lambda: client.get("/v1/sessions/heard/mood").status == 200)
        mood = client.get("/v1/sessions/heard/mood").body
        assert mood["mood"] == "confused"
        assert mood["signals"] == ["voice_hesitation"]
        assert mood["event_count"] == 4


def test_a_search_that_finds_nothing_is_evidence_too(tree: Tree) -> None:
    with Client(tree.url, {"X-Api-Key": tree.key}) as client:
        search = {
            "session_id": "found-nothing",
            "search_query": "raeding lmap",
            "search_results": [],
        }
        assert client.post("/session", search).status == 200
        errors = [{"type": "error", "ts": START + n} for n in range(3)]
        client.post("/v1/sessions/found-nothing/events", {"events": errors})

        def told() -> bool:
            signals = client.get("/v1/sessions/found-nothing/mood").body["signals"]
            return "search_without_results" in signals

        assert eventually(told)
