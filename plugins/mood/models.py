"""The tables of the mood plugin. Times are integer microseconds UTC, `session_key` is the core's.

On PostgreSQL the primary key of a table with an `id` is (session_key, id).
"""

from __future__ import annotations

import peewee

from core import Model


class MoodEvent(Model):
    """One event as it was sent, with the time it counts at."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    event_id = peewee.TextField(null=True)
    kind = peewee.TextField()
    sent_at = peewee.BigIntegerField()
    at = peewee.BigIntegerField()
    fields = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "mood_event"
        indexes = ((("session_key", "event_id"), True), (("session_key", "at"), False))


class MoodEvidence(Model):
    """One piece of evidence of another plugin, with the time it counts at."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    source = peewee.TextField()
    reference = peewee.TextField()
    modality = peewee.TextField()
    kind = peewee.TextField()
    strength = peewee.IntegerField()
    at = peewee.BigIntegerField()
    fields = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "mood_evidence"
        indexes = ((("session_key", "source", "reference"), True),)


class MoodState(Model):
    """What is remembered of a session, and the mood that follows from it."""

    session_key = peewee.BigIntegerField(primary_key=True)
    account_id = peewee.BigIntegerField()
    state = peewee.TextField()
    rules_version = peewee.TextField()
    is_stale = peewee.BooleanField()
    events = peewee.BigIntegerField()
    evidence = peewee.BigIntegerField()
    mood = peewee.TextField()
    confidence = peewee.DoubleField()
    signals = peewee.TextField()
    action = peewee.TextField()
    updated_at = peewee.BigIntegerField()

    class Meta:
        """Name the table."""

        table_name = "mood_state"
        indexes = (
            (("account_id", "mood"), False),
            (("account_id", "rules_version"), False),
            (("is_stale", "session_key"), False),
        )


class MoodChange(Model):
    """A session came into another mood at the time of its last observation."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField(index=True)
    at = peewee.BigIntegerField()
    mood = peewee.TextField()
    confidence = peewee.DoubleField()
    action = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "mood_change"


class MoodDecision(Model):
    """An adaptive choice of an action, with the probability that it had."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField(index=True)
    at = peewee.BigIntegerField()
    mood = peewee.TextField()
    action = peewee.TextField()
    propensity = peewee.DoubleField()

    class Meta:
        """Name the table."""

        table_name = "mood_decision"


class MoodFeedback(Model):
    """What came of an action that was taken; `helpful` is null when it is not known."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField(index=True)
    account_id = peewee.BigIntegerField()
    at = peewee.BigIntegerField()
    mood = peewee.TextField()
    action = peewee.TextField()
    helpful = peewee.BooleanField(null=True)
    notes = peewee.TextField(null=True)

    class Meta:
        """Name the table."""

        table_name = "mood_feedback"
        indexes = ((("account_id", "mood", "action"), False),)


class MoodQuota(Model):
    """How many sessions of an account began in a calendar month; `month` is its first instant."""

    account_id = peewee.BigIntegerField()
    month = peewee.BigIntegerField()
    sessions = peewee.BigIntegerField()

    class Meta:
        """Name the table."""

        table_name = "mood_quota"
        primary_key = peewee.CompositeKey("account_id", "month")


class MoodSettings(Model):
    """What an account set differently from the defaults, as JSON."""

    account_id = peewee.BigIntegerField(primary_key=True)
    changes = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "mood_settings"


MODELS = (
    MoodEvent,
    MoodEvidence,
    MoodState,
    MoodChange,
    MoodDecision,
    MoodFeedback,
    MoodQuota,
    MoodSettings,
)
"""Every table of the plugin."""

BY_SESSION = (MoodEvent, MoodEvidence, MoodState, MoodChange, MoodDecision, MoodFeedback)
"""The tables with rows of a session."""
