"""Let keys start with the session, so that PostgreSQL can spread tables by it.

A correlation id is a UUID made by the server, so that no index has to see to it that it is unique. Segments are
looked up by session and by their own key, never by recording.
"""

import peewee

FOUND = ("stream_signal", "stream_engagement", "stream_quality")
REKEYED = ("stream_recording", "stream_segment")


def up(migrator, db):
    db.execute_sql("DROP INDEX stream_recording_correlation_id")
    db.execute_sql(
        "CREATE INDEX stream_recording_correlation_id ON stream_recording (correlation_id)"
    )
    db.execute_sql("DROP INDEX stream_segment_recording_id")
    if not isinstance(db, peewee.PostgresqlDatabase):
        return
    for table in REKEYED:
        _rekey(db, table, "session_key, id")
        db.execute_sql(f"DROP INDEX {table}_session_key")
    for table in FOUND:
        _rekey(db, table, "session_key, recording_id, id")
        db.execute_sql(f"DROP INDEX {table}_recording_id")


def down(migrator, db):
    if isinstance(db, peewee.PostgresqlDatabase):
        for table in FOUND:
            db.execute_sql(f"CREATE INDEX {table}_recording_id ON {table} (recording_id)")
            _rekey(db, table, "id")
        for table in REKEYED:
            db.execute_sql(f"CREATE INDEX {table}_session_key ON {table} (session_key)")
            _rekey(db, table, "id")
    db.execute_sql("CREATE INDEX stream_segment_recording_id ON stream_segment (recording_id)")
    db.execute_sql("DROP INDEX stream_recording_correlation_id")
    db.execute_sql(
        "CREATE UNIQUE INDEX stream_recording_correlation_id ON stream_recording (correlation_id)"
    )


def _rekey(db, table, columns):
    db.execute_sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})")
