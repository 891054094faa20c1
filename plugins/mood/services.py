"""What the mood plugin does: take in events and evidence, keep the mood, tell it, forget it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from core import (
    NotFound,
    Session,
    after_commit,
    create_account,
    current,
    enqueue,
    fetch_all,
    find_session,
    isoformat,
    issue_key,
    lock_session,
    now,
    touch_session,
    transaction,
)
from plugins.mood.account_settings import AccountSettings, account_settings
from plugins.mood.engine import Assessment, State, advance, assess, recompute
from plugins.mood.models import BY_SESSION
from plugins.mood.observations import NATIVE
from plugins.mood.outcomes import suggest_action
from plugins.mood.quota import count_session, sessions_per_month
from plugins.mood.signals import ACTIONS, MOODS, NEUTRAL
from plugins.mood.store import (
    store_events,
    store_evidence,
    stored_observations,
    without_repeats,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core import Evidence
    from plugins.mood.observations import Observation

logger = logging.getLogger(__name__)

SYNCHRONOUS_RECOMPUTE_LIMIT = 2_000
"""Observations up to which a late one is put in its place at once (about 25 ms); with more, a job
does it."""

SESSIONS_PER_SWEEP = 200
"""Stale sessions that one run of the sweep reads anew."""

RECOMPUTE_JOB = "mood.recompute"
SWEEP_JOB = "mood.sweep"


@dataclass(frozen=True, slots=True)
class Memory:
    """Hold what is stored of a session's mood."""

    state: State | None = None
    mood: str = NEUTRAL
    action: str = ACTIONS[NEUTRAL]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Say what a batch of events came to."""

    session: Session
    stored: int
    total: int
    mood: str


def record_events(
    account_id: int, plan: str, session_id: str, events: Sequence[dict[str, Any]]
) -> Receipt:
    """Store loaded events and bring the mood up to date; call inside a transaction.

    Raises SessionErased, and QuotaExceeded when the session is new and the plan is used up.
    """
    received = now()
    # The session's row stays locked until the commit: batches of one session take turns.
    session = touch_session(account_id, session_id)
    settings = account_settings(account_id)
    memory = _remember(session.key)
    fresh = without_repeats(session.key, events)
    if fresh:
        if memory.state is None or memory.state.events == 0:
            count_session(account_id, plan, received)
        observations = store_events(session.key, fresh, received)
        memory = _take(session, settings, memory, observations)
    total = memory.state.events if memory.state is not None else 0
    return Receipt(session, len(events), total, memory.mood)


def take_evidence(session: Session, source: str, evidence: Sequence[Evidence]) -> None:
    """Store evidence of kinds that the rules know, and bring the mood up to date.

    Call inside a transaction that holds the session's lock. Evidence told twice counts once.
    """
    settings = account_settings(session.account_id)
    known = {(rule.modality, rule.kind) for rule in settings.rules.signal_rules}
    relevant = [
        each for each in evidence if each.modality != NATIVE and (each.modality, each.kind) in known
    ]
    observations = store_evidence(session.key, source, relevant, now())
    if observations:
        _take(session, settings, _remember(session.key), observations)


def _remember(session_key: int) -> Memory:
    rows = fetch_all(
        "SELECT state, mood, action FROM mood_state WHERE session_key = ?", (session_key,)
    )
    return Memory(State.load(rows[0][0]), rows[0][1], rows[0][2]) if rows else Memory()


def _take(
    session: Session,
    settings: AccountSettings,
    memory: Memory,
    observations: Sequence[Observation],
) -> Memory:
    """Advance the state by stored observations, or compute it anew where that is due."""
    rules = settings.rules
    state = memory.state if memory.state is not None else State(rules.version)
    is_current = state.version == rules.version
    is_exact = advance(state, observations, rules) and is_current
    if not is_exact:
        if state.observations <= SYNCHRONOUS_RECOMPUTE_LIMIT:
            state, is_exact = recompute(stored_observations(session.key)[0], rules), True
        else:
            enqueue(RECOMPUTE_JOB, unique=str(session.key), session_key=session.key)
    return _save(session, settings, memory, state, is_stale=not is_exact)


def _save(
    session: Session, settings: AccountSettings, memory: Memory, state: State, *, is_stale: bool
) -> Memory:
    assessment = assess(state, settings.rules)
    action = memory.action
    if assessment.mood != memory.mood:
        action = suggest_action(session, assessment)
        _announce(session, memory.mood, assessment, action, state.latest or 0)
    fetch_all(
        "INSERT INTO mood_state (session_key, account_id, state, rules_version, is_stale, events,"
        " evidence, mood, confidence, signals, action, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (session_key) DO UPDATE SET state = excluded.state,"
        " rules_version = excluded.rules_version, is_stale = excluded.is_stale,"
        " events = excluded.events, evidence = excluded.evidence, mood = excluded.mood,"
        " confidence = excluded.confidence, signals = excluded.signals, action = excluded.action,"
        " updated_at = excluded.updated_at RETURNING session_key",
        (
            session.key,
            session.account_id,
            state.dump().decode(),
            state.version,
            is_stale,
            state.events,
            state.evidence,
            assessment.mood,
            assessment.confidence,
            orjson.dumps(assessment.signals).decode(),
            action,
            state.latest or 0,
        ),
    )
    return Memory(state, assessment.mood, action)


def _announce(session: Session, before: str, assessment: Assessment, action: str, at: int) -> None:
    fetch_all(
        "INSERT INTO mood_change (session_key, at, mood, confidence, action)"
        " VALUES (?, ?, ?, ?, ?) RETURNING id",
        (session.key, at, assessment.mood, assessment.confidence, action),
    )
    plugins = current().plugins

    def tell() -> None:
        for name in plugins.implementers("mood_changed"):
            try:
                plugins.only(name).mood_changed(
                    session=session, before=before, assessment=assessment
                )
            except Exception:  # the fact boundary: one plugin's fault is not the others'
                logger.exception("plugin %s failed to take note of a mood", name)

    after_commit(tell)


def recompute_session(session_key: int) -> bool:
    """Compute a session's mood from everything that is stored of it; False when it is gone.

    What is stored is read before the session is locked, so that requests wait for what came in
    the meantime only.
    """
    rows = fetch_all("SELECT account_id FROM mood_state WHERE session_key = ?", (session_key,))
    if not rows:
        return False
    account_id: int = rows[0][0]
    settings = account_settings(account_id)
    observations, mark = stored_observations(session_key)
    state = recompute(observations, settings.rules)
    with transaction():
        session = lock_session(account_id, session_key)
        if session is None:
            return False
        more, _ = stored_observations(session_key, mark)
        if not advance(state, more, settings.rules):
            state = recompute([*observations, *more], settings.rules)
        _save(session, settings, _remember(session_key), state, is_stale=False)
    return True


def recompute_all(account_id: int | None = None) -> int:
    """Compute the moods of all sessions, or of an account's, anew; return how many."""
    done = last = 0
    while True:
        if account_id is None:
            rows = fetch_all(
                "SELECT session_key FROM mood_state WHERE session_key > ?"
                " ORDER BY session_key LIMIT ?",
                (last, SESSIONS_PER_SWEEP),
            )
        else:
            rows = fetch_all(
                "SELECT session_key FROM mood_state WHERE session_key > ? AND account_id = ?"
                " ORDER BY session_key LIMIT ?",
                (last, account_id, SESSIONS_PER_SWEEP),
            )
        if not rows:
            return done
        done += sum(recompute_session(key) for (key,) in rows)
        last = rows[-1][0]


def sweep() -> int:
    """Compute anew what is stale or follows from other rules than now; return how many sessions."""
    versions = fetch_all("SELECT DISTINCT account_id, rules_version FROM mood_state")
    for account_id, version in versions:
        if version != account_settings(account_id).rules.version:
            with transaction():
                fetch_all(
                    "UPDATE mood_state SET is_stale = ? WHERE account_id = ?"
                    " AND rules_version = ? RETURNING session_key",
                    (True, account_id, version),
                )
    rows = fetch_all(
        "SELECT session_key FROM mood_state WHERE is_stale = ? ORDER BY session_key LIMIT ?",
        (True, SESSIONS_PER_SWEEP),
    )
    for (session_key,) in rows:
        recompute_session(session_key)
    if len(rows) == SESSIONS_PER_SWEEP:
        enqueue(SWEEP_JOB, unique="sweep")
    return len(rows)


def read_mood(account_id: int, session_id: str) -> dict[str, Any]:
    """Return the mood of a session as the API tells it; raises NotFound where nothing is known."""
    session = find_session(account_id, session_id)
    rows = session and fetch_all(
        "SELECT mood, confidence, signals, action, events, evidence, updated_at FROM mood_state"
        " WHERE session_key = ? AND events + evidence > 0",
        (session.key,),
    )
    if not rows:
        raise NotFound("Session not found", session_id=session_id)
    mood, confidence, signals, action, events, evidence, updated_at = rows[0]
    return {
        "session_id": session_id,
        "mood": mood,
        "confidence": round(confidence, 2),
        "signals": orjson.loads(signals),
        "suggested_action": action,
        "event_count": events or evidence,
        "updated_at": isoformat(updated_at),
    }


def read_analytics(account_id: int) -> dict[str, Any]:
    """Return how many of an account's sessions are in each mood, and how many have feedback."""
    counts = dict.fromkeys((*MOODS, NEUTRAL), 0)
    counts.update(
        fetch_all(
            "SELECT mood, COUNT(*) FROM mood_state WHERE account_id = ? AND events + evidence > 0"
            " GROUP BY mood",
            (account_id,),
        )
    )
    feedback = fetch_all(
        "SELECT COUNT(DISTINCT session_key) FROM mood_feedback WHERE account_id = ?", (account_id,)
    )
    total = sum(counts.values())
    return {
        "total_sessions": total,
        "feedback_count": feedback[0][0],
        "mood_distribution": [
            {
                "mood": mood,
                "count": count,
                "percentage": round(100 * count / total, 1) if total else 0.0,
            }
            for mood, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def generate_key(customer: str, email: str | None, plan: str) -> dict[str, Any]:
    """Create an account with a key and return it as the API tells it, this once."""
    with transaction():
        account = create_account(customer, email=email, plan=plan)
        key = issue_key(account.id)
    return {
        "api_key": key,
        "customer": customer,
        "email": email,
        "plan": plan,
        "limits": f"{sessions_per_month(plan):,} sessions/month",
        "message": "Store this key safely - it won't be shown again.",
    }


def forget(session: Session) -> int:
    """Remove everything about a session and return how many rows went; call in a transaction."""
    return sum(
        model.delete().where(model.session_key == session.key).execute() for model in BY_SESSION
    )
