"""The stream's messages as an AsyncAPI 3.0 document, from which the page `/docs/stream` is made, too."""

from __future__ import annotations

from typing import Any, Final

from core import VERSION, setting
from plugins.stream import protocol
from plugins.stream.analysis.rules import PROBABILITIES, QUALITY_VALUES, SIGNAL_TYPES
from plugins.stream.faults import (
    MAX_SEGMENT_BYTES,
    MIN_CONTINUATION_SECONDS,
    MIN_SECONDS,
    TooShort,
)
from plugins.stream.rendering import EXAMPLE_ID

CHANNEL: Final = "streamAnalyze"
EXAMPLE_TIME: Final = "2026-06-20T15:21:55.149561Z"

REASONS: Final = (
    "client_shutdown",
    "idle_timeout",
    "max_duration",
    "server_shutdown",
    "session_erased",
)
"""Why a stream ends."""

ERRORS: Final = {
    "ih1001": "Analysis failed twice, or media could not be stored: what it covered is lost; `segment` is null.",
    "ih3003": "The account's media seconds of the day are used up.",
    "ih5001": "The segment has no video stream.",
    "ih5004": "The segment is no container that is known, or broken past use.",
    "ih5006": f"The segment is shorter than {MIN_SECONDS:g} seconds.",
    "ih6001": "A text frame is no JSON object; `segment` is null.",
    "ih6002": "The message is larger than a segment may be.",
    "ih6003": "Nothing was received for too long: the stream ends.",
    "ih6004": "The stream has lasted as long as it may: it ends.",
}
"""Codes of `error` frames and when they come."""


def build_document() -> dict[str, Any]:
    """Return the document, with the limits that the settings of the active app give."""
    server, client = _server_messages(), _client_messages()
    messages = {**server, **client}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Subtext stream",
            "version": VERSION,
            "description": "Live video in, social signals out, over one WebSocket (RFC 6455).",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {
                "host": "{host}",
                "protocol": "wss",
                "variables": {"host": {"description": "Where this document came from."}},
                "security": [
                    {"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY
                ],
            }
        },
        "channels": {
            CHANNEL: {
                "address": "/v1/stream/analyze",
                "description": "One stream. Query parameters that are not known are ignored.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "query": _QUERY, "headers": _HEADERS}},
            }
        },
        "operations": {
            "receiveFromClient": _operation("receive", client, "What a client sends."),
            "sendToClient": _operation("send", server, "What the server sends."),
        },
        "components": {"securitySchemes": _SECURITY, "messages": messages},
    }


def _operation(action: str, messages: dict[str, Any], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{name}"} for name in messages],
    }


def _client_messages() -> dict[str, Any]:
    return {
        "segment": {
            "name": "segment",
            "title": "Video",
            "contentType": "application/octet-stream",
            "summary": (
                f"One segment of mp4, avi, mov, mkv, mpeg-ts, m2ts or webm, at least {MIN_SECONDS:g} s"
                f" and at most {MAX_SEGMENT_BYTES // 1024**2} MiB. A self-contained file; or a timeslice of one"
                " recording, whose header is in the first message, or before each; or a whole recording."
                f" A continuation of {MIN_CONTINUATION_SECONDS:g} s or more is taken, a shorter one is joined."
            ),
            "payload": {"type": "string", "format": "binary"},
        },
        "config": {
            "name": "config",
            "title": "Session config",
            "summary": "A text message, at any time; it replaces the last one. What is not known is ignored.",
            "payload": {"type": "object", "properties": {"include": _INCLUDE}},
            "examples": [{"payload": {"include": list(protocol.INCLUDES)}}],
        },
        "close": {
            "name": "close",
            "title": "End in good order",
            "summary": "What was taken is still analysed and reported; then the server closes with 1000.",
            "payload": _object({"type": {"const": "session.close"}}),
            "examples": [{"payload": {"type": "session.close"}}],
        },
    }


def _server_messages() -> dict[str, Any]:
    idle, longest = setting("SUBTEXT_STREAM_IDLE_SECONDS"), setting("SUBTEXT_STREAM_MAX_SECONDS")
    drain = setting("SUBTEXT_STREAM_DRAIN_SECONDS")
    limits = protocol.Limits(idle, longest, drain, int(MIN_SECONDS), MAX_SEGMENT_BYTES)
    configuration = protocol.Configuration(protocol.INCLUDES)
    example = "Four pauses over 250 ms and gaze off the screen for 2.1 s of 8 s."
    signal = {
        "signal_type": "hesitation",
        "start": 9.0,
        "probability": "medium",
        "rationale": example,
    }
    values = dict.fromkeys(("quality_index", *QUALITY_VALUES), 50.0)
    period = {"start": 0.0, "end": 10.0, "values": values}
    rows: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
        (
            "session.ready",
            "First frame, once, at once: what holds for this stream.",
            _READY,
            protocol.ready(limits),
        ),
        ("session.updated", "A config was taken.", _UPDATED, protocol.updated(configuration)),
        ("signal.detected", "A signal came on.", _SIGNAL, signal),
        (
            "signal.updated",
            "The probability of a signal that is on changed.",
            _SIGNAL,
            {**signal, "probability": "high"},
        ),
        (
            "signal.ended",
            "A signal went off.",
            _ENDED,
            {"signal_type": "hesitation", "end": 18.0},
        ),
        (
            "engagement.updated",
            "Engagement is in another state, or in its first.",
            _ENGAGEMENT,
            {"state": "engaged", "start": 0.0},
        ),
        (
            "conversation_quality.updated",
            "A period closed: the parts that were asked for.",
            _QUALITY,
            {"overall": values, "timeline": [period]},
        ),
        (
            "error",
            "Something was wrong, or lost; the stream goes on unless the code says otherwise.",
            _ERROR,
            protocol.error("ih5006", TooShort.default_message, 2),
        ),
        (
            "session.closing",
            "The end was asked for: no more media is taken.",
            _object({"max_drain_seconds": {"type": "integer"}}),
            {"max_drain_seconds": drain},
        ),
        (
            "session.ended",
            "Last frame.",
            _object({"reason": {"type": "string", "enum": list(REASONS)}}),
            {"reason": "client_shutdown"},
        ),
    )
    return {_name(kind): _message(kind, title, schema, data) for kind, title, schema, data in rows}


def _name(kind: str) -> str:
    return kind.replace(".", "_")


def _message(kind: str, title: str, schema: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    payload = {"timestamp": EXAMPLE_TIME, "correlation_id": EXAMPLE_ID, "type": kind, "data": data}
    return {
        "name": kind,
        "title": kind,
        "summary": title,
        "payload": _object(
            {
                "timestamp": {"type": "string", "format": "date-time"},
                "correlation_id": {"type": "string", "format": "uuid"},
                "type": {"const": kind},
                "data": schema,
            }
        ),
        "examples": [{"payload": payload}],
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_SECURITY: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer`, with an API key or a token from `POST /v1/tokens`.",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "For browsers: the credential as the only subprotocol, or after `access_token`.",
    },
}
_QUERY: Final = {
    "type": "object",
    "properties": {
        "session_id": {
            "type": "string",
            "maxLength": 256,
            "description": "A session of the other APIs; the correlation id without one.",
        }
    },
}
_HEADERS: Final = {
    "type": "object",
    "properties": {
        "X-Client-Request-Id": {"type": "string", "description": "Noted in the server's log."}
    },
}
_SECONDS: Final = {"type": "number", "minimum": 0, "description": "Seconds of accepted media."}
_INCLUDE: Final = {"type": "array", "items": {"type": "string", "enum": list(protocol.INCLUDES)}}
_SIGNAL_TYPE: Final = {"type": "string", "enum": list(SIGNAL_TYPES)}
_SIGNAL: Final = _object(
    {
        "signal_type": _SIGNAL_TYPE,
        "start": _SECONDS,
        "probability": {"type": "string", "enum": list(PROBABILITIES)},
        "rationale": {
            "type": "string",
            "description": "What spoke for it, to be checked in the video.",
        },
    }
)
_ENDED: Final = _object({"signal_type": _SIGNAL_TYPE, "end": _SECONDS})
_ENGAGEMENT: Final = _object(
    {"state": {"type": "string", "enum": ["engaged", "neutral", "disengaged"]}, "start": _SECONDS}
)
_VALUES: Final = _object(
    {
        name: {"type": "number", "minimum": 0, "maximum": 100}
        for name in ("quality_index", *QUALITY_VALUES)
    }
)
_QUALITY: Final = {
    "type": "object",
    "properties": {
        "overall": _VALUES,
        "timeline": {
            "type": "array",
            "items": _object({"start": _SECONDS, "end": _SECONDS, "values": _VALUES}),
        },
    },
}
_UPDATED: Final = _object({"include": _INCLUDE, "goal_dimensions": {"type": "null"}})
_READY: Final = _object(
    {
        "session_idle_timeout_seconds": {"type": "integer"},
        "session_max_duration_seconds": {"type": "integer"},
        "min_segment_duration_seconds": {"type": "integer"},
        "max_segment_duration_seconds": {"type": "null"},
        "min_segment_size_bytes": {"type": "integer"},
        "max_segment_size_bytes": {"type": "integer"},
        "supported_session_config_options": _UPDATED,
    }
)
_ERROR: Final = _object(
    {
        "code": {"type": "string", "enum": list(ERRORS)},
        "message": {"type": "string"},
        "link": {"type": "null"},
        "segment": {
            "type": ["integer", "null"],
            "description": "The binary message it is about, counted from 1.",
        },
    }
)
