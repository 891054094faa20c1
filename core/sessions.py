"""The session registry: which sessions an account has, and how one is erased for good.

A session is (account, the client's id); plugins keep rows under its integer key. Erasing leaves a tombstone, a
digest of the id, so that late data does not bring the session back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core import clock
from core.database import after_commit, fetch_all, row_lock, skip_locked, transaction
from core.errors import Invalid, NotFound, SessionErased
from core.models import Answer, SessionRow, Tombstone
from core.runtime import current

#: Characters that a session id may have (the longest that the APIs' documents name).
MAX_SESSION_ID_LENGTH = 256
#: Microseconds by which `last_seen` may lag: retention counts days, and a write a minute is cheaper than one a batch.
LAST_SEEN_RESOLUTION = clock.MINUTE
# A row that is just being told is locked, and who tells it waits for the session: waiting for that row in turn would
# be a deadlock. It drops the row itself when it finds the session gone.
_DROP_OUTBOX = (
    "DELETE FROM core_outbox WHERE session_key = ? AND id IN"
    " (SELECT id FROM core_outbox WHERE session_key = ?{lock}) RETURNING id"
)


@dataclass(frozen=True, slots=True)
class Session:
    """Name one session: its integer key, its account and the client's id."""

    key: int
    account_id: int
    session_id: str


def check_session_id(session_id: object) -> str:
    """Return the id when it can be one, or raise Invalid with what is wrong."""
    if not isinstance(session_id, str) or not session_id:
        raise Invalid("The session id must be a non-empty string")
    if len(session_id) > MAX_SESSION_ID_LENGTH:
        raise Invalid(f"The session id must have at most {MAX_SESSION_ID_LENGTH} characters")
    if not _is_possible(session_id):
        raise Invalid("The session id must be valid Unicode text without NUL")
    return session_id


def touch_session(account_id: int, session_id: str) -> Session:
    """Return the session and mark it seen, to within a minute; make it when it is new.

    Call inside a transaction. Raises SessionErased while a tombstone stands, Invalid for an impossible id.
    """
    check_session_id(session_id)
    seen = clock.now()
    rows = fetch_all(
        f"SELECT id, last_seen FROM core_session WHERE account_id = ? AND session_id = ?{row_lock()}",  # noqa: S608
        (account_id, session_id),
    )
    if not rows:
        _refuse_erased(account_id, session_id, seen)
        rows = fetch_all(
            "INSERT INTO core_session (account_id, session_id, first_seen, last_seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account_id, session_id) DO UPDATE SET last_seen = excluded.last_seen"
            " RETURNING id, last_seen",
            (account_id, session_id, seen, seen),
        )
    key, last_seen = rows[0]
    if seen - last_seen > LAST_SEEN_RESOLUTION:
        fetch_all(
            "UPDATE core_session SET last_seen = ? WHERE account_id = ? AND id = ? RETURNING id",
            (seen, account_id, key),
        )
    return Session(key, account_id, session_id)


def find_session(account_id: int, session_id: str) -> Session | None:
    """Return the account's session, or None."""
    if not _is_possible(session_id):  # PostgreSQL would refuse to look for it
        return None
    rows = fetch_all(
        "SELECT id FROM core_session WHERE account_id = ? AND session_id = ?",
        (account_id, session_id),
    )
    return Session(rows[0][0], account_id, session_id) if rows else None


def get_session(account_id: int, session_id: str) -> Session:
    """Return the account's session; raises NotFound."""
    session = find_session(account_id, session_id)
    if session is None:
        raise NotFound("Session not found", session_id=session_id)
    return session


def lock_session(account_id: int, key: int) -> Session | None:
    """Return the account's session with an integer key and keep it from being erased until the transaction ends.

    None when it is gone. For jobs, which carry keys only: what they write must not outlive an erasure.
    """
    rows = fetch_all(
        f"SELECT session_id FROM core_session WHERE account_id = ? AND id = ?{row_lock()}",  # noqa: S608
        (account_id, key),
    )
    return Session(key, account_id, rows[0][0]) if rows else None


def erase_session(account_id: int, session_id: str) -> int:
    """Erase a session in every plugin and leave a tombstone; return how many rows went.

    Raises NotFound when the account has no such session. One transaction; queued jobs go after it.
    """
    with transaction():
        session = lock_session(account_id, get_session(account_id, session_id).key)
        if session is None:
            raise NotFound("Session not found", session_id=session_id)
        removed = _remove(session)
        days: int = current().settings["SUBTEXT_TOMBSTONE_DAYS"]
        if days > 0:
            expires = clock.now() + days * clock.DAY
            Tombstone.insert(
                account=account_id, digest=_digest(account_id, session_id), expires_at=expires
            ).on_conflict(
                conflict_target=[Tombstone.account, Tombstone.digest],
                update={Tombstone.expires_at: expires},
            ).execute()
    return removed


def _remove(session: Session) -> int:
    """Remove a locked session from every plugin and from the core; return how many rows went."""
    removed: int = sum(current().plugins.hook.erase_session(session=session))
    removed += len(fetch_all(_DROP_OUTBOX.format(lock=skip_locked()), (session.key, session.key)))
    removed += Answer.delete().where(Answer.session_key == session.key).execute()
    removed += (
        SessionRow.delete()
        .where(SessionRow.account == session.account_id, SessionRow.id == session.key)
        .execute()
    )
    jobs = current().jobs
    after_commit(lambda: jobs.drop(session_key=session.key))
    return removed


def erase_expired_sessions(limit: int = 500) -> int:
    """Erase sessions that were not seen within the retention time; return how many. Off at 0 days.

    They leave no tombstone: nobody asked to be forgotten, and a visitor who comes back is welcome.
    """
    days: int = current().settings["SUBTEXT_RETENTION_DAYS"]
    if days <= 0:
        return 0
    before = clock.now() - days * clock.DAY
    expired = fetch_all(
        "SELECT account_id, id FROM core_session WHERE last_seen < ? ORDER BY last_seen LIMIT ?",
        (before, limit),
    )
    erased = 0
    for account_id, key in expired:
        with transaction():
            # Again, and locked: it may have been seen, or erased, since the list was made.
            still = fetch_all(
                "SELECT session_id FROM core_session WHERE account_id = ? AND id = ? AND last_seen < ?"  # noqa: S608
                f"{row_lock()}",
                (account_id, key, before),
            )
            for (session_id,) in still:
                _remove(Session(key, account_id, session_id))
                erased += 1
    return erased


def drop_expired_tombstones() -> int:
    """Forget tombstones whose time is over; return how many."""
    with transaction():
        return int(Tombstone.delete().where(Tombstone.expires_at < clock.now()).execute())


def _refuse_erased(account_id: int, session_id: str, at: int) -> None:
    standing = fetch_all(
        "SELECT 1 FROM core_tombstone WHERE account_id = ? AND digest = ? AND expires_at > ?",
        (account_id, _digest(account_id, session_id), at),
    )
    if standing:
        raise SessionErased(session_id=session_id)


def _digest(account_id: int, session_id: str) -> str:
    text = f"{account_id}\x00{session_id}"
    return hashlib.sha256(text.encode()).hexdigest()


def _is_possible(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
