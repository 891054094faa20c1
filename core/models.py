"""The core's own tables. Times are integer microseconds UTC.

On PostgreSQL the primary key of sessions is (account_id, id), that of the outbox (session_key, id).
"""

from __future__ import annotations

import peewee

from core.database import Model


class Account(Model):
    """The owner of keys and data; `tenant` is its name in tokens."""

    tenant = peewee.TextField(unique=True)
    name = peewee.TextField()
    email = peewee.TextField(null=True)
    plan = peewee.TextField(default="starter")
    created_at = peewee.BigIntegerField()

    class Meta:
        """Name the table."""

        table_name = "core_account"


class ApiKey(Model):
    """A key of an account; only its SHA-256 and first characters are stored."""

    account = peewee.ForeignKeyField(Account, on_delete="CASCADE")
    digest = peewee.TextField(unique=True)
    prefix = peewee.TextField()
    scopes = peewee.TextField()
    created_at = peewee.BigIntegerField()
    revoked_at = peewee.BigIntegerField(null=True)

    class Meta:
        """Name the table."""

        table_name = "core_api_key"


class SessionRow(Model):
    """A session of an account, known by the client's own id."""

    id = peewee.BigAutoField()
    account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
    session_id = peewee.TextField()
    first_seen = peewee.BigIntegerField()
    last_seen = peewee.BigIntegerField(index=True)

    class Meta:
        """Name the table."""

        table_name = "core_session"
        indexes = ((("account", "session_id"), True),)


class Tombstone(Model):
    """What is left of an erased session: a digest of its id, until it expires."""

    account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
    digest = peewee.TextField()
    expires_at = peewee.BigIntegerField(index=True)

    class Meta:
        """Name the table."""

        table_name = "core_tombstone"
        primary_key = peewee.CompositeKey("account", "digest")


class Outbox(Model):
    """Evidence that was stored and not yet told to every plugin; one row a batch."""

    id = peewee.BigAutoField()
    account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
    session_key = peewee.BigIntegerField(index=True)
    source = peewee.TextField()
    payload = peewee.TextField()
    created_at = peewee.BigIntegerField()
    pending = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    due_at = peewee.BigIntegerField()
    error = peewee.TextField(null=True)

    class Meta:
        """Name the table."""

        table_name = "core_outbox"
        indexes = ((("due_at", "id"), False),)


class Answer(Model):
    """A stored answer, replayed when the same Idempotency-Key comes again."""

    account = peewee.ForeignKeyField(Account, index=False, on_delete="CASCADE")
    operation = peewee.TextField()
    key = peewee.TextField()
    request = peewee.TextField()
    session_key = peewee.BigIntegerField(null=True, index=True)
    status = peewee.IntegerField(null=True)
    body = peewee.BlobField(null=True)
    created_at = peewee.BigIntegerField(index=True)

    class Meta:
        """Name the table."""

        table_name = "core_answer"
        primary_key = peewee.CompositeKey("account", "operation", "key")


class Heartbeat(Model):
    """When a part last wrote to the database; `/health` proves with it that writing works."""

    name = peewee.TextField(primary_key=True)
    at = peewee.BigIntegerField()

    class Meta:
        """Name the table."""

        table_name = "core_heartbeat"
