"""What became of a search, and what of it is evidence for others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from core import (
    Evidence,
    Session,
    fetch_all,
    lock_session,
    now,
    record_evidence,
    setting,
    transaction,
)
from plugins.clickstream.moments import SECOND
from plugins.clickstream.reformulation import is_reformulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plugins.clickstream.searches import Event

SOURCE = "clickstream"
MODALITY = "search"

OPEN = "open"
ENGAGED = "engaged"
ABANDONED = "abandoned"
EMPTY = "empty"
UNKNOWN = "unknown"

PER_RUN = 500
"""Searches that one run of the periodic job closes."""

PER_USER = 20
"""Open searches of one user that a new search closes at most."""


def abandoned_after() -> int:
    """Give the microseconds after which a search without a click is abandoned."""
    return int(setting("SUBTEXT_CLICKSTREAM_ABANDONED_AFTER") * SECOND)


def click_evidence(events: Iterable[Event], positions: Mapping[str, int]) -> list[Evidence]:
    """Give evidence of every click on a result that was shown."""
    return [
        Evidence(
            at=event.at,
            modality=MODALITY,
            kind="result_click",
            strength=1.0,
            reference=f"click:{_short(event.event_id)}",
            fields={"position": positions[event.object_id]},
        )
        for event in events
        if event.is_click and event.object_id in positions
    ]


def search_evidence(
    session: Session, user_id: str | None, query: str, at: int, *, empty: bool
) -> None:
    """Record what a new search tells: about itself, and about the user's searches before it.

    Zero results. A reformulation: the user's last search was within the abandonment time and this one rewrites
    it. The user's searches that are still without a click are abandoned by this one, each under its own session.
    """
    found = []
    if empty:
        found.append(Evidence(at, MODALITY, "zero_results", 1.0, "zero_results"))
    if user_id:
        received = now()
        before = _last_query(session, user_id, received - abandoned_after())
        if before is not None and is_reformulation(before, query):
            found.append(Evidence(at, MODALITY, "reformulation", 1.0, "reformulation"))
        _close_open_searches(session, user_id)
    record_evidence(session, SOURCE, found)


def close_overdue_searches() -> int:
    """Mark searches without a click as abandoned once their time is over; return how many."""
    before = now() - abandoned_after()
    closed = 0
    with transaction():
        rows = fetch_all(
            "SELECT session_key, account_id FROM clickstream_search WHERE outcome = ? AND received_at < ?"
            " ORDER BY received_at LIMIT ?",
            (OPEN, before, PER_RUN),
        )
        for key, account_id in sorted(rows):
            closed += _abandon(account_id, key)
    return closed


def _close_open_searches(session: Session, user_id: str) -> None:
    rows = fetch_all(
        "SELECT session_key FROM clickstream_search WHERE account_id = ? AND user_id = ? AND outcome = ?"
        " AND session_key <> ? ORDER BY received_at DESC LIMIT ?",
        (session.account_id, user_id, OPEN, session.key, PER_USER),
    )
    for (key,) in sorted(rows):
        _abandon(session.account_id, key)


def _abandon(account_id: int, key: int) -> int:
    session = lock_session(account_id, key)
    if session is None:  # erased in the meantime
        return 0
    rows = fetch_all(
        "UPDATE clickstream_search SET outcome = ? WHERE session_key = ? AND outcome = ?"
        " RETURNING at, is_irrelevant",
        (ABANDONED, key, OPEN),
    )
    for at, is_irrelevant in rows:
        if not is_irrelevant:
            # A next search ends this one before its time is over.
            ended = min(at + abandoned_after(), now())
            fact = Evidence(ended, MODALITY, "abandoned", 1.0, "abandoned")
            record_evidence(session, SOURCE, [fact])
    return len(rows)


def _last_query(session: Session, user_id: str, since: int) -> str | None:
    rows = fetch_all(
        "SELECT query FROM clickstream_search WHERE account_id = ? AND user_id = ? AND session_key <> ?"
        " AND received_at >= ? ORDER BY received_at DESC LIMIT 1",
        (session.account_id, user_id, session.key, since),
    )
    return rows[0][0] if rows else None


def _short(event_id: str) -> str:
    return hashlib.sha256(event_id.encode()).hexdigest()[:16]
