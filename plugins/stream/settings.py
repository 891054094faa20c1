"""The settings of the stream plugin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from core import Setting, flag, words

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
PURPOSES = ("general", "work", "education")


def whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not text.strip().isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def positive(text: str) -> float:
    """Read a number of seconds, more than 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError("must be a number of seconds, more than 0")
    return number


def purpose(text: str) -> str:
    """Read what the server is used for."""
    if text not in PURPOSES:
        raise ValueError(f"must be one of {', '.join(PURPOSES)}")
    return text


SETTINGS = (
    Setting(
        "SUBTEXT_STREAM_ANALYZER",
        "builtin",
        "What observes the media: `builtin`, or a name that a plugin registers with `register_analyzers`.",
    ),
    Setting("SUBTEXT_STREAM_FACE", True, "Whether faces are looked at.", flag),
    Setting("SUBTEXT_STREAM_VOICE", True, "Whether voices are listened to.", flag),
    Setting(
        "SUBTEXT_STREAM_WORDS",
        True,
        "Whether words are recognised, where `requirements-asr.txt` is installed.",
        flag,
    ),
    Setting(
        "SUBTEXT_STREAM_PURPOSE",
        "general",
        "`general`, `work` or `education`; the last two switch inference from face and voice off.",
        purpose,
    ),
    Setting(
        "SUBTEXT_STREAM_BLOBS",
        "",
        "Where media lies until it is analysed: a directory, `redis:` (web and worker on different machines) or an "
        "fsspec URL. Empty: `media` in `SUBTEXT_DATA`.",
    ),
    Setting(
        "SUBTEXT_STREAM_MAX_SOCKETS",
        100,
        "Streams and uploads that one web process carries; each has a thread, and more are answered 503.",
        whole(1, 10_000),
    ),
    Setting(
        "SUBTEXT_STREAM_MAX_PER_ACCOUNT",
        20,
        "Streams that one account has open at a time; more are answered 429.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_STREAM_ORIGINS",
        (),
        "Origins whose pages may open a stream, separated by commas; empty for any.",
        words,
    ),
    Setting(
        "SUBTEXT_STREAM_IDLE_SECONDS",
        300,
        "Seconds without a message after which a stream ends.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_STREAM_MAX_SECONDS",
        3_600,
        "Seconds after which a stream ends in any case.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_STREAM_DRAIN_SECONDS",
        60,
        "Seconds in which a stream that ends waits for what it still has in analysis.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_STREAM_BACKLOG_SECONDS",
        120.0,
        "Seconds of media in analysis from which on a stream is not read.",
        positive,
    ),
    Setting(
        "SUBTEXT_STREAM_BACKLOG_BYTES",
        128 * MEBIBYTE,
        "Bytes of media in analysis from which on a stream is not read.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_STREAM_ANALYSIS_SECONDS",
        60.0,
        "Seconds that the analysis of a segment may take, and as long again as its media lasts.",
        positive,
    ),
    Setting(
        "SUBTEXT_STREAM_UPLOAD_SECONDS",
        300.0,
        "Seconds that `POST /v1/upload/analyze` waits for its result before it answers 503.",
        positive,
    ),
    Setting(
        "SUBTEXT_STREAM_DAILY_SECONDS",
        0,
        "Seconds of media that an account may have analysed in a day (UTC); 0 for no limit.",
        whole(0),
    ),
)
