"""Let keys start with the session, so that PostgreSQL can spread tables by it, and leave moods room to change.

SQLite keeps a table in one file in the order of its `id`: there a rebuild would bring nothing.
"""

import peewee

#: Per cent of a page that is filled with new moods: an update that stays on its page touches no index. At 80 all
#: updates do, at 100 two in three (`python -m benchmarks.updates`).
FILLED = 80
REKEYED = ("mood_event", "mood_evidence", "mood_change", "mood_decision", "mood_feedback")
#: Tables whose new key serves what an index on `session_key` did.
UNINDEXED = ("mood_change", "mood_decision", "mood_feedback")


def up(migrator, db):
    if not isinstance(db, peewee.PostgresqlDatabase):
        return
    for table in REKEYED:
        _rekey(db, table, "session_key, id")
    for table in UNINDEXED:
        db.execute_sql(f"DROP INDEX {table}_session_key")
    db.execute_sql(f"ALTER TABLE mood_state SET (fillfactor = {FILLED})")


def down(migrator, db):
    if not isinstance(db, peewee.PostgresqlDatabase):
        return
    db.execute_sql("ALTER TABLE mood_state RESET (fillfactor)")
    for table in UNINDEXED:
        db.execute_sql(f"CREATE INDEX {table}_session_key ON {table} (session_key)")
    for table in REKEYED:
        _rekey(db, table, "id")


def _rekey(db, table, columns):
    db.execute_sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})")
