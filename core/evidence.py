"""Evidence: what one plugin found out about a session, told to the others after the commit.

The service that stores something puts its evidence in the outbox in the same transaction, one row a batch. A job
drains the outbox and calls `evidence_recorded` on every plugin. A crash in between delays it and never loses it;
what a subscriber writes commits together with the mark that it was told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from core import clock
from core.database import after_commit, fetch_all, is_timeout, is_unavailable, transaction
from core.models import Outbox
from core.runtime import current
from core.sessions import Session, lock_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

logger = logging.getLogger(__name__)

DRAIN_JOB = "core.drain_outbox"
#: Tries before a row is parked: it stays in the table with its error, and `flask jobs outbox` shows it.
MAX_ATTEMPTS = 5
#: Microseconds until a failed row is tried again, doubled with each attempt.
BACKOFF = 2 * clock.SECOND
#: The last of these pauses.
LONGEST_PAUSE = BACKOFF << (MAX_ATTEMPTS - 2)
#: Rows that one run of the drain job handles before it lets other jobs in.
ROWS_PER_RUN = 500
#: A parked row is due this long after now: never, in practice, but still a number.
PARKED_FOR = 36_500 * clock.DAY


@dataclass(frozen=True, slots=True)
class Evidence:
    """State one thing about a session.

    `at` is when it happened (microseconds UTC), `modality` where it was seen (`interaction`, `facial`, `voice`,
    `video`, `search`, or a third party's own), `kind` what it was, `strength` how strong (0 to 1), `reference`
    what it can be told apart by within (session, source). `fields` carries what a subscriber needs besides,
    for example `x` and `y` of a click.
    """

    at: int
    modality: str
    kind: str
    strength: float
    reference: str
    fields: dict[str, Any] | None = None


def record_evidence(session: Session, source: str, evidence: Iterable[Evidence]) -> None:
    """Put evidence about a session in the outbox; call inside the transaction that stored what it rests on.

    `source` is the plugin's name. Nothing is written for no evidence.
    """
    record_compact(
        session,
        source,
        [[e.at, e.modality, e.kind, e.strength, e.reference, e.fields] for e in evidence],
    )


def record_compact(session: Session, source: str, rows: Sequence[Sequence[Any]]) -> None:
    """Do as `record_evidence`, with rows of Evidence's fields in order; for the accept path."""
    if not rows:
        return
    created = clock.now()
    fetch_all(
        "INSERT INTO core_outbox (account_id, session_key, source, payload, created_at, attempts, due_at)"
        " VALUES (?, ?, ?, ?, ?, 0, ?) RETURNING id",
        (session.account_id, session.key, source, orjson.dumps(rows).decode(), created, created),
    )
    jobs = current().jobs
    after_commit(lambda: jobs.enqueue(DRAIN_JOB, unique="outbox"))


def drain_outbox(limit: int = ROWS_PER_RUN) -> int:
    """Tell every plugin what is in the outbox, oldest first; return how many rows are done with.

    Each row is a transaction of its own, so that writers of requests get their turn.
    """
    done = 0
    for _ in range(limit):
        with transaction():
            row = _next_row()
            if row is None:
                return done
            done += _deliver(row)
    # There may be more: let other jobs in and come back.
    current().jobs.enqueue(DRAIN_JOB, unique="outbox")
    return done


def _next_row() -> Outbox | None:
    moment = clock.now()
    due = _first_row(Outbox.due_at <= moment)
    if due is not None:
        return due
    # A row that is due later than any pause lasts was written before the clock was set back.
    stranded = (Outbox.due_at > moment + LONGEST_PAUSE) & (Outbox.attempts < MAX_ATTEMPTS)
    return _first_row(stranded)


def _first_row(condition: Any) -> Outbox | None:
    query = Outbox.select().where(condition).order_by(Outbox.due_at, Outbox.id).limit(1)
    if not hasattr(current().database, "write_lock"):
        # Several workers drain side by side, each with its own rows.
        query = query.for_update("FOR UPDATE SKIP LOCKED")
    row: Outbox | None = query.first()
    return row


def _deliver(row: Outbox) -> int:
    session = lock_session(row.account_id, row.session_key)
    this = (Outbox.session_key == row.session_key) & (Outbox.id == row.id)
    if session is None:  # erased in the meantime
        Outbox.delete().where(this).execute()
        return 1
    evidence = [Evidence(*fields) for fields in orjson.loads(row.payload)]
    plugins = current().plugins
    waiting = (
        plugins.implementers("evidence_recorded") if row.pending is None else row.pending.split(",")
    )
    failed: dict[str, str] = {}
    for name in waiting:
        try:
            with transaction():
                plugins.only(name).evidence_recorded(
                    session=session, source=row.source, evidence=evidence
                )
        except Exception as error:  # the fact boundary: one plugin's fault is not the others'
            # When it is the database that failed, no plugin is blamed: it may have taken back what the others wrote.
            # Too slow a statement is the plugin's own, and must not hold up what comes after.
            if is_unavailable(error) and not is_timeout(error):
                raise
            logger.exception("evidence was not taken by plugin %s", name)
            failed[name] = f"{name}: {type(error).__name__}"
    if not failed:
        Outbox.delete().where(this).execute()
        return 1
    attempts = row.attempts + 1
    delay = PARKED_FOR if attempts >= MAX_ATTEMPTS else BACKOFF << row.attempts
    Outbox.update(
        pending=",".join(failed),
        attempts=attempts,
        due_at=clock.now() + delay,
        error="; ".join(failed.values()),
    ).where(this).execute()
    return 0


def outbox_length() -> int:
    """Return how many rows wait in the outbox."""
    return int(fetch_all("SELECT COUNT(*) FROM core_outbox")[0][0])


def parked_rows() -> list[tuple[int, str, int, str]]:
    """Return (id, source, attempts, error) of outbox rows that were given up on."""
    return fetch_all(
        "SELECT id, source, attempts, error FROM core_outbox WHERE attempts >= ? ORDER BY id",
        (MAX_ATTEMPTS,),
    )


def retry_parked() -> int:
    """Make parked outbox rows due again; return how many."""
    with transaction():
        count = (
            Outbox.update(attempts=0, due_at=clock.now())
            .where(Outbox.attempts >= MAX_ATTEMPTS)
            .execute()
        )
        jobs = current().jobs
        after_commit(lambda: jobs.enqueue(DRAIN_JOB, unique="outbox"))
    return int(count)
