"""Idempotency-Key: the answer to a request is kept for a day, and a repeat of the request gets it again.

Source: draft-ietf-httpapi-idempotency-key-header. The key is claimed in the transaction that does the work, so
that of two simultaneous repeats one waits for the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import clock
from core.database import fetch_all, transaction
from core.errors import BadRequest, IdempotencyMismatch, Unavailable
from core.models import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

#: Microseconds for which an answer is kept.
KEPT_FOR = clock.DAY
#: Characters that a key may have.
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what a request came to: status, body bytes, and the session it belongs to, if one."""

    status: int
    body: bytes
    session_key: int | None = None


def once(
    account_id: int, operation: str, key: str | None, request: bytes, act: Callable[[], Outcome]
) -> Outcome:
    """Do `act` in a transaction, or replay what it came to when the same key came before.

    `operation` names the address and what stands in its path, `request` is the body. An error raised by `act` is not
    kept. Raises IdempotencyMismatch for the same key with another body, BadRequest for an unusable key.
    """
    if key is None:
        with transaction():
            return act()
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} printable characters")
    fingerprint = hashlib.sha256(request).hexdigest()
    # The key is the client's own text: only its digest is kept.
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
    identity = (account_id, operation, digest)
    with transaction():
        fetch_all(
            "DELETE FROM core_answer WHERE account_id = ? AND operation = ? AND key = ? AND created_at < ?"
            " RETURNING key",
            (*identity, clock.now() - KEPT_FOR),
        )
        claimed = fetch_all(
            "INSERT INTO core_answer (account_id, operation, key, request, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING key",
            (*identity, fingerprint, clock.now()),
        )
        if not claimed:
            stored = fetch_all(
                "SELECT request, status, body FROM core_answer"
                " WHERE account_id = ? AND operation = ? AND key = ?",
                identity,
            )
            if not stored:  # erased with its session between the two looks
                raise Unavailable
            request_before, status, body = stored[0]
            if request_before != fingerprint:
                raise IdempotencyMismatch
            return Outcome(status, bytes(body))
        outcome = act()
        fetch_all(
            "UPDATE core_answer SET status = ?, body = ?, session_key = ?"
            " WHERE account_id = ? AND operation = ? AND key = ? RETURNING key",
            (outcome.status, outcome.body, outcome.session_key, *identity),
        )
        return outcome


def drop_expired_answers() -> int:
    """Forget answers older than a day; return how many."""
    with transaction():
        return int(Answer.delete().where(Answer.created_at < clock.now() - KEPT_FOR).execute())
