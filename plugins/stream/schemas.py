"""The wire format of the stream plugin's HTTP routes."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from plugins.stream.analysis.rules import PROBABILITIES, SIGNAL_TYPES


class ProblemSchema(Schema):
    """An error."""

    error_id = fields.String(required=True, metadata={"description": "The code of the error."})
    correlation_id = fields.String(
        required=True, metadata={"description": "What to name when asking for help."}
    )
    link = fields.String(required=True, allow_none=True)
    message = fields.String(required=True)


class UploadSchema(Schema):
    """A file and what is wanted of it."""

    file = fields.Raw(
        required=True,
        metadata={
            "type": "string",
            "format": "binary",
            "description": "mp4, avi, mov, mkv, mpeg-ts, m2ts or webm; 3 s to 30 min, at most 32 MiB.",
        },
    )
    include = fields.List(
        fields.String(
            validate=validate.OneOf(
                ("conversation_quality_overall", "conversation_quality_timeline")
            )
        ),
        data_key="include[]",
        metadata={"description": "What to report besides signals and engagement."},
    )


class QuerySchema(Schema):
    """Where the findings belong."""

    session_id = fields.String(
        metadata={"description": "A session of the other APIs; its own without one."}
    )


class SignalSchema(Schema):
    """One instance of a signal; times are seconds of media."""

    type = fields.String(required=True, validate=validate.OneOf(SIGNAL_TYPES))
    start = fields.Float(required=True)
    end = fields.Float(required=True, allow_none=True)
    probability = fields.String(required=True, validate=validate.OneOf(PROBABILITIES))
    rationale = fields.String(
        required=True, metadata={"description": "What spoke for it, to be checked in the video."}
    )


class EngagementSchema(Schema):
    """A state of engagement; times are seconds of media."""

    start = fields.Float(required=True)
    end = fields.Float(required=True)
    state = fields.String(
        required=True, validate=validate.OneOf(("engaged", "neutral", "disengaged"))
    )


class ValuesSchema(Schema):
    """The quality of a conversation, 0 to 100; 50 where nothing was seen."""

    quality_index = fields.Float(required=True)
    clarity = fields.Float(required=True)
    authority = fields.Float(required=True)
    energy = fields.Float(required=True)
    rapport = fields.Float(required=True)
    learning = fields.Float(required=True)


class PeriodSchema(Schema):
    """The quality in one period."""

    start = fields.Float(required=True)
    end = fields.Float(required=True)
    values = fields.Nested(ValuesSchema, required=True)


class QualitySchema(Schema):
    """The quality of a conversation."""

    overall = fields.Nested(ValuesSchema, required=True, allow_none=True)
    timeline = fields.List(fields.Nested(PeriodSchema))


class AnalysisSchema(Schema):
    """What was found in a file."""

    signals = fields.List(fields.Nested(SignalSchema), required=True)
    engagement_state = fields.List(fields.Nested(EngagementSchema), required=True)
    conversation_quality = fields.Nested(QualitySchema)


class RecordingSchema(AnalysisSchema):
    """What was found in one stream or upload."""

    correlation_id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(("live", "upload")))
    started_at = fields.String(required=True)
    ended_at = fields.String(required=True, allow_none=True)
    seconds = fields.Float(required=True)


class SessionSchema(Schema):
    """What was found in a session."""

    session_id = fields.String(required=True)
    recordings = fields.List(fields.Nested(RecordingSchema), required=True)
