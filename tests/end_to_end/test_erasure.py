"""After an erasure nothing of the session is left on the disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from core.clock import now
from examples.demo import replay
from examples.demo.client import Client

from .conftest import start_tree, token

if TYPE_CHECKING:
    from pathlib import Path

SESSION = "sess-canary-4711"
#: One for each thing that is told of the session.
CONTENT = (
    "canary-message",
    "canary-page",
    "canary-note",
    "canary-selector",
    "canary-label",
    "canary-transcript",
    "canary-query",
    "canary-object",
    "canary-user",
)


def found(data: Path) -> set[str]:
    """Return which of the words lie in any file below a directory."""
    files = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    return {word for word in (SESSION, *CONTENT) if any(word.encode() in file for file in files)}


def tell_everything(url: str, key: str) -> None:
    mood = f"/v1/sessions/{SESSION}"
    at = "2026-03-16T10:14:30.000Z"
    events = [
        {"type": "error", "message": "canary-message"},
        {"type": "page_view", "url": "/canary-page"},
        {"type": "click"},
    ]
    event = {"eventType": "error", "targetSelector": "#canary-selector", "timestamp": at}
    frame = {"frameIndex": 0, "timestamp": at, "emotions": {"canary-label": 1}, "attentionScore": 1}
    segment = {
        "segmentIndex": 0,
        "startTime": at,
        "endTime": at,
        "transcript": "canary-transcript",
        "sentiment": "negative",
        "sentimentScore": -1,
    }
    search = {
        "session_id": SESSION,
        "search_query": "canary-query",
        "search_results": [{"object_id": "canary-object"}],
        "user_id": "canary-user",
    }
    click = {"event_id": "1", "object_id": "canary-object", "created_at": now() // 1000}
    once = {"Idempotency-Key": "the answer is kept, too"}
    by_key, by_token = {"X-Api-Key": key}, token(url, key) | once
    with Client(url) as client:
        for path, body, headers in (
            (f"{mood}/events", {"events": events}, by_key | once),
            (f"{mood}/feedback", {"action_taken": "no_action", "notes": "canary-note"}, by_key),
            ("/api/data/events", {"sessionId": SESSION, "batch": [event]}, by_token),
            ("/api/data/facial", {"sessionId": SESSION, "batch": [frame]}, by_token),
            ("/api/data/voice", {"sessionId": SESSION, "batch": [segment]}, by_token),
            ("/session", search, by_key),
            ("/session/events", {"session_id": SESSION, "events": [click]}, by_key),
        ):
            answer = client.post(path, body, headers)
            assert answer.status == 200, answer
            if path.startswith("/api/data"):
                assert answer.body["data"]["accepted"] == 1, answer


def test_no_byte_of_an_erased_session_is_left_in_database_or_queue(tmp_path: Path) -> None:
    with start_tree(tmp_path) as tree:
        tell_everything(tree.url, tree.key)
        with Client(tree.url, {"X-Api-Key": tree.key}) as client:
            replay.settle(tree.url)
            assert found(tmp_path) == {SESSION, *CONTENT}, "it was on the disk"

            assert client.request("DELETE", f"/v1/sessions/{SESSION}").status == 200
            assert client.get(f"/v1/sessions/{SESSION}/mood").status == 404
            assert client.get(f"/v1/sessions/{SESSION}/timeline").status == 404
            late = {"events": [{"type": "click"}]}
            assert client.post(f"/v1/sessions/{SESSION}/events", late).status == 410
            replay.settle(tree.url)
        family = psutil.Process(tree.pid).children(recursive=True)
        assert tree.stop() == 0
        assert psutil.wait_procs(family, timeout=10)[1] == [], "SIGTERM ends everything"
    with closing(sqlite3.connect(tmp_path / "subtext.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "subtext.db").stat().st_size > 0
    assert list((tmp_path / "valkey").rglob("*.aof")), "the queue's file is searched as well"
    assert found(tmp_path) == set()
