"""Feedback: what came of the actions that moods triggered, and what is learned from it."""

from __future__ import annotations

import logging
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from core import NotFound, Session, current, fetch_all, find_session, lock_session, now
from plugins.mood.account_settings import account_settings
from plugins.mood.adaptive import Choice, Outcomes, choose, wilson_interval
from plugins.mood.models import MoodDecision, MoodFeedback
from plugins.mood.signals import NEUTRAL, SUGGESTED_ACTIONS

if TYPE_CHECKING:
    from plugins.mood.engine import Assessment

logger = logging.getLogger(__name__)


def give_feedback(
    account_id: int, session_id: str, *, action: str, helpful: bool | None, notes: str | None
) -> Session:
    """Store what came of an action, under the mood that the session is in; call in a transaction.

    Raises NotFound when the session has no mood.
    """
    found = find_session(account_id, session_id)
    # Locked: what is stored must not outlive an erasure that comes at the same time.
    session = lock_session(account_id, found.key) if found is not None else None
    rows = session and fetch_all(
        "SELECT mood FROM mood_state WHERE session_key = ? AND events + evidence > 0",
        (session.key,),
    )
    if session is None or not rows:
        raise NotFound("Session not found", session_id=session_id)
    MoodFeedback.create(
        session_key=session.key,
        account_id=account_id,
        at=now(),
        mood=rows[0][0],
        action=action,
        helpful=helpful,
        notes=notes,
    )
    return session


def suggest_action(session: Session, assessment: Assessment) -> str:
    """Ask the plugins what to suggest in a new mood; the documented action when none knows better."""
    if assessment.mood == NEUTRAL:
        return assessment.action
    chosen = current().plugins.hook.choose_action(session=session, assessment=assessment)
    if chosen is None:
        return assessment.action
    if chosen not in SUGGESTED_ACTIONS:
        logger.warning("a plugin chose the action %r, which does not exist", chosen)
        return assessment.action
    action: str = chosen
    return action


def adapt_action(session: Session, assessment: Assessment) -> str | None:
    """Choose by feedback where the account wants that and there is some; log the decision."""
    if not account_settings(session.account_id).adaptive:
        return None
    outcomes = {
        row["action"]: Outcomes(row["helpful"], row["outcomes"])
        for row in intervention_counts(session.account_id)
        if row["mood"] == assessment.mood and row["outcomes"]
    }
    if not outcomes:
        return None
    choice: Choice = choose(assessment.action, outcomes, SystemRandom())
    MoodDecision.create(
        session_key=session.key,
        at=now(),
        mood=assessment.mood,
        action=choice.action,
        propensity=choice.propensity,
    )
    return choice.action


def intervention_counts(account_id: int) -> list[dict[str, Any]]:
    """Count feedback by mood and action: all, with a known outcome, helpful."""
    rows = fetch_all(
        "SELECT mood, action, COUNT(*), COUNT(helpful), SUM(CASE WHEN helpful THEN 1 ELSE 0 END)"
        " FROM mood_feedback WHERE account_id = ? GROUP BY mood, action ORDER BY mood, action",
        (account_id,),
    )
    names = ("mood", "action", "feedback", "outcomes", "helpful")
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_interventions(account_id: int) -> list[dict[str, Any]]:
    """Return, by mood and action, the share of helpful outcomes with its 95 % interval."""
    found = []
    for row in intervention_counts(account_id):
        interval = wilson_interval(row["helpful"], row["outcomes"])
        found.append(
            {
                **row,
                "share": round(row["helpful"] / row["outcomes"], 4) if row["outcomes"] else None,
                "interval": [round(bound, 4) for bound in interval] if interval else None,
            }
        )
    return found
