"""Let keys start with the account or the session, so that PostgreSQL can spread tables by them.

A number is given out once a batch under the lock of the batch's row, so that no index has to see to it.
"""

import peewee


def up(migrator, db):
    db.execute_sql("DROP INDEX clickstream_batch_public_id")
    db.execute_sql(
        "CREATE UNIQUE INDEX clickstream_batch_account_id_public_id"
        " ON clickstream_batch (account_id, public_id)"
    )
    db.execute_sql("DROP INDEX clickstream_search_batch_id_number")
    db.execute_sql(
        "CREATE INDEX clickstream_search_account_id_batch_id_number"
        " ON clickstream_search (account_id, batch_id, number)"
    )
    if isinstance(db, peewee.PostgresqlDatabase):
        _rekey(db, "clickstream_batch", "account_id, id")
        _rekey(db, "clickstream_event", "session_key, id")
        db.execute_sql("DROP INDEX clickstream_event_session_key_id")


def down(migrator, db):
    if isinstance(db, peewee.PostgresqlDatabase):
        db.execute_sql(
            "CREATE INDEX clickstream_event_session_key_id ON clickstream_event (session_key, id)"
        )
        for table in ("clickstream_event", "clickstream_batch"):
            _rekey(db, table, "id")
    db.execute_sql("DROP INDEX clickstream_search_account_id_batch_id_number")
    db.execute_sql(
        "CREATE UNIQUE INDEX clickstream_search_batch_id_number"
        " ON clickstream_search (batch_id, number)"
    )
    db.execute_sql("DROP INDEX clickstream_batch_account_id_public_id")
    db.execute_sql(
        "CREATE UNIQUE INDEX clickstream_batch_public_id ON clickstream_batch (public_id)"
    )


def _rekey(db, table, columns):
    db.execute_sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})")
