"""The messages of a stream: what the server's frames look like, and what a client's mean. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

INCLUDES: Final = ("conversation_quality_overall", "conversation_quality_timeline")
"""What a configuration may ask for."""

MAX_TEXT: Final = 64 * 1024
"""Characters of a text frame that are read; a configuration has less than a hundred."""

BAD_CONFIG: Final = "ih6001"
IDLE: Final = "ih6003"
TOO_LONG_OPEN: Final = "ih6004"
ANALYSIS_FAILED: Final = "ih1001"


@dataclass(frozen=True, slots=True)
class Limits:
    """State what holds for a stream, in seconds and bytes."""

    idle_seconds: int
    max_seconds: int
    drain_seconds: int
    min_segment_seconds: int
    max_segment_bytes: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a client wants reported, in the order of INCLUDES."""

    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """A client wants its stream to end in good order."""


class BadMessage(ValueError):
    """A text frame that says nothing; the message is for the client."""


def read_text(text: str) -> Configuration | CloseRequest:
    """Return what a text frame of a client says; BadMessage when it is no JSON object of this protocol."""
    if len(text) > MAX_TEXT:
        raise BadMessage("The session config is too large.")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"The session config is not valid JSON: {error}.") from error
    if not isinstance(message, dict):
        raise BadMessage("The session config must be a JSON object.")
    if message.get("type") == "session.close":
        return CloseRequest()
    wanted = message.get("include")
    if wanted is None:
        wanted = []
    if not isinstance(wanted, list):
        raise BadMessage("`include` must be a list.")
    return Configuration(tuple(name for name in INCLUDES if name in wanted))


def envelope(kind: str, data: dict[str, Any], correlation_id: str) -> str:
    """Return a server's frame."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return orjson.dumps(
        {"timestamp": stamp, "correlation_id": correlation_id, "type": kind, "data": data}
    ).decode()


def ready(limits: Limits) -> dict[str, Any]:
    """Return the data of `session.ready`."""
    return {
        "session_idle_timeout_seconds": limits.idle_seconds,
        "session_max_duration_seconds": limits.max_seconds,
        "min_segment_duration_seconds": limits.min_segment_seconds,
        "max_segment_duration_seconds": None,
        "min_segment_size_bytes": 1,
        "max_segment_size_bytes": limits.max_segment_bytes,
        "supported_session_config_options": {"include": list(INCLUDES), "goal_dimensions": None},
    }


def updated(configuration: Configuration) -> dict[str, Any]:
    """Return the data of `session.updated`."""
    return {"include": list(configuration.include), "goal_dimensions": None}


def error(code: str, message: str, segment: int | None = None) -> dict[str, Any]:
    """Return the data of an `error`; `segment` counts the client's media messages from 1."""
    return {"code": code, "message": message, "link": None, "segment": segment}
