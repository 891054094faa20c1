"""What was observed in a session, and back from the database to observations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from core import fetch_all, insert_rows, setting
from plugins.mood.models import MoodEvent, MoodEvidence
from plugins.mood.observations import FULL_STRENGTH, NATIVE, Observation
from plugins.mood.rules import BUCKET, HORIZON_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core import Evidence

MICROSECONDS = 1_000_000
MEMORY = HORIZON_BUCKETS * BUCKET
"""Microseconds after which what was observed is out of memory."""
REFERENCES_PER_QUERY = 5_000
"""Values in one IN list; SQLite takes 32,766."""

_FIELDS = ("x", "y", "duration_ms", "speed", "direction", "url")


class Mark(NamedTuple):
    """Say up to which rows a session was read."""

    event: int = 0
    evidence: int = 0


START = Mark()
"""Before the first row."""


def observe(
    kind: str,
    at: int,
    fields: dict[str, Any],
    modality: str = NATIVE,
    strength: int = FULL_STRENGTH,
) -> Observation:
    """Make an observation of stored fields; what is of another type than expected is left out."""
    speed = _number(fields.get("speed"))
    return Observation(
        at,
        kind,
        modality,
        strength,
        x=_number(fields.get("x")),
        y=_number(fields.get("y")),
        duration_ms=_number(fields.get("duration_ms")),
        speed=None if speed is None else abs(speed),
        direction=_text(fields.get("direction")),
        url=_text(fields.get("url")),
    )


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _number(value: Any) -> float | None:
    if type(value) is int:
        return float(value) if abs(value) < 2**63 else None
    return value if type(value) is float and math.isfinite(value) else None


def parse_seconds(text: str) -> float:
    """Read a number of seconds, 0 or more."""
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError("must be a number of seconds, 0 or more")
    return seconds


def effective_times(sent: Sequence[int], received: int) -> list[int]:
    """Return the times that count of items that came together: the sent ones, unless a clock was ahead.

    One item from the future would age everything else out of memory. Items that lie further ahead than clocks err
    keep their distances: the last of them happened at its receipt, the others so long before as they say, but
    within memory.
    """
    tolerated = received + setting("SUBTEXT_MOOD_CLOCK_SKEW") * MICROSECONDS
    error = max(sent, default=received) - received
    if received + error <= tolerated:
        return list(sent)
    return [at if at <= tolerated else max(at - error, received - MEMORY) for at in sent]


def without_repeats(session_key: int, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out events whose id the session has already, or that stand twice in the list."""
    ids = {event["id"] for event in events if "id" in event}
    known = _known(
        "SELECT event_id FROM mood_event WHERE session_key = ? AND event_id IN ",
        (session_key,),
        sorted(ids),
    )
    fresh = []
    for event in events:
        if "id" in event:
            if event["id"] in known:
                continue
            known.add(event["id"])
        fresh.append(event)
    return fresh


def store_events(
    session_key: int, events: Sequence[dict[str, Any]], received: int
) -> list[Observation]:
    """Store loaded events that are new, and return them as observations.

    An event without a time has the time of its receipt (µs), a microsecond later than the one
    before it in the batch, which keeps their order.
    """
    rows, observations = [], []
    sent = [event.get("ts", received + index) for index, event in enumerate(events)]
    times = effective_times(sent, received)
    for event, sent_at, at in zip(events, sent, times, strict=True):
        fields = {name: value for name, value in event.items() if name not in {"type", "ts", "id"}}
        rows.append(
            (
                session_key,
                event.get("id"),
                event["type"],
                sent_at,
                at,
                orjson.dumps(fields).decode(),
            )
        )
        observations.append(observe(event["type"], at, fields))
    columns = ("session_key", "event_id", "kind", "sent_at", "at", "fields")
    insert_rows(MoodEvent, columns, rows)
    return observations


def store_evidence(
    session_key: int, source: str, evidence: Iterable[Evidence], received: int
) -> list[Observation]:
    """Store evidence that is new by its reference, and return it as observations."""
    by_reference = {each.reference: each for each in evidence}
    known = _known(
        "SELECT reference FROM mood_evidence WHERE session_key = ? AND source = ? AND reference IN ",
        (session_key, source),
        sorted(by_reference),
    )
    fresh = [each for reference, each in by_reference.items() if reference not in known]
    times = effective_times([each.at for each in fresh], received)
    rows, observations = [], []
    for each, at in zip(fresh, times, strict=True):
        strength = _strength(each.strength)
        fields = each.fields or {}
        kept = {name: fields[name] for name in _FIELDS if fields.get(name) is not None}
        rows.append(
            (
                session_key,
                source,
                each.reference,
                each.modality,
                each.kind,
                strength,
                at,
                orjson.dumps(kept).decode(),
            )
        )
        observations.append(observe(each.kind, at, kept, each.modality, strength))
    columns = (
        "session_key",
        "source",
        "reference",
        "modality",
        "kind",
        "strength",
        "at",
        "fields",
    )
    insert_rows(MoodEvidence, columns, rows)
    return observations


def _strength(strength: float) -> int:
    if not strength > 0:
        return 0
    return math.floor(min(strength, 1.0) * FULL_STRENGTH + 0.5)


def _known(query: str, parameters: tuple[Any, ...], values: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(values), REFERENCES_PER_QUERY):
        part = values[start : start + REFERENCES_PER_QUERY]
        marks = ", ".join("?" * len(part))
        found.update(row[0] for row in fetch_all(f"{query}({marks})", (*parameters, *part)))
    return found


def stored_observations(session_key: int, after: Mark = START) -> tuple[list[Observation], Mark]:
    """Return everything observed in a session in rows after a mark, and where they end."""
    events = fetch_all(
        "SELECT id, kind, at, fields FROM mood_event WHERE session_key = ? AND id > ?",
        (session_key, after.event),
    )
    evidence = fetch_all(
        "SELECT id, kind, at, fields, modality, strength FROM mood_evidence"
        " WHERE session_key = ? AND id > ?",
        (session_key, after.evidence),
    )
    observations = [
        observe(kind, at, orjson.loads(fields), *rest)
        for _, kind, at, fields, *rest in [*events, *evidence]
    ]
    return observations, Mark(
        max((row[0] for row in events), default=after.event),
        max((row[0] for row in evidence), default=after.evidence),
    )
