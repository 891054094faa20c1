"""Write a batch's sessions as one JSON document, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from core import fetch_all
from plugins.clickstream.batches import batch_key, numbered_sessions
from plugins.clickstream.services import ANSWER_COLUMNS, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALL_EVENTS = 2**53
"""More events than a session has."""


def batch_sessions(
    account_id: int, batch_id: str, after_number: int, limit: int, events_limit: int
) -> Iterator[bytes]:
    """Write `{batch_id, sessions, last_number}`; a limit of 0 is none. An unknown batch has no sessions."""
    key = batch_key(account_id, batch_id)
    last: int | None = None
    yield b'{"batch_id":' + orjson.dumps(batch_id) + b',"sessions":['
    if key is not None:
        for row in numbered_sessions(account_id, key, after_number, limit, ANSWER_COLUMNS):
            number, session_key, *columns = row
            body = answer(columns, _events(session_key, events_limit)) | {"session_number": number}
            yield (b"" if last is None else b",") + orjson.dumps(body)
            last = number
    yield b'],"last_number":' + orjson.dumps(last) + b"}"


def _events(session_key: int, limit: int) -> Sequence[Sequence[Any]]:
    return fetch_all(
        "SELECT event_id, object_id, event_type, at, unit, meta FROM clickstream_event"
        " WHERE session_key = ? ORDER BY id LIMIT ?",
        (session_key, limit or ALL_EVENTS),
    )
