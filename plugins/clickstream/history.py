"""What is known about a session, and its erasure."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from core import Session, TimelineEntry, fetch_all
from plugins.clickstream.outcomes import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES = ("event", "search", "orphan")


def timeline(session: Session, after: int, limit: int) -> Iterator[TimelineEntry]:
    """Give the search and the events of a session that are later than `after`, in time order."""
    searches = fetch_all(
        "SELECT at, query, results_known, outcome, is_irrelevant FROM clickstream_search"
        " WHERE session_key = ? AND at > ?",
        (session.key, after),
    )
    found = [
        TimelineEntry(
            at,
            SOURCE,
            "search",
            {
                "query": query,
                "results_known": bool(known),
                "outcome": outcome,
                "is_irrelevant": bool(irrelevant),
            },
        )
        for at, query, known, outcome, irrelevant in searches
    ]
    events = fetch_all(
        "SELECT at, event_id, object_id, event_type FROM clickstream_event"
        " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
        (session.key, after, limit),
    )
    done = [
        TimelineEntry(
            at, SOURCE, "event", {"event_id": event_id, "object_id": object_id, "event_type": kind}
        )
        for at, event_id, object_id, kind in events
    ]
    return islice(merge(found, done, key=lambda entry: entry.at), limit)


def erase(session: Session) -> int:
    """Remove everything about a session and give how many rows went."""
    removed = 0
    for table in _TABLES:
        removed += len(
            fetch_all(
                f"DELETE FROM clickstream_{table} WHERE session_key = ? RETURNING session_key",  # noqa: S608
                (session.key,),
            )
        )
    return removed
