"""What a client can do wrong with its media, beyond what the analysis itself finds."""

from __future__ import annotations

from plugins.stream.analysis.errors import (
    AnalysisError,
    NotAContainer,
    NoVideo,
    TooLong,
    Unreadable,
)

MIN_SECONDS = 3.0
"""Shortest segment that is analysed by itself."""

TOLERANCE_SECONDS = 0.1
"""How much less it may be: clocks of cameras and containers round to a frame or two."""

MIN_CONTINUATION_SECONDS = 2.5
"""Shortest continuation of a recording: a recorder's timeslice of 3 s is often a little less."""

MAX_SEGMENT_BYTES = 32 * 1024 * 1024
"""Largest segment and largest upload."""


class TooShort(AnalysisError):
    """Less media than an analysis needs."""

    code = "ih5006"
    default_message = f"The segment is too short: at least {MIN_SECONDS:g} seconds are needed."


class TooLarge(AnalysisError):
    """A message over the limit of a segment."""

    code = "ih6002"
    default_message = "WebSocket message too large. Individual video chunks must not exceed 32 MB."


class QuotaUsedUp(AnalysisError):
    """The account has no media seconds left today."""

    code = "ih3003"
    default_message = "The media seconds of this account are used up for today."


__all__ = [
    "MAX_SEGMENT_BYTES",
    "MIN_CONTINUATION_SECONDS",
    "MIN_SECONDS",
    "TOLERANCE_SECONDS",
    "AnalysisError",
    "NoVideo",
    "NotAContainer",
    "QuotaUsedUp",
    "TooLarge",
    "TooLong",
    "TooShort",
    "Unreadable",
]
