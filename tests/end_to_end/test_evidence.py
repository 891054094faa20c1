"""What one API is told moves what another one says, through outbox and worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.demo.client import Client

from .conftest import eventually, token

if TYPE_CHECKING:
    from core.processes import Tree

#: 2026-03-16T10:14:00Z.
START = 1_773_656_040


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
