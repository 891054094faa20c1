"""Measurements."""

import peewee


def up(migrator, db):
    class Measurement(peewee.Model):
        id = peewee.BigAutoField()
        account_id = peewee.BigIntegerField()
        session_key = peewee.BigIntegerField()
        metric_id = peewee.TextField()
        metric = peewee.TextField()
        page = peewee.TextField()
        value = peewee.DoubleField()
        at = peewee.BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "vitals_measurement"
            indexes = (
                (("session_key", "metric", "metric_id"), True),
                (("account_id", "at"), False),
            )

    db.create_tables([Measurement])


def down(migrator, db):
    db.execute_sql("DROP TABLE vitals_measurement")
