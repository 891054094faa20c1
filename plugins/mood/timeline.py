"""What the mood plugin knows about a session, in time order: events, moods, feedback."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from core import Session, TimelineEntry, fetch_all, isoformat

if TYPE_CHECKING:
    from collections.abc import Iterator


def timeline(session: Session, after: int, limit: int) -> list[TimelineEntry]:
    """Return at most `limit` entries later than `after` (µs): events, moods, feedback."""
    return list(islice(heapq.merge(*_tracks(session.key, after, limit), key=_at), limit))


def _at(entry: TimelineEntry) -> int:
    return entry.at


def _mark(sent_at: int, at: int) -> dict[str, str]:
    """Say when an event that counts at another time says that it happened."""
    return {} if sent_at == at else {"sent_at": isoformat(sent_at)}


def _tracks(session_key: int, after: int, limit: int) -> Iterator[list[TimelineEntry]]:
    window = (session_key, after, limit)
    yield [
        TimelineEntry(at, "mood", kind, orjson.loads(fields) | _mark(sent_at, at))
        for at, kind, fields, sent_at in fetch_all(
            "SELECT at, kind, fields, sent_at FROM mood_event"
            " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
            window,
        )
    ]
    yield [
        TimelineEntry(
            at,
            "mood",
            "mood_changed",
            {"mood": mood, "confidence": round(confidence, 2), "suggested_action": action},
        )
        for at, mood, confidence, action in fetch_all(
            "SELECT at, mood, confidence, action FROM mood_change"
            " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
            window,
        )
    ]
    yield [
        TimelineEntry(
            at,
            "mood",
            "feedback",
            {
                "action_taken": action,
                "was_helpful": None if helpful is None else bool(helpful),
                "notes": notes,
            },
        )
        for at, action, helpful, notes in fetch_all(
            "SELECT at, action, helpful, notes FROM mood_feedback"
            " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
            window,
        )
    ]
