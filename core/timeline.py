"""The timeline: what all plugins know about one session, in the order in which it happened."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from core.runtime import current

if TYPE_CHECKING:
    from core.sessions import Session

#: Entries in one page.
MAX_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """State one thing that happened: when (microseconds UTC), which plugin knows it, what it was, and its details."""

    at: int
    source: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def read_timeline(
    session: Session, *, after: int, limit: int
) -> tuple[list[TimelineEntry], int | None]:
    """Return a page of entries later than `after`, merged from all plugins, oldest first, and where the next begins.

    A page ends between two moments, never within one, so that the next page, which begins after its last moment,
    misses nothing; a moment with more than `limit` entries comes whole.
    """
    wanted = min(limit, MAX_ENTRIES)
    while True:
        parts = current().plugins.hook.session_timeline(
            session=session, after=after, limit=wanted + 1
        )
        entries = list(islice(heapq.merge(*parts, key=lambda entry: entry.at), wanted + 1))
        if len(entries) <= wanted:
            return entries, None
        page = [entry for entry in entries if entry.at < entries[-1].at]
        if page:
            return page, page[-1].at
        wanted *= 2
