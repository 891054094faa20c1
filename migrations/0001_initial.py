"""Accounts, keys, sessions, tombstones, the outbox and stored answers."""

import peewee


def up(migrator, db):
    class Base(peewee.Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Account(Base):
        tenant = peewee.TextField(unique=True)
        name = peewee.TextField()
        email = peewee.TextField(null=True)
        plan = peewee.TextField()
        created_at = peewee.BigIntegerField()

        class Meta:
            table_name = "core_account"

    class ApiKey(Base):
        account = peewee.ForeignKeyField(Account, on_delete="CASCADE")
        digest = peewee.TextField(unique=True)
        prefix = peewee.TextField()
        scopes = peewee.TextField()
        created_at = peewee.BigIntegerField()
        revoked_at = peewee.BigIntegerField(null=True)

        class Meta:
            table_name = "core_api_key"

    class Session(Base):
        id = peewee.BigAutoField()
        account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
        session_id = peewee.TextField()
        first_seen = peewee.BigIntegerField()
        last_seen = peewee.BigIntegerField(index=True)

        class Meta:
            table_name = "core_session"
            indexes = ((("account", "session_id"), True),)

    class Tombstone(Base):
        account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
        digest = peewee.TextField()
        expires_at = peewee.BigIntegerField(index=True)

        class Meta:
            table_name = "core_tombstone"
            primary_key = peewee.CompositeKey("account", "digest")

    class Outbox(Base):
        id = peewee.BigAutoField()
        account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
        session_key = peewee.BigIntegerField(index=True)
        source = peewee.TextField()
        payload = peewee.TextField()
        created_at = peewee.BigIntegerField()
        #: Plugins that have not taken it yet, separated by commas; null: nobody was asked yet.
        pending = peewee.TextField(null=True)
        attempts = peewee.IntegerField()
        due_at = peewee.BigIntegerField()
        error = peewee.TextField(null=True)

        class Meta:
            table_name = "core_outbox"
            indexes = ((("due_at", "id"), False),)

    class Answer(Base):
        account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
        operation = peewee.TextField()
        key = peewee.TextField()
        request = peewee.TextField()
        session_key = peewee.BigIntegerField(null=True, index=True)
        status = peewee.IntegerField(null=True)
        body = peewee.BlobField(null=True)
        created_at = peewee.BigIntegerField(index=True)

        class Meta:
            table_name = "core_answer"
            primary_key = peewee.CompositeKey("account", "operation", "key")

    class Heartbeat(Base):
        name = peewee.TextField(primary_key=True)
        at = peewee.BigIntegerField()

        class Meta:
            table_name = "core_heartbeat"

    db.create_tables([Account, ApiKey, Session, Tombstone, Outbox, Answer, Heartbeat])


def down(migrator, db):
    for table in ("heartbeat", "answer", "outbox", "tombstone", "session", "api_key", "account"):
        db.execute_sql(f"DROP TABLE core_{table}")
