"""Events, frames and segments."""

import peewee


def up(migrator, db):
    class Item(peewee.Model):
        session_key = peewee.BigIntegerField()
        occurred_at = peewee.BigIntegerField()
        key = peewee.BigIntegerField()
        payload = peewee.TextField()

        class Meta:
            database = db
            legacy_table_names = False

    class Event(Item):
        class Meta:
            table_name = "ingestion_event"
            primary_key = peewee.CompositeKey("session_key", "occurred_at", "key")

    class Frame(Item):
        class Meta:
            table_name = "ingestion_frame"
            primary_key = peewee.CompositeKey("session_key", "key")
            indexes = ((("session_key", "occurred_at"), False),)

    class Segment(Item):
        class Meta:
            table_name = "ingestion_segment"
            primary_key = peewee.CompositeKey("session_key", "key")
            indexes = ((("session_key", "occurred_at"), False),)

    db.create_tables([Event, Frame, Segment])
    # A key below 0 is made of a client's own id, which is unique whatever time it is sent with.
    db.execute_sql(
        "CREATE UNIQUE INDEX ingestion_event_by_id ON ingestion_event (session_key, key)"
        " WHERE key < 0"
    )


def down(migrator, db):
    for name in ("event", "frame", "segment"):
        db.execute_sql(f"DROP TABLE ingestion_{name}")
