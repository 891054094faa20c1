"""The wire format."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from core import MAX_SESSION_ID_LENGTH, Choice, StrictNumber, StrictString
from subtext_plugin_vitals.metrics import METRICS
from subtext_plugin_vitals.services import MAX_DAYS

#: The library has five metrics; a page that is left and restored reports them anew.
MAX_METRICS = 50
MAX_PAGE_LENGTH = 512
MAX_METRIC_ID_LENGTH = 64
#: An hour in milliseconds: no visitor waits longer, so a larger value is a broken clock.
MAX_VALUE = 3_600_000


class MetricSchema(Schema):
    """One metric as the `web-vitals` library gives it."""

    class Meta:
        """Ignore the library's other fields."""

        unknown = EXCLUDE

    id = StrictString(required=True, min=1, max=MAX_METRIC_ID_LENGTH)
    name = Choice(METRICS, required=True)
    value = StrictNumber(required=True, min=0, max=MAX_VALUE)


class ReportSchema(Schema):
    """What one page view measured so far."""

    session_id = StrictString(required=True, min=1, max=MAX_SESSION_ID_LENGTH)
    page = StrictString(
        required=True,
        min=1,
        max=MAX_PAGE_LENGTH,
        metadata={"description": "The path; a query or fragment is cut off."},
    )
    metrics = fields.List(
        fields.Nested(MetricSchema), required=True, validate=validate.Length(1, MAX_METRICS)
    )


class StoredSchema(Schema):
    """What became of a report."""

    stored = fields.Integer(
        required=True, metadata={"description": "Metrics that were new or worse than before."}
    )


class PagesQuerySchema(Schema):
    """Which days to look at."""

    days = fields.Integer(load_default=7, validate=validate.Range(1, MAX_DAYS))


class PageSchema(Schema):
    """How one metric of one page did."""

    page = fields.String(required=True)
    metric = fields.String(required=True)
    p75 = fields.Float(required=True, metadata={"description": "The 75th percentile."})
    unit = fields.String(required=True)
    rating = fields.String(required=True)
    views = fields.Integer(required=True)


class PagesSchema(Schema):
    """The pages, worst first."""

    pages = fields.List(fields.Nested(PageSchema), required=True)
