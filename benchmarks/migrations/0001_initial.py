"""The table of the straightforward handler."""

import peewee


def up(migrator, db):
    class BaselineEvent(peewee.Model):
        session_key = peewee.BigIntegerField()
        occurred_at = peewee.BigIntegerField()
        kind = peewee.TextField()
        payload = peewee.TextField()

        class Meta:
            database = db
            table_name = "baseline_event"
            indexes = ((("session_key", "occurred_at"), False),)

    db.create_tables([BaselineEvent])


def down(migrator, db):
    db.execute_sql("DROP TABLE baseline_event")
