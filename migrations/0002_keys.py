"""Let keys start with the account or the session, so that PostgreSQL can spread tables by them.

SQLite keeps a table in one file in the order of its `id`: there a rebuild would bring nothing.
"""

import peewee


def up(migrator, db):
    if not isinstance(db, peewee.PostgresqlDatabase):
        return
    _rekey(db, "core_session", "account_id, id")
    _rekey(db, "core_outbox", "session_key, id")
    db.execute_sql("DROP INDEX core_outbox_session_key")


def down(migrator, db):
    if not isinstance(db, peewee.PostgresqlDatabase):
        return
    db.execute_sql("CREATE INDEX core_outbox_session_key ON core_outbox (session_key)")
    for table in ("core_session", "core_outbox"):
        _rekey(db, table, "id")


def _rekey(db, table, columns):
    db.execute_sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})")
