"""Events, evidence, states, changes, feedback, quotas and settings."""

import peewee


def up(migrator, db):
    class Base(peewee.Model):
        class Meta:
            database = db
            legacy_table_names = False

    class MoodEvent(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField()
        event_id = peewee.TextField(null=True)
        kind = peewee.TextField()
        sent_at = peewee.BigIntegerField()
        at = peewee.BigIntegerField()
        fields = peewee.TextField()

        class Meta:
            table_name = "mood_event"
            indexes = ((("session_key", "event_id"), True), (("session_key", "at"), False))

    class MoodEvidence(Base):
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
            table_name = "mood_evidence"
            indexes = ((("session_key", "source", "reference"), True),)

    class MoodState(Base):
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
            table_name = "mood_state"
            indexes = (
                (("account_id", "mood"), False),
                (("account_id", "rules_version"), False),
                (("is_stale", "session_key"), False),
            )

    class MoodChange(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField(index=True)
        at = peewee.BigIntegerField()
        mood = peewee.TextField()
        confidence = peewee.DoubleField()
        action = peewee.TextField()

        class Meta:
            table_name = "mood_change"

    class MoodDecision(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField(index=True)
        at = peewee.BigIntegerField()
        mood = peewee.TextField()
        action = peewee.TextField()
        propensity = peewee.DoubleField()

        class Meta:
            table_name = "mood_decision"

    class MoodFeedback(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField(index=True)
        account_id = peewee.BigIntegerField()
        at = peewee.BigIntegerField()
        mood = peewee.TextField()
        action = peewee.TextField()
        helpful = peewee.BooleanField(null=True)
        notes = peewee.TextField(null=True)

        class Meta:
            table_name = "mood_feedback"
            indexes = ((("account_id", "mood", "action"), False),)

    class MoodQuota(Base):
        account_id = peewee.BigIntegerField()
        month = peewee.BigIntegerField()
        sessions = peewee.BigIntegerField()

        class Meta:
            table_name = "mood_quota"
            primary_key = peewee.CompositeKey("account_id", "month")

    class MoodSettings(Base):
        account_id = peewee.BigIntegerField(primary_key=True)
        changes = peewee.TextField()

        class Meta:
            table_name = "mood_settings"

    db.create_tables(
        [
            MoodEvent,
            MoodEvidence,
            MoodState,
            MoodChange,
            MoodDecision,
            MoodFeedback,
            MoodQuota,
            MoodSettings,
        ]
    )


def down(migrator, db):
    for table in (
        "mood_settings",
        "mood_quota",
        "mood_feedback",
        "mood_decision",
        "mood_change",
        "mood_state",
        "mood_evidence",
        "mood_event",
    ):
        db.execute_sql(f'DROP TABLE "{table}"')
