"""What a test tool sees of a tester: interactions, facial frames, voice segments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from examples.demo.behaviour import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from examples.demo.behaviour import Act

SECOND = 1_000_000  # microseconds
SCROLL_STEP = 400  # pixels
VIEWPORT = {"width": WIDTH, "height": HEIGHT}


@dataclass(frozen=True, slots=True)
class Face:
    """How an intent looks: its main emotion with its mean score, and the mean attention, 0..1."""

    emotion: str
    score: float
    attention: float


@dataclass(frozen=True, slots=True)
class Voice:
    """How an intent sounds: what is said, the mean sentiment -1..1, hesitations, words a minute."""

    sentences: tuple[str, ...]
    sentiment: float
    hesitations: int
    words_per_minute: int


FACES: Mapping[str, Face] = {
    "frustrated": Face("frustration", 0.65, 0.65),
    "confused": Face("confusion", 0.65, 0.65),
    "decisive": Face("neutral", 0.85, 0.65),
    "browsing": Face("happiness", 0.35, 0.6),
    "disengaged": Face("neutral", 0.9, 0.12),
    "focused": Face("neutral", 0.9, 0.95),
}
VOICES: Mapping[str, Voice] = {
    "frustrated": Voice(
        ("It says the payment failed again.", "I have clicked this three times now."), -0.7, 0, 150
    ),
    "confused": Voice(
        ("Um, I can't see where the settings are.", "Uh, is it this one, or, um, that one?"),
        -0.2,
        4,
        105,
    ),
    "decisive": Voice(("That is the one, straight to the checkout.",), 0.3, 0, 145),
    "browsing": Voice(("Oh, nice, and what do they have here?",), 0.5, 0, 130),
}
"""Who is disengaged or focused says nothing."""

_OTHER_EMOTIONS = ("neutral", "surprise", "confusion", "frustration", "happiness")
_TARGETS = {"error": "#checkout", "navigation": "body", "scroll": "body", "click": "#buy"}


def interactions(act: Act, at: int, position: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (time in µs, event) for an act; `position` counts acts and tells scroll offsets apart.

    An idle time, a hover or a pause in typing is no event for a test tool, and yields nothing.
    """
    if act.kind == "rage_click":
        for step in range(3):
            yield at + step * SECOND // 5, _event("click", at + step * SECOND // 5, act.fields)
    elif act.kind == "backtrack":
        yield at, _event("scroll", at, {"scrollY": max(0, position - 2) * SCROLL_STEP})
    elif act.kind == "scroll":
        yield at, _event("scroll", at, {"scrollY": position * SCROLL_STEP})
    elif act.kind == "page_view":
        yield at, _event("navigation", at, act.fields)
    elif act.kind in {"click", "error", "focus", "blur"}:
        yield at, _event(act.kind, at, act.fields)


def frame(intent: str, random: Random, index: int, at: int) -> dict[str, Any]:
    """Return one item of `POST /api/data/facial`."""
    face = FACES[intent]
    score = round(min(0.95, max(0.05, random.gauss(face.score, 0.05))), 2)
    rest = [emotion for emotion in _OTHER_EMOTIONS if emotion != face.emotion][:2]
    share = round((1 - score) * random.uniform(0.6, 0.9), 2)
    emotions = {face.emotion: score, rest[0]: share, rest[1]: round(1 - score - share, 2)}
    return {
        "frameIndex": index,
        "timestamp": iso(at),
        "emotions": emotions,
        "attentionScore": round(min(1.0, max(0.0, random.gauss(face.attention, 0.03))), 2),
        "gazeX": round(random.random(), 2),
        "gazeY": round(random.random(), 2),
    }


def segment(intent: str, random: Random, index: int, at: int) -> dict[str, Any] | None:
    """Return one item of `POST /api/data/voice`, or None for an intent that says nothing."""
    voice = VOICES.get(intent)
    if voice is None:
        return None
    text = random.choice(voice.sentences)
    score = round(min(1.0, max(-1.0, random.gauss(voice.sentiment, 0.05))), 2)
    seconds = 60 * len(text.split()) / voice.words_per_minute
    return {
        "segmentIndex": index,
        "startTime": iso(at),
        "endTime": iso(at + round(seconds * SECOND)),
        "transcript": text,
        "sentiment": "negative" if score < -0.1 else "positive" if score > 0.1 else "neutral",
        "sentimentScore": score,
        "hesitationCount": voice.hesitations,
        "wordsPerMinute": voice.words_per_minute,
    }


def iso(at: int) -> str:
    """Write microseconds UTC as ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND // 1000:03d}Z"


def _event(kind: str, at: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "eventType": kind,
        "targetSelector": _TARGETS.get(kind, "#email-field"),
        "timestamp": iso(at),
        **fields,
        "viewport": VIEWPORT,
    }
