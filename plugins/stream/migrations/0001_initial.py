"""Recordings, segments, signals, engagement, quality, usage."""

import peewee


def up(migrator, db):
    class Base(peewee.Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Recording(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField(index=True)
        account_id = peewee.BigIntegerField()
        kind = peewee.TextField()
        correlation_id = peewee.TextField(unique=True)
        started_at = peewee.BigIntegerField()
        ended_at = peewee.BigIntegerField(null=True)
        seconds = peewee.DoubleField(default=0.0)
        quality = peewee.TextField(null=True)

        class Meta:
            table_name = "stream_recording"

    class Segment(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField(index=True)
        recording_id = peewee.BigIntegerField(index=True)
        number = peewee.IntegerField()
        at = peewee.BigIntegerField()
        size = peewee.IntegerField()
        seconds = peewee.DoubleField()
        media_start = peewee.DoubleField(null=True)
        blob = peewee.TextField(null=True)
        outcome = peewee.TextField(null=True)

        class Meta:
            table_name = "stream_segment"
            indexes = ((("blob", "at"), False),)

    class Signal(Base):
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
            table_name = "stream_signal"
            indexes = ((("session_key", "at"), False),)

    class Engagement(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField()
        recording_id = peewee.BigIntegerField(index=True)
        at = peewee.BigIntegerField()
        state = peewee.TextField()
        start = peewee.DoubleField()

        class Meta:
            table_name = "stream_engagement"
            indexes = ((("session_key", "at"), False),)

    class Quality(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField()
        recording_id = peewee.BigIntegerField(index=True)
        at = peewee.BigIntegerField()
        start = peewee.DoubleField()
        end = peewee.DoubleField()
        score = peewee.TextField()

        class Meta:
            table_name = "stream_quality"
            indexes = ((("session_key", "at"), False),)

    class Usage(Base):
        account_id = peewee.BigIntegerField()
        day = peewee.BigIntegerField()
        seconds = peewee.DoubleField()

        class Meta:
            table_name = "stream_usage"
            primary_key = peewee.CompositeKey("account_id", "day")

    db.create_tables([Recording, Segment, Signal, Engagement, Quality, Usage])


def down(migrator, db):
    for table in (
        "stream_usage",
        "stream_quality",
        "stream_engagement",
        "stream_signal",
        "stream_segment",
        "stream_recording",
    ):
        db.execute_sql(f'DROP TABLE "{table}"')
