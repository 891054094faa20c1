"""The wire format of the mood API."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields

from core import (
    Choice,
    StrictBoolean,
    StrictNumber,
    StrictString,
    UnixTime,
    compile_check,
    validate_items,
)
from plugins.mood.observations import EVENT_TYPES
from plugins.mood.problems import InvalidValue, MissingField, UnknownEventTypes
from plugins.mood.quota import DEFAULT_PLAN, PLAN_LIMITS
from plugins.mood.rules import MAX_LIMIT, THRESHOLDS, WHOLE_THRESHOLDS
from plugins.mood.signals import MAX_WEIGHT, MOODS, NEUTRAL, SUGGESTED_ACTIONS

MAX_EVENTS = 1_000
"""Events in one request."""
MAX_EVENT_ID = 256
"""Characters of an event's id."""
MAX_TEXT = 512
"""Characters of an error message and of notes."""
MAX_ACTION = 128
"""Characters of the name of an action that was taken."""
MAX_NAME = 256
"""Characters of a customer's name."""
MAX_EMAIL = 320
"""Characters of an address (RFC 3696, section 3, erratum 1690: 254 in practice, 320 at most)."""

ALL_MOODS = (*MOODS, NEUTRAL)


class EventSchema(Schema):
    """One behavioural event; only `type` is required."""

    class Meta:
        """Ignore what the contract does not name."""

        unknown = EXCLUDE

    type = Choice(EVENT_TYPES, required=True)
    ts = UnixTime(
        metadata={"description": "Unix time in seconds (or, from 1e11, milliseconds); else now."}
    )
    x = StrictNumber(metadata={"description": "Viewport X in pixels (click, rage_click)."})
    y = StrictNumber(metadata={"description": "Viewport Y in pixels (click, rage_click)."})
    duration_ms = StrictNumber(
        min=0, metadata={"description": "Milliseconds (idle, hover, input_pause)."}
    )
    speed = StrictNumber(metadata={"description": "Pixels per second (scroll)."})
    direction = Choice(("up", "down"), metadata={"description": "Where to (scroll)."})
    url = StrictString(metadata={"description": "Page URL (page_view)."})
    message = StrictString(max=MAX_TEXT, metadata={"description": "Error message (error)."})
    id = StrictString(
        min=1,
        max=MAX_EVENT_ID,
        metadata={"description": "Unique in the session: an event sent again counts once."},
    )


class EventsSchema(Schema):
    """A batch of events."""

    class Meta:
        """Ignore what the contract does not name."""

        unknown = EXCLUDE

    events = fields.List(
        fields.Nested(EventSchema),
        required=True,
        metadata={"minItems": 1, "maxItems": MAX_EVENTS},
    )


class ReceiptSchema(Schema):
    """What a batch came to."""

    session_id = fields.String(required=True)
    events_stored = fields.Integer(
        required=True, metadata={"description": "Events accepted by this call."}
    )
    total_events = fields.Integer(
        required=True, metadata={"description": "Events of the session so far."}
    )
    current_mood = fields.String(required=True, metadata={"enum": list(ALL_MOODS)})


class MoodSchema(Schema):
    """The mood of a session."""

    session_id = fields.String(required=True)
    mood = fields.String(required=True, metadata={"enum": list(ALL_MOODS)})
    confidence = fields.Float(
        required=True,
        metadata={"minimum": 0, "maximum": 1, "description": "A rule confidence, no probability."},
    )
    signals = fields.List(fields.String(), required=True)
    suggested_action = fields.String(required=True, metadata={"enum": list(SUGGESTED_ACTIONS)})
    event_count = fields.Integer(required=True)
    updated_at = fields.String(required=True, metadata={"format": "date-time"})


class FeedbackSchema(Schema):
    """What came of an action that the mood triggered."""

    class Meta:
        """Ignore what the contract does not name."""

        unknown = EXCLUDE

    action_taken = StrictString(required=True, min=1, max=MAX_ACTION)
    was_helpful = StrictBoolean()
    notes = StrictString(max=MAX_TEXT)


class FeedbackReceiptSchema(Schema):
    """That feedback was recorded."""

    session_id = fields.String(required=True)
    feedback_recorded = fields.Boolean(required=True)


class MoodShareSchema(Schema):
    """How many sessions are in one mood."""

    mood = fields.String(required=True, metadata={"enum": list(ALL_MOODS)})
    count = fields.Integer(required=True)
    percentage = fields.Float(required=True)


class MoodAnalyticsSchema(Schema):
    """The moods of all sessions of the account."""

    total_sessions = fields.Integer(required=True)
    feedback_count = fields.Integer(required=True)
    mood_distribution = fields.List(fields.Nested(MoodShareSchema), required=True)


class InterventionSchema(Schema):
    """How helpful one action was in one mood."""

    mood = fields.String(required=True, metadata={"enum": list(ALL_MOODS)})
    action = fields.String(required=True)
    feedback = fields.Integer(required=True, metadata={"description": "Feedback in all."})
    outcomes = fields.Integer(
        required=True, metadata={"description": "Feedback that says whether it was helpful."}
    )
    helpful = fields.Integer(required=True)
    share = fields.Float(required=True, allow_none=True)
    interval = fields.List(
        fields.Float(),
        required=True,
        allow_none=True,
        metadata={"description": "Wilson's 95 % interval of the share."},
    )


class InterventionsSchema(Schema):
    """How helpful actions were, by mood."""

    interventions = fields.List(fields.Nested(InterventionSchema), required=True)


class DeletionSchema(Schema):
    """That a session was erased."""

    session_id = fields.String(required=True)
    deleted = fields.Boolean(required=True)
    message = fields.String(required=True)


class KeyRequestSchema(Schema):
    """Who wants a key."""

    class Meta:
        """Ignore what the contract does not name."""

        unknown = EXCLUDE

    customer_name = StrictString(
        required=True, min=1, max=MAX_NAME, metadata={"pattern": r"\S", "description": "Not blank."}
    )
    email = StrictString(max=MAX_EMAIL, allow_none=True, load_default=None)
    # Which plans there are is checked where keys are made: the answer has a shape of its own.
    plan = fields.Raw(
        allow_none=True,
        load_default=None,
        metadata={
            "type": "string",
            "enum": [*PLAN_LIMITS, None],
            "description": f"Default: {DEFAULT_PLAN}.",
        },
    )


class KeySchema(Schema):
    """A new key; it is shown this once."""

    api_key = fields.String(required=True)
    customer = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    plan = fields.String(required=True)
    limits = fields.String(required=True)
    message = fields.String(required=True)


def _threshold(name: str, *, optional: bool) -> fields.Field[Any]:
    kind: type[fields.Field[Any]] = fields.Float
    bounds = {"minimum": 0, "maximum": 1}
    if name in WHOLE_THRESHOLDS:
        kind, bounds = fields.Integer, {"minimum": 1, "maximum": MAX_LIMIT}
    return kind(required=not optional, allow_none=optional, metadata=bounds)


def _thresholds(*, optional: bool) -> type[Schema]:
    return Schema.from_dict({name: _threshold(name, optional=optional) for name in THRESHOLDS})


class ThresholdsSchema(_thresholds(optional=False)):  # type: ignore[misc]  # made of a table
    """The thresholds of the rules."""


class ThresholdsChangeSchema(_thresholds(optional=True)):  # type: ignore[misc]  # made of a table
    """Thresholds to change; null brings a default back."""


_WEIGHT = {"minimum": 0, "maximum": MAX_WEIGHT}


class SettingsSchema(Schema):
    """How moods are read for an account."""

    thresholds = fields.Nested(ThresholdsSchema, required=True)
    modality_weights = fields.Dict(
        keys=fields.String(), values=fields.Float(metadata=_WEIGHT), required=True
    )
    adaptive = fields.Boolean(required=True)


class SettingsChangeSchema(Schema):
    """What to change of the settings; null brings a default back."""

    thresholds = fields.Nested(ThresholdsChangeSchema)
    modality_weights = fields.Dict(
        keys=fields.String(),
        values=fields.Float(allow_none=True, metadata=_WEIGHT),
        metadata={"description": "Of the modalities that the settings list."},
    )
    adaptive = fields.Boolean(allow_none=True)


class ProblemSchema(Schema):
    """What is wrong."""

    error = fields.String(required=True)
    message = fields.String()
    field = fields.String()
    invalid = fields.List(fields.String())
    valid_types = fields.List(fields.String())
    valid_plans = fields.List(fields.String())
    plan = fields.String()
    limit = fields.Integer()
    reset_at = fields.String(metadata={"format": "date-time"})
    session_id = fields.String()
    request_id = fields.String()


_EVENT = EventSchema()
_check_event = compile_check(_EVENT)


def read_events(body: Any) -> list[dict[str, Any]]:
    """Return the loaded events of a body, all or nothing.

    Raises MissingField, UnknownEventTypes or InvalidValue for the first thing that is wrong.
    """
    events = body.get("events") if isinstance(body, dict) else None
    if not isinstance(events, list) or not events:
        raise MissingField("events")
    if len(events) > MAX_EVENTS:
        raise InvalidValue("events", f"must have at most {MAX_EVENTS} events")
    _check_types(events)
    accepted, rejected = validate_items(_check_event, _EVENT, events)
    if rejected:
        index = rejected[0][0]
        _raise_first(_EVENT, events[index], f"events[{index}].")
    return [event for _, event in accepted]


def _check_types(events: list[Any]) -> None:
    unknown: dict[str, None] = {}
    for index, event in enumerate(events):
        kind = event.get("type") if isinstance(event, dict) else None
        if kind is None:
            raise MissingField(f"events[{index}].type")
        if not isinstance(kind, str):
            raise InvalidValue(f"events[{index}].type", "must be a string")
        if kind not in EVENT_TYPES:
            unknown[kind] = None
    if unknown:
        raise UnknownEventTypes(invalid=list(unknown), valid_types=list(EVENT_TYPES))


def load(schema: Schema, body: Any) -> dict[str, Any]:
    """Return a loaded body; raises MissingField or InvalidValue for the first thing wrong."""
    _raise_first(schema, body if isinstance(body, dict) else {}, "")
    loaded: dict[str, Any] = schema.load(body)
    return loaded


def _raise_first(schema: Schema, value: dict[str, Any], path: str) -> None:
    errors = schema.validate(value)
    for name, field in schema.fields.items():
        if name in errors:
            given = value.get(name)
            if field.required and given in (None, ""):
                raise MissingField(f"{path}{name}")
            raise InvalidValue(f"{path}{name}", errors[name][0])
