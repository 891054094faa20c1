"""The wire format of the clickstream API: what is read and what is answered."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from core import MAX_SESSION_ID_LENGTH
from plugins.clickstream.metrics import DEFAULT_K
from plugins.clickstream.wire import (
    FIELD_REQUIRED,
    NOT_A_LIST,
    NOT_A_MODEL,
    AnyObject,
    Count,
    CreatedAt,
    QueryTime,
    Rank,
    SortOrder,
    Switch,
    Text,
)

MAX_EVENT_ID_LENGTH = 256


def _one(schema: type[Schema], **options: Any) -> fields.Nested:
    messages: dict[str, Any] = {
        "required": FIELD_REQUIRED,
        "null": NOT_A_MODEL,
        "type": NOT_A_MODEL,
    }
    return fields.Nested(schema, error_messages=messages, **options)


def _list(schema: type[Schema], description: str) -> fields.List[Any]:
    messages: dict[str, Any] = {
        "required": FIELD_REQUIRED,
        "null": NOT_A_LIST,
        "invalid": NOT_A_LIST,
    }
    return fields.List(
        _one(schema),
        required=True,
        error_messages=messages,
        metadata={"description": description},
    )


class WireSchema(Schema):
    """Ignore unknown fields and speak of faults as the other schemas do."""

    error_messages = {"type": NOT_A_MODEL}  # noqa: RUF012

    class Meta:
        """Ignore what is not known."""

        unknown = EXCLUDE


def _session_id() -> Text:
    return Text(
        required=True,
        validate=validate.Length(
            1,
            MAX_SESSION_ID_LENGTH,
            error="String should have {min} to {max} characters",
        ),
        metadata={"description": "The session, by the client's own id."},
    )


class ResultSchema(WireSchema):
    """One search result as it was shown."""

    object_id = Text(required=True)
    rank = Rank(
        metadata={
            "description": "A number or a numeric string; a position only where the ranks of the list are 1, 2, 3, …"
        },
    )
    meta = AnyObject()


class SortBySchema(WireSchema):
    """How the results were sorted."""

    field = Text(required=True)
    order = SortOrder(load_default="asc")
    force_not_payload = Switch()


class SessionCreateSchema(WireSchema):
    """A search: the query and what was shown for it."""

    session_id = _session_id()
    search_query = Text(required=True)
    search_results = _list(ResultSchema, "The results in the order in which they were shown.")
    search_meta = AnyObject()
    payload_filter = AnyObject(
        metadata={"description": "Any object; stored and answered as it was sent."}
    )
    sort_by = _one(SortBySchema, allow_none=True, load_default=None)
    user_id = Text(allow_none=True, load_default=None)
    created_at = CreatedAt(
        metadata={
            "description": "Milliseconds, or seconds below 1e11. Default: now, in milliseconds."
        }
    )


class EventSchema(WireSchema):
    """One thing the user did."""

    event_id = Text(
        required=True,
        validate=validate.Length(
            1, MAX_EVENT_ID_LENGTH, error="String should have {min} to {max} characters"
        ),
    )
    object_id = Text(required=True, metadata={"description": "Need not be among the results."})
    event_type = Text(load_default="click")
    created_at = CreatedAt()
    meta = AnyObject()


class EventsPushSchema(WireSchema):
    """Events of one session."""

    session_id = _session_id()
    events = _list(EventSchema, "May be empty. One invalid event rejects them all.")


class SessionRefSchema(WireSchema):
    """A session, named."""

    session_id = _session_id()


class ReleaseSchema(WireSchema):
    """A release of the collecting batch."""

    release_id = Text(
        required=True,
        validate=validate.Length(1, 256, error="String should have {min} to {max} characters"),
        metadata={"description": "Makes the release idempotent."},
    )


def _at_least(low: int, high: int) -> validate.Range:
    return validate.Range(low, high, error="Input should be between {min} and {max}")


class SessionQuerySchema(WireSchema):
    """Which session, and which page of its events."""

    session_id = fields.String(required=True, error_messages={"required": FIELD_REQUIRED})
    events_after = fields.String(
        metadata={
            "minLength": 1,
            "description": "The `event_id` of the last event of the page before; the `Link` header has the address.",
        },
    )


class BatchQuerySchema(WireSchema):
    """Which part of which batch."""

    batch_id = fields.String(required=True, error_messages={"required": FIELD_REQUIRED})
    after_number = Count(load_default=0, validate=_at_least(-(2**53), 2**53))
    limit = Count(
        load_default=10,
        validate=_at_least(0, 2**31),
        metadata={"description": "Sessions; 0 is no limit."},
    )
    events_limit = Count(
        load_default=100,
        validate=_at_least(0, 2**31),
        metadata={"description": "Events of each session; 0 is no limit."},
    )


class SelectionSchema(WireSchema):
    """Which searches count; irrelevant ones never do."""

    start = QueryTime(data_key="from", metadata={"description": "Searches from this time on."})
    end = QueryTime(data_key="to", metadata={"description": "Searches before this time."})
    query = fields.String(metadata={"description": "Searches for exactly this query."})
    user_id = fields.String(metadata={"description": "Searches of this user."})
    filter_field = fields.String(
        metadata={"description": "Searches whose payload filter looks at this field."},
    )


class MetricsQuerySchema(SelectionSchema):
    """Which searches count, and where the cut is."""

    k = Count(
        load_default=DEFAULT_K,
        validate=_at_least(1, 1_000),
        metadata={"description": "How many results of a list count."},
    )


class ExportQuerySchema(SelectionSchema):
    """Which searches are exported."""

    improvement = fields.Boolean(
        load_default=False,
        metadata={"description": "Only sessions marked with `use-for-improvement`."},
    )


class ResultAnswerSchema(Schema):
    """One result as it was stored."""

    object_id = fields.String(required=True)
    rank = fields.Float(required=True, allow_none=True)
    meta = fields.Dict(required=True, allow_none=True)


class EventAnswerSchema(Schema):
    """One event as it was stored."""

    event_id = fields.String(required=True)
    object_id = fields.String(required=True)
    event_type = fields.String(required=True)
    created_at = fields.Integer(required=True)
    meta = fields.Dict(required=True, allow_none=True)


class SessionAnswerSchema(Schema):
    """A session with its events, in the order they were stored."""

    session_id = fields.String(required=True)
    search_query = fields.String(required=True)
    search_results = fields.List(fields.Nested(ResultAnswerSchema), required=True)
    search_meta = fields.Dict(required=True, allow_none=True)
    payload_filter = fields.Dict(required=True, allow_none=True)
    sort_by = fields.Dict(required=True, allow_none=True)
    user_id = fields.String(required=True, allow_none=True)
    created_at = fields.Integer(required=True)
    is_irrelevant = fields.Boolean(required=True)
    events = fields.List(fields.Nested(EventAnswerSchema), required=True)


class BatchSessionSchema(SessionAnswerSchema):
    """A session of a batch."""

    session_number = fields.Integer(required=True)


class BatchSessionsSchema(Schema):
    """A page of a batch."""

    batch_id = fields.String(required=True)
    last_number = fields.Integer(required=True, allow_none=True)
    sessions = fields.List(fields.Nested(BatchSessionSchema), required=True)


class ReleaseAnswerSchema(Schema):
    """A released batch."""

    release_id = fields.String(required=True)
    batch_id = fields.String(required=True)
    released_at = fields.Integer(required=True, metadata={"description": "Milliseconds UTC."})


class EstimateSchema(Schema):
    """A value, how many searches were eligible, and its 95 % interval."""

    value = fields.Float(required=True, allow_none=True)
    n = fields.Integer(required=True)
    interval = fields.List(fields.Float(), required=True, allow_none=True)


class MetricsSchema(Schema):
    """Search metrics; `value` is null where no search was eligible."""

    k = fields.Integer(required=True)
    searches = fields.Integer(required=True)
    ctr_at_k = fields.Nested(EstimateSchema, required=True)
    mean_first_click_rank = fields.Nested(EstimateSchema, required=True)
    mrr = fields.Nested(EstimateSchema, required=True)
    ndcg_at_k = fields.Nested(EstimateSchema, required=True)
    zero_result_rate = fields.Nested(EstimateSchema, required=True)
    abandonment_rate = fields.Nested(EstimateSchema, required=True)
    orphan_events = fields.Integer(
        required=True,
        metadata={"description": "Events that wait for their session to be created."},
    )


class ExporterSchema(Schema):
    """An export that can be had."""

    name = fields.String(required=True)
    description = fields.String(required=True)
    media_type = fields.String(required=True)


class ExportersSchema(Schema):
    """The exports that can be had."""

    exports = fields.List(fields.Nested(ExporterSchema), required=True)


class DetailSchema(Schema):
    """An error: a sentence, or the list of what is wrong."""

    detail = fields.Raw(
        required=True,
        metadata={"description": "A sentence; on a 422 a list of `{type, loc, msg, input}`."},
    )
