"""The tables of the plugin. Times are integer microseconds UTC, payloads JSON text.

On PostgreSQL the primary key of a table with an `id` is (session_key, id), that of batches (account_id, id).
"""

from __future__ import annotations

import peewee

from core import Model


class BatchRow(Model):
    """A batch of sessions for training; the one without `released_at` is collecting."""

    id = peewee.BigAutoField()
    account_id = peewee.BigIntegerField()
    public_id = peewee.TextField()
    last_number = peewee.BigIntegerField()
    release_id = peewee.TextField(null=True)
    created_at = peewee.BigIntegerField()
    released_at = peewee.BigIntegerField(null=True)

    class Meta:
        """Name the table."""

        table_name = "clickstream_batch"
        indexes = ((("account_id", "release_id"), True), (("account_id", "public_id"), True))


class SearchRow(Model):
    """A session of the document: one search and what was shown for it."""

    session_key = peewee.BigIntegerField(primary_key=True)
    account_id = peewee.BigIntegerField()
    session_id = peewee.TextField()
    user_id = peewee.TextField(null=True)
    query = peewee.TextField()
    results = peewee.TextField()
    results_known = peewee.BooleanField()
    search_meta = peewee.TextField(null=True)
    payload_filter = peewee.TextField(null=True)
    sort_by = peewee.TextField(null=True)
    at = peewee.BigIntegerField()
    unit = peewee.IntegerField()
    received_at = peewee.BigIntegerField()
    outcome = peewee.TextField()
    is_irrelevant = peewee.BooleanField()
    for_improvement = peewee.BooleanField()
    batch_id = peewee.BigIntegerField(null=True)
    number = peewee.BigIntegerField(null=True)

    class Meta:
        """Name the table."""

        table_name = "clickstream_search"
        indexes = (
            (("account_id", "at", "session_key"), False),
            (("account_id", "user_id", "received_at"), False),
            (("outcome", "received_at"), False),
            (("account_id", "batch_id", "number"), False),
        )


class EventRow(Model):
    """Something the user did; `id` is the order in which events were stored."""

    id = peewee.BigAutoField()
    session_key = peewee.BigIntegerField()
    event_id = peewee.TextField()
    object_id = peewee.TextField()
    event_type = peewee.TextField()
    at = peewee.BigIntegerField()
    unit = peewee.IntegerField()
    meta = peewee.TextField(null=True)

    class Meta:
        """Name the table."""

        table_name = "clickstream_event"
        indexes = (
            (("session_key", "event_id"), True),
            (("session_key", "id"), False),
            (("session_key", "at", "id"), False),
        )


class OrphanRow(Model):
    """A session that has events and no search yet."""

    session_key = peewee.BigIntegerField(primary_key=True)
    account_id = peewee.BigIntegerField(index=True)
    since = peewee.BigIntegerField(index=True)

    class Meta:
        """Name the table."""

        table_name = "clickstream_orphan"
