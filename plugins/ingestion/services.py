"""What the plugin does: keeps batches, tells what they are evidence of, recalls and erases them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from core import (
    Outcome,
    Session,
    TimelineEntry,
    current,
    insert_rows,
    once,
    record_compact,
    touch_session,
)
from plugins.ingestion.models import MODELS, EventRow, FrameRow, ItemRow, SegmentRow
from plugins.ingestion.records import (
    event_evidence,
    frame_evidence,
    read_event,
    read_frame,
    read_segment,
    segment_evidence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from plugins.ingestion.records import EvidenceRow, Record

    #: An accepted item: what is stored of it, how it came, and how it was read.
    Taken = tuple[Record, Mapping[str, Any], Mapping[str, Any]]

#: The plugin's name as the source of evidence and of timeline entries.
SOURCE = "ingestion"


@dataclass(frozen=True)
class Kind:
    """Describe one kind of item: where it is kept, what reads it, what it is evidence of."""

    name: str
    model: type[ItemRow]
    read: Callable[[Mapping[str, Any], Mapping[str, Any]], Record]
    observe: Callable[[Record, Mapping[str, Any], Mapping[str, Any]], list[EvidenceRow]]


EVENT = Kind("event", EventRow, read_event, event_evidence)
FRAME = Kind("frame", FrameRow, read_frame, frame_evidence)
SEGMENT = Kind("segment", SegmentRow, read_segment, segment_evidence)


def take_items(
    kind: Kind,
    items: Sequence[Any],
    accepted: Iterable[tuple[int, Mapping[str, Any]]],
) -> tuple[list[Taken], list[tuple[int, str]]]:
    """Return the items that can be kept, and (index, reason) of those that cannot.

    `accepted` are (index, loaded) of the items that fit the schema.
    """
    taken: list[Taken] = []
    refused: list[tuple[int, str]] = []
    read = kind.read
    for index, loaded in accepted:
        item = items[index]
        try:
            taken.append((read(item, loaded), item, loaded))
        except orjson.JSONEncodeError:
            # The parser takes 1,024 levels, the writer 254.
            refused.append((index, "Invalid item: is nested too deeply"))
    return taken, refused


def store_batch(  # noqa: PLR0913 - a request is this much
    account_id: int,
    session_id: str,
    kind: Kind,
    taken: Sequence[Taken],
    *,
    answer: bytes,
    request: bytes,
    idempotency_key: str | None,
) -> Outcome:
    """Store a batch in one transaction and return the answer, or the stored one to a repeated key.

    Items that are stored already are left as they are. Raises SessionErased, IdempotencyMismatch.
    """

    def act() -> Outcome:
        if not taken:
            return Outcome(200, answer)
        session = touch_session(account_id, session_id)
        key = session.key
        rows = [(key, *record) for record, _, _ in taken]
        if new := insert_rows(kind.model, kind.model.COLUMNS, rows):
            told = taken if new == len(taken) else _as_stored(kind, key, taken)
            record_compact(session, SOURCE, [row for item in told for row in kind.observe(*item)])
        return Outcome(200, answer, key)

    return once(account_id, f"{SOURCE}.{kind.name}", idempotency_key, request, act)


def count_items(kind: Kind, *, accepted: int, rejected: int) -> None:
    """Count what was sent in the metrics."""
    items = current().metrics.items
    items.labels(kind.name, "accepted").inc(accepted)
    items.labels(kind.name, "rejected").inc(rejected)


def read_timeline(session: Session, after: int, limit: int) -> list[TimelineEntry]:
    """Return at most `limit` items of a session later than `after` (µs UTC), in time order."""
    parts = (
        [
            (at, kind.name, payload)
            for at, payload in kind.model.later_than(session.key, after, limit)
        ]
        for kind in (EVENT, FRAME, SEGMENT)
    )
    return [
        TimelineEntry(at, SOURCE, name, orjson.loads(payload))
        for at, name, payload in islice(heapq.merge(*parts), limit)
    ]


def erase(session: Session) -> int:
    """Delete everything about a session and return how many rows there were."""
    return sum(model.erase(session.key) for model in MODELS)


def _as_stored(kind: Kind, session_key: int, taken: Sequence[Taken]) -> list[Taken]:
    """Return the items that are stored as they came.

    Some were there before. One that was there with another content must not be told: what is told
    is what is stored. One that is told again is known by its reference.
    """
    times = [at for (at, _, _), _, _ in taken]
    keys = {key for (_, key, _), _, _ in taken}
    stored = kind.model.payloads(session_key, min(times), max(times), keys)
    return [item for item in taken if stored.get(item[0][1]) == item[0][2]]
