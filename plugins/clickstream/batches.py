"""Batches of sessions for training: one collects, the released ones stay as they are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import NotFound, Session, fetch_all, now, row_lock, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Release:
    """Name a released batch; `released_at` in microseconds UTC."""

    release_id: str
    batch_id: str
    released_at: int


def collect(session: Session) -> None:
    """Put a new session into the account's collecting batch, under the next number.

    The batch's row is locked until the commit, so numbers become visible in their order and a reader that
    asks for what comes after a number misses none. Call at the end of the transaction.
    """
    taken = _next_number(session.account_id)
    while taken is None:
        fetch_all(
            "INSERT INTO clickstream_batch (account_id, public_id, last_number, created_at)"
            " VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING RETURNING id",
            (session.account_id, secrets.token_hex(16), now()),
        )
        taken = _next_number(session.account_id)
    fetch_all(
        "UPDATE clickstream_search SET batch_id = ?, number = ? WHERE session_key = ? RETURNING session_key",
        (*taken, session.key),
    )


def release(account_id: int, release_id: str) -> Release:
    """Release the collecting batch; the same id gives the same batch again.

    Raises NotFound when no batch collects and the id is unknown.
    """
    with transaction():
        # The lock comes first: whoever waited for it then sees what the other one released.
        collecting = fetch_all(
            "SELECT id FROM clickstream_batch WHERE account_id = ? AND released_at IS NULL"  # noqa: S608
            f"{row_lock()}",
            (account_id,),
        )
        known = _released(account_id, release_id)
        if known is not None:
            return known
        if not collecting:
            raise NotFound("There is no collecting batch")
        rows = fetch_all(
            "UPDATE clickstream_batch SET release_id = ?, released_at = ? WHERE account_id = ? AND id = ?"
            " RETURNING public_id, released_at",
            (release_id, now(), account_id, collecting[0][0]),
        )
        return Release(release_id, *rows[0])


def batch_key(account_id: int, batch_id: str) -> int | None:
    """Give the integer key of a batch, or None when the account has no such batch."""
    if "\x00" in batch_id:
        return None
    rows = fetch_all(
        "SELECT id FROM clickstream_batch WHERE account_id = ? AND public_id = ?",
        (account_id, batch_id),
    )
    return rows[0][0] if rows else None


def numbered_sessions(
    account_id: int, key: int, after: int, limit: int, columns: str
) -> Iterator[tuple[Any, ...]]:
    """Give (number, session key, …columns) of a batch's relevant sessions past a number; 0 is no limit."""
    page = 200
    left = limit
    while True:
        size = min(page, left) if limit else page
        rows = fetch_all(
            f"SELECT number, session_key, {columns} FROM clickstream_search"  # noqa: S608 (our own names)
            " WHERE account_id = ? AND batch_id = ? AND number > ? AND NOT is_irrelevant"
            " ORDER BY number LIMIT ?",
            (account_id, key, after, size),
        )
        yield from rows
        left -= len(rows)
        if len(rows) < size or (limit and not left):
            return
        after = rows[-1][0]


def _next_number(account_id: int) -> tuple[int, int] | None:
    rows = fetch_all(
        "UPDATE clickstream_batch SET last_number = last_number + 1"
        " WHERE account_id = ? AND released_at IS NULL RETURNING id, last_number",
        (account_id,),
    )
    return (rows[0][0], rows[0][1]) if rows else None


def _released(account_id: int, release_id: str) -> Release | None:
    rows = fetch_all(
        "SELECT public_id, released_at FROM clickstream_batch WHERE account_id = ? AND release_id = ?",
        (account_id, release_id),
    )
    return Release(release_id, *rows[0]) if rows else None
