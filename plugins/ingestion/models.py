"""The tables of the plugin, one a kind of item, and how they are read.

A row is found by its session's integer key and a key of its own that makes a repeat the same row.
Times are microseconds UTC; the payload is the item as JSON text, without what a person typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import peewee

from core import Model

if TYPE_CHECKING:
    from collections.abc import Collection


class ItemRow(Model):
    """Base of the three tables."""

    session_key = peewee.BigIntegerField()
    occurred_at = peewee.BigIntegerField()
    key = peewee.BigIntegerField()
    payload = peewee.TextField()

    #: What `insert_rows` is given after the session's key, in this order.
    COLUMNS: ClassVar = ("session_key", "occurred_at", "key", "payload")

    @classmethod
    def payloads(
        cls, session_key: int, first: int, last: int, keys: Collection[int]
    ) -> dict[int, str]:
        """Return payloads by key of a session's items from `first` to `last` (µs UTC)."""
        query = cls.select(cls.key, cls.payload).where(
            cls.session_key == session_key,
            cls.occurred_at.between(first, last),
            cls.key.in_(list(keys)),
        )
        return dict(query.tuples())

    @classmethod
    def later_than(cls, session_key: int, after: int, limit: int) -> list[tuple[int, str]]:
        """Return (occurred_at, payload) of at most `limit` items later than `after`, in order."""
        query = (
            cls.select(cls.occurred_at, cls.payload)
            .where(cls.session_key == session_key, cls.occurred_at > after)
            .order_by(cls.occurred_at, cls.key)
            .limit(limit)
        )
        return list(query.tuples())

    @classmethod
    def erase(cls, session_key: int) -> int:
        """Delete a session's items and return how many there were."""
        return int(cls.delete().where(cls.session_key == session_key).execute())


class EventRow(ItemRow):
    """An interaction.

    Its key is a digest: of the content (0 and above), which tells the time too, or of the `eventId`
    (below 0), which alone must be unique. So the common row, without an id, is in one index only,
    which grows at its end: half the cost of a random key with an index on time beside it.
    """

    class Meta:
        """Name the table."""

        table_name = "ingestion_event"
        primary_key = peewee.CompositeKey("session_key", "occurred_at", "key")


EventRow.add_index(
    EventRow.index(
        EventRow.session_key,
        EventRow.key,
        unique=True,
        where=peewee.SQL("key < 0"),
        name="ingestion_event_by_id",
    )
)


class FrameRow(ItemRow):
    """The scores of a video frame; its key is `frameIndex`."""

    class Meta:
        """Name the table."""

        table_name = "ingestion_frame"
        primary_key = peewee.CompositeKey("session_key", "key")
        indexes = ((("session_key", "occurred_at"), False),)


class SegmentRow(ItemRow):
    """A stretch of speech; its key is `segmentIndex`, its time is `startTime`."""

    class Meta:
        """Name the table."""

        table_name = "ingestion_segment"
        primary_key = peewee.CompositeKey("session_key", "key")
        indexes = ((("session_key", "occurred_at"), False),)


MODELS = (EventRow, FrameRow, SegmentRow)
