"""Sessions and events: create, read, push, mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from core import (
    BadRequest,
    Invalid,
    NotFound,
    Session,
    after_commit,
    current,
    fetch_all,
    find_session,
    insert_rows,
    now,
    record_evidence,
    setting,
    touch_session,
    transaction,
)
from plugins.clickstream import batches, moments, outcomes
from plugins.clickstream.models import EventRow
from plugins.clickstream.payloads import fragment, json_text
from plugins.clickstream.searches import Event, Result, positions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_EVENTS = 10_000
"""Events in one answer; `events_after` pages past them."""

ORPHANS_KEPT_FOR = 86_400 * moments.SECOND
"""A day: how long events wait for their session."""

IDS_PER_QUERY = 500

_EVENT_COLUMNS = ("session_key", "event_id", "object_id", "event_type", "at", "unit", "meta")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Hold an event to store; `at` in microseconds, `unit` the microseconds of what came, `meta` JSON text."""

    event_id: str
    object_id: str
    event_type: str
    at: int
    unit: int
    meta: str | None

    @property
    def event(self) -> Event:
        """Give the event as the analysis sees it."""
        return Event(self.event_id, self.object_id, self.event_type, self.at)


@dataclass(frozen=True, slots=True)
class NewSearch:
    """Hold a search to store; objects are JSON text, and `results_known` is false where nobody knows what was shown.

    An `imported` search is history: it is counted, and it is no evidence about anybody's mood.
    """

    session_id: str
    query: str
    results: Sequence[Any]
    at: int
    unit: int
    user_id: str | None = None
    search_meta: str | None = None
    payload_filter: str | None = None
    sort_by: str | None = None
    results_known: bool = True
    imported: bool = False


def check_time(value: int | None) -> tuple[int, int]:
    """Give a client's time in microseconds and its unit; without one it is now, in milliseconds.

    Raises BadRequest when a window is configured and the time lies outside of it.
    """
    moment = now()
    if value is None:
        return moment - moment % moments.MILLISECOND, moments.MILLISECOND
    unit = moments.unit_of(value)
    at = value * unit
    window: tuple[float, float] | None = setting("SUBTEXT_CLICKSTREAM_WINDOW")
    if window is not None:
        low, high = window
        if not moment + low * moments.SECOND <= at <= moment + high * moments.SECOND:
            raise BadRequest(f"Invalid utc timestamp: {value}")
    return at, unit


def create_search(account_id: int, search: NewSearch) -> tuple[Session, bool]:
    """Store a search and give its session and whether it is new; of a repeat the first body stays.

    Raises SessionErased.
    """
    with transaction():
        session = touch_session(account_id, search.session_id)
        is_new = _insert_search(session, search)
        _count("search", "accepted" if is_new else "repeated")
        if not is_new:
            return session, False
        adopted = _adopt_orphans(session)
        positions = positions_of(Result(result["object_id"]) for result in search.results)
        outcome = _first_outcome(search, adopted)
        if outcome != outcomes.OPEN:
            _set_outcome(session.key, outcome)
        if not search.imported:
            empty = search.results_known and not search.results
            outcomes.search_evidence(session, search.user_id, search.query, search.at, empty=empty)
            record_evidence(session, outcomes.SOURCE, outcomes.click_evidence(adopted, positions))
        # Last, because on PostgreSQL it holds other creations of the account up until the commit.
        batches.collect(session)
    return session, True


def push_events(
    account_id: int, session_id: str, events: Sequence[NewEvent], *, imported: bool = False
) -> int:
    """Store the events that are new and give how many; those of a session that is not created yet wait for it.

    Raises SessionErased, and NotFound for an unknown session where `SUBTEXT_CLICKSTREAM_STRICT` is on.
    """
    if not events:
        return 0
    with transaction():
        if setting("SUBTEXT_CLICKSTREAM_STRICT"):
            _require_search(account_id, session_id)
        session = touch_session(account_id, session_id)
        fresh = _without_known(session.key, events)
        rows = [
            (session.key, e.event_id, e.object_id, e.event_type, e.at, e.unit, e.meta)
            for e in fresh
        ]
        insert_rows(EventRow, _EVENT_COLUMNS, rows)
        _count("search_event", "repeated", len(events) - len(fresh))
        stored = fetch_all(
            "SELECT results, outcome, is_irrelevant FROM clickstream_search WHERE session_key = ?",
            (session.key,),
        )
        _count("search_event", "accepted" if stored else "orphaned", len(fresh))
        if not stored:
            fetch_all(
                "INSERT INTO clickstream_orphan (session_key, account_id, since) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING session_key",
                (session.key, account_id, now()),
            )
            return len(fresh)
        results, outcome, is_irrelevant = stored[0]
        clean = [new.event for new in fresh]
        # Whatever it was until now: of a search whose events came first the same is said.
        if outcome != outcomes.ENGAGED and any(event.is_engagement for event in clean):
            _set_outcome(session.key, outcomes.ENGAGED)
        if not imported and not is_irrelevant and any(event.is_click for event in clean):
            positions = positions_of(Result(r["object_id"]) for r in orjson.loads(results))
            record_evidence(session, outcomes.SOURCE, outcomes.click_evidence(clean, positions))
    return len(fresh)


def read_session(
    account_id: int, session_id: str, events_after: str | None = None
) -> tuple[dict[str, Any], str | None]:
    """Give a session as it is answered and, when there are more events, where the next page begins.

    Raises NotFound, and Invalid for an `events_after` that is no event of the session.
    """
    session = _require_search(account_id, session_id)
    after = 0
    if events_after is not None:
        rows = (
            []
            if "\x00" in events_after
            else fetch_all(
                "SELECT id FROM clickstream_event WHERE session_key = ? AND event_id = ?",
                (session.key, events_after),
            )
        )
        if not rows:
            message = "Value error, no event of the session has this event_id"
            raise Invalid(errors={"query": {"events_after": [message]}})
        after = rows[0][0]
    events = fetch_all(
        "SELECT event_id, object_id, event_type, at, unit, meta FROM clickstream_event"
        " WHERE session_key = ? AND id > ? ORDER BY id LIMIT ?",
        (session.key, after, MAX_EVENTS + 1),
    )
    more = len(events) > MAX_EVENTS
    events = events[:MAX_EVENTS]
    row = fetch_all(
        f"SELECT {ANSWER_COLUMNS} FROM clickstream_search WHERE session_key = ?",  # noqa: S608
        (session.key,),
    )
    if not row:  # erased between the two reads
        raise _not_found(session_id)
    return answer(row[0], events), events[-1][0] if more else None


def mark_irrelevant(account_id: int, session_id: str) -> None:
    """Take a session out of all metrics, exports and batches; raises NotFound."""
    _mark(account_id, session_id, "is_irrelevant")


def use_for_improvement(account_id: int, session_id: str) -> None:
    """Choose a session for improvement; raises NotFound."""
    _mark(account_id, session_id, "for_improvement")


def expire_orphans(limit: int = IDS_PER_QUERY) -> int:
    """Remove events that waited a day for their session; return how many."""
    before = now() - ORPHANS_KEPT_FOR
    with transaction():
        keys = fetch_all(
            "SELECT session_key FROM clickstream_orphan WHERE since < ? ORDER BY since LIMIT ?",
            (before, limit),
        )
        removed = 0
        for (key,) in keys:
            # First the row that a creation takes out too: a session that was created meanwhile keeps its events.
            if fetch_all(
                "DELETE FROM clickstream_orphan WHERE session_key = ? RETURNING session_key", (key,)
            ):
                gone = fetch_all(
                    "DELETE FROM clickstream_event WHERE session_key = ? RETURNING id", (key,)
                )
                removed += len(gone)
    return removed


def count_orphans(account_id: int) -> int:
    """Give how many events wait for their session."""
    rows = fetch_all(
        "SELECT COUNT(*) FROM clickstream_orphan o JOIN clickstream_event e"
        " ON e.session_key = o.session_key WHERE o.account_id = ?",
        (account_id,),
    )
    return int(rows[0][0])


ANSWER_COLUMNS = "session_id, query, results, search_meta, payload_filter, sort_by, user_id, at, unit, is_irrelevant"


def answer(row: Sequence[Any], events: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Give a session as the document has it; `row` holds `ANSWER_COLUMNS`."""
    session_id, query, results, search_meta, payload_filter, sort_by, user_id, at, unit, marked = (
        row
    )
    return {
        "session_id": session_id,
        "search_query": query,
        "search_results": orjson.Fragment(results),
        "search_meta": fragment(search_meta),
        "payload_filter": fragment(payload_filter),
        "sort_by": fragment(sort_by),
        "user_id": user_id,
        "created_at": at // unit,
        "is_irrelevant": bool(marked),
        "events": [
            {
                "event_id": event_id,
                "object_id": object_id,
                "event_type": event_type,
                "created_at": event_at // event_unit,
                "meta": fragment(meta),
            }
            for event_id, object_id, event_type, event_at, event_unit, meta in events
        ],
    }


def _count(kind: str, outcome: str, number: int = 1) -> None:
    """Count items for the operators' metrics, once they are committed."""
    items = current().metrics.items.labels(kind, outcome)
    after_commit(lambda: items.inc(number))


def _insert_search(session: Session, search: NewSearch) -> bool:
    rows = fetch_all(
        "INSERT INTO clickstream_search (session_key, account_id, session_id, user_id, query, results,"
        " results_known, search_meta, payload_filter, sort_by, at, unit, received_at, outcome,"
        " is_irrelevant, for_improvement) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (session_key) DO NOTHING RETURNING session_key",
        (
            session.key,
            session.account_id,
            session.session_id,
            search.user_id,
            search.query,
            json_text(search.results),
            search.results_known,
            search.search_meta,
            search.payload_filter,
            search.sort_by,
            search.at,
            search.unit,
            now(),
            outcomes.OPEN,
            False,
            False,
        ),
    )
    return bool(rows)


def _adopt_orphans(session: Session) -> list[Event]:
    waiting = fetch_all(
        "DELETE FROM clickstream_orphan WHERE session_key = ? RETURNING session_key", (session.key,)
    )
    if not waiting:
        return []
    rows = fetch_all(
        "SELECT event_id, object_id, event_type, at FROM clickstream_event WHERE session_key = ? ORDER BY id",
        (session.key,),
    )
    return [Event(*row) for row in rows]


def _first_outcome(search: NewSearch, adopted: Sequence[Event]) -> str:
    if any(event.is_engagement for event in adopted):
        return outcomes.ENGAGED
    if not search.results_known:
        return outcomes.UNKNOWN
    if not search.results:
        return outcomes.EMPTY
    # An import brings all events there are, right after.
    return outcomes.ABANDONED if search.imported else outcomes.OPEN


def _set_outcome(key: int, outcome: str) -> None:
    fetch_all(
        "UPDATE clickstream_search SET outcome = ? WHERE session_key = ? RETURNING session_key",
        (outcome, key),
    )


def _without_known(key: int, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Leave out events that are stored already or come twice; the session's row is locked, so the answer holds."""
    unique = list({event.event_id: event for event in reversed(events)}.values())[::-1]
    known: set[str] = set()
    for start in range(0, len(unique), IDS_PER_QUERY):
        ids = [event.event_id for event in unique[start : start + IDS_PER_QUERY]]
        marks = ", ".join("?" * len(ids))
        rows = fetch_all(
            f"SELECT event_id FROM clickstream_event WHERE session_key = ? AND event_id IN ({marks})",  # noqa: S608
            (key, *ids),
        )
        known.update(event_id for (event_id,) in rows)
    return [event for event in unique if event.event_id not in known]


def _mark(account_id: int, session_id: str, column: str) -> None:
    with transaction():
        session = _require_search(account_id, session_id)
        fetch_all(
            f"UPDATE clickstream_search SET {column} = ? WHERE session_key = ? RETURNING session_key",  # noqa: S608
            (True, session.key),
        )


def _require_search(account_id: int, session_id: str) -> Session:
    session = None if "\x00" in session_id else find_session(account_id, session_id)
    if session is None or not fetch_all(
        "SELECT 1 FROM clickstream_search WHERE session_key = ?", (session.key,)
    ):
        raise _not_found(session_id)
    return session


def _not_found(session_id: str) -> NotFound:
    return NotFound(f"Session with id={session_id} not found")
