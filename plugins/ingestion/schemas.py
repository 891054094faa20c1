"""The wire format of the three batches: events, frames and segments.

The attribute names are the contract's own keys. Unknown fields are left out here and kept in the
stored payload, which is made from the item as it came.
"""

# ruff: noqa: N815 - the keys are the contract's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from core import (
    MAX_SESSION_ID_LENGTH,
    Choice,
    Code,
    StrictDict,
    StrictInteger,
    StrictNumber,
    StrictString,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_TYPES = ("click", "scroll", "input", "focus", "blur", "navigation", "error")
SENTIMENTS = ("positive", "neutral", "negative")

#: How far the scores of a frame may be from 1 in sum; the contract says "approximately 1.0".
SUM_TOLERANCE = 0.05
#: What adding decimal fractions in binary may be off by; 1.05 is still within the tolerance.
ROUNDING = 1e-9
#: Items in one request.
MAX_BATCH = 1_000
MAX_EMOTIONS = 64
MAX_LABEL = 64
MAX_EVENT_ID = 256


class SumsToOne(validate.Validator):
    """Accept scores whose sum is 1.0 within the tolerance."""

    error = f"scores must sum to 1.0 within {SUM_TOLERANCE}"

    def __call__(self, value: Mapping[str, float]) -> Mapping[str, float]:
        """Return the scores, or raise ValidationError."""
        if not abs(sum(value.values()) - 1) <= SUM_TOLERANCE + ROUNDING:
            raise ValidationError(self.error)
        return value

    def emit(self, code: Code, value: str) -> None:
        """Write the same comparison for the compiled check."""
        bound = SUM_TOLERANCE + ROUNDING
        code.doubt_unless(f"-{bound!r} <= sum({value}.values()) - 1 <= {bound!r}")


class Item(Schema):
    """Base of the three kinds of item."""

    class Meta:
        """Leave unknown fields to the stored payload."""

        unknown = EXCLUDE


class Viewport(Item):
    """The size of the browser's viewport, in CSS pixels."""

    width = StrictNumber(required=True, min=0)
    height = StrictNumber(required=True, min=0)


class Event(Item):
    """One interaction in the tester's browser or device."""

    eventType = Choice(EVENT_TYPES, required=True)
    targetSelector = StrictString(required=True)
    timestamp = Timestamp(required=True)
    x = StrictNumber()
    y = StrictNumber()
    scrollY = StrictNumber()
    inputLength = StrictNumber(min=0)
    viewport = fields.Nested(Viewport)
    eventId = StrictString(min=1, max=MAX_EVENT_ID)


class Frame(Item):
    """The scores of one analysed video frame."""

    frameIndex = StrictInteger(required=True, min=0)
    timestamp = Timestamp(required=True)
    emotions = StrictDict(
        required=True,
        min=1,
        max=MAX_EMOTIONS,
        keys=StrictString(min=1, max=MAX_LABEL),
        values=StrictNumber(min=0, max=1),
        validate=SumsToOne(),
    )
    attentionScore = StrictNumber(required=True, min=0, max=1)
    gazeX = StrictNumber(min=0, max=1)
    gazeY = StrictNumber(min=0, max=1)


class Segment(Item):
    """The transcript and the measures of one stretch of speech."""

    segmentIndex = StrictInteger(required=True, min=0)
    startTime = Timestamp(required=True)
    endTime = Timestamp(required=True, not_before="startTime")
    transcript = StrictString(required=True)
    sentiment = Choice(SENTIMENTS, required=True)
    sentimentScore = StrictNumber(required=True, min=-1, max=1)
    hesitationCount = StrictInteger(min=0)
    wordsPerMinute = StrictNumber(min=0)


class Items(fields.List[Any]):
    """A list whose items are looked at one by one, each on its own, so that one does not spoil the rest."""

    default_error_messages = {"invalid": "must be a list", "null": "must be a list"}  # noqa: RUF012

    def __init__(self, item: type[Item]) -> None:
        super().__init__(
            fields.Nested(item),
            required=True,
            validate=validate.Length(max=MAX_BATCH, error="must have at most {max} items"),
        )

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[Any]:
        if type(value) is not list:
            raise self.make_error("invalid")
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for the compiled form."""
        code.doubt_unless(f"type({value}) is list")
        return value


class Batch(Item):
    """What all three requests have in common."""

    sessionId = StrictString(
        required=True,
        min=1,
        max=MAX_SESSION_ID_LENGTH,
        metadata={"description": "The client's own id of the session."},
    )


class EventBatch(Batch):
    """Interaction events of one session."""

    batch = Items(Event)


class FrameBatch(Batch):
    """Analysed video frames of one session."""

    batch = Items(Frame)


class SegmentBatch(Batch):
    """Analysed voice segments of one session."""

    batch = Items(Segment)


class Rejection(Schema):
    """Why one item was not taken."""

    index = fields.Integer(
        required=True, metadata={"description": "Position in the batch, from 0."}
    )
    reason = fields.String(required=True)


class Receipt(Schema):
    """What became of a batch."""

    sessionId = fields.String(required=True)
    accepted = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    rejections = fields.List(fields.Nested(Rejection), required=True)


class Answer(Schema):
    """The envelope of a batch that was read."""

    success = fields.Boolean(required=True, metadata={"enum": [True]})
    data = fields.Nested(Receipt, required=True)
    error = fields.String(required=True, allow_none=True)
    metadata = fields.Dict(required=True, allow_none=True)


class Failure(Schema):
    """The envelope of a request that was not taken."""

    success = fields.Boolean(required=True, metadata={"enum": [False]})
    data = fields.Dict(required=True, allow_none=True)
    error = fields.String(required=True, metadata={"description": "What is wrong, for a person."})
    metadata = fields.Dict(required=True, allow_none=True)
