"""The tables of the stream plugin. Times are integer microseconds UTC; positions are seconds of media.

On PostgreSQL the primary key of recordings and segments is (session_key, id), that of what was found in a recording
(session_key, recording_id, id).
"""

from __future__ import annotations

import peewee

from core import Model


class Recording(Model):
    """One stream or one upload: `kind` is `live` or `upload`, `ended_at` is null while it goes on."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField(index=True)
    account_id = peewee.BigIntegerField()
    kind = peewee.TextField()
    correlation_id = peewee.TextField(index=True)
    started_at = peewee.BigIntegerField()
    ended_at = peewee.BigIntegerField(null=True)
    seconds = peewee.DoubleField(default=0.0)
    quality = peewee.TextField(null=True)

    class Meta:
        """Name the table."""

        table_name = "stream_recording"


class Segment(Model):
    """One piece of media; `blob` is where it lies until it was analysed, `outcome` what came of it then.

    `media_start` is where on the media's own clock it begins, when something that was analysed before comes first.
    """

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField(index=True)
    recording_id = peewee.BigIntegerField()
    number = peewee.IntegerField()
    at = peewee.BigIntegerField()
    size = peewee.IntegerField()
    seconds = peewee.DoubleField()
    media_start = peewee.DoubleField(null=True)
    blob = peewee.TextField(null=True)
    outcome = peewee.TextField(null=True)

    class Meta:
        """Name the table."""

        table_name = "stream_segment"
        indexes = ((("blob", "at"), False),)


class Signal(Model):
    """One signal of a recording; `probability` is the highest it had, `end` null while it is on."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    recording_id = peewee.BigIntegerField(index=True)
    at = peewee.BigIntegerField()
    kind = peewee.TextField()
    start = peewee.DoubleField()
    end = peewee.DoubleField(null=True)
    probability = peewee.TextField()
    rationale = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "stream_signal"
        indexes = ((("session_key", "at"), False),)


class Engagement(Model):
    """A state of engagement and where it began."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    recording_id = peewee.BigIntegerField(index=True)
    at = peewee.BigIntegerField()
    state = peewee.TextField()
    start = peewee.DoubleField()

    class Meta:
        """Name the table."""

        table_name = "stream_engagement"
        indexes = ((("session_key", "at"), False),)


class Quality(Model):
    """The quality of one period, six values as JSON."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    recording_id = peewee.BigIntegerField(index=True)
    at = peewee.BigIntegerField()
    start = peewee.DoubleField()
    end = peewee.DoubleField()
    score = peewee.TextField()

    class Meta:
        """Name the table."""

        table_name = "stream_quality"
        indexes = ((("session_key", "at"), False),)


class Usage(Model):
    """The media of an account in a day; `day` is its first instant."""

    account_id = peewee.BigIntegerField()
    day = peewee.BigIntegerField()
    seconds = peewee.DoubleField()

    class Meta:
        """Name the table."""

        table_name = "stream_usage"
        primary_key = peewee.CompositeKey("account_id", "day")


MODELS = (Recording, Segment, Signal, Engagement, Quality, Usage)
"""Every table of the plugin."""

BY_SESSION = (Recording, Segment, Signal, Engagement, Quality)
"""The tables with rows of a session."""
