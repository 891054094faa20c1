"""Searches, their events, searches that events wait for, and batches for training."""

import peewee


def up(migrator, db):
    class Base(peewee.Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Batch(Base):
        id = peewee.BigAutoField()
        account_id = peewee.BigIntegerField()
        public_id = peewee.TextField(unique=True)
        last_number = peewee.BigIntegerField()
        release_id = peewee.TextField(null=True)
        created_at = peewee.BigIntegerField()
        released_at = peewee.BigIntegerField(null=True)

        class Meta:
            table_name = "clickstream_batch"
            indexes = ((("account_id", "release_id"), True),)

    class Search(Base):
        session_key = peewee.BigIntegerField(primary_key=True)
        account_id = peewee.BigIntegerField()
        session_id = peewee.TextField()
        user_id = peewee.TextField(null=True)
        query = peewee.TextField()
        #: JSON: a list of {object_id, rank, meta}.
        results = peewee.TextField()
        #: False: nobody knows what was shown.
        results_known = peewee.BooleanField()
        search_meta = peewee.TextField(null=True)
        payload_filter = peewee.TextField(null=True)
        sort_by = peewee.TextField(null=True)
        at = peewee.BigIntegerField()
        #: Microseconds of one unit of the time as it came: 1,000 or 1,000,000.
        unit = peewee.IntegerField()
        received_at = peewee.BigIntegerField()
        #: open, engaged, abandoned, empty or unknown.
        outcome = peewee.TextField()
        is_irrelevant = peewee.BooleanField()
        for_improvement = peewee.BooleanField()
        batch_id = peewee.BigIntegerField(null=True)
        number = peewee.BigIntegerField(null=True)

        class Meta:
            table_name = "clickstream_search"
            indexes = (
                (("account_id", "at", "session_key"), False),
                (("account_id", "user_id", "received_at"), False),
                (("outcome", "received_at"), False),
                (("batch_id", "number"), True),
            )

    class Event(Base):
        id = peewee.BigAutoField()
        session_key = peewee.BigIntegerField()
        event_id = peewee.TextField()
        object_id = peewee.TextField()
        event_type = peewee.TextField()
        at = peewee.BigIntegerField()
        unit = peewee.IntegerField()
        meta = peewee.TextField(null=True)

        class Meta:
            table_name = "clickstream_event"
            indexes = (
                (("session_key", "event_id"), True),
                (("session_key", "id"), False),
                (("session_key", "at", "id"), False),
            )

    class Orphan(Base):
        session_key = peewee.BigIntegerField(primary_key=True)
        account_id = peewee.BigIntegerField(index=True)
        since = peewee.BigIntegerField(index=True)

        class Meta:
            table_name = "clickstream_orphan"

    db.create_tables([Batch, Search, Event, Orphan])
    # One batch collects at a time, whatever runs at once.
    db.execute_sql(
        "CREATE UNIQUE INDEX clickstream_batch_collecting ON clickstream_batch (account_id)"
        " WHERE released_at IS NULL"
    )


def down(migrator, db):
    for table in ("orphan", "event", "search", "batch"):
        db.execute_sql(f"DROP TABLE clickstream_{table}")
