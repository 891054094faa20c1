"""What was seen and heard in one segment: the interface between perception and interpretation.

A worker makes `Observations` of a segment's bytes; the socket's process interprets them on the clock of the whole
session. They travel as JSON, so they hold plain numbers only. Times are seconds from the segment's first frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import orjson

#: The 52 expression coefficients in the order of the face model (ARKit's names, Apple developer documentation).
BLENDSHAPES = (
    "_neutral",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip

#: Expression classes in the order in which `FaceFrame.expression` holds their shares.
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")

#: Seconds between two values of the voice's tracks.
VOICE_STEP = 0.01


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """Describe the face in one sampled frame.

    `blendshapes` are 0 to 1 in the order of BLENDSHAPES. Angles are degrees: yaw positive toward the person's
    left, pitch positive up, roll positive toward their right shoulder. `gaze` is where the irises stand between
    the eye's corners, (horizontal, vertical) in eye widths from the middle, signed like yaw and pitch. `size` is
    the face's width and `center` its middle, as shares of the frame. `expression` holds shares in the order of
    EXPRESSIONS, where it was looked at.
    """

    at: float
    blendshapes: tuple[float, ...]
    yaw: float
    pitch: float
    roll: float
    gaze: tuple[float, float]
    size: float
    center: tuple[float, float]
    expression: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """Hold the tracks of the voice, one value every VOICE_STEP seconds.

    `speech` is 1 where somebody speaks, `level` is in dB relative to full scale, `pitch` in Hz, 0 where unvoiced.
    `syllables` are the times of syllable nuclei.
    """

    speech: tuple[int, ...]
    level: tuple[float, ...]
    pitch: tuple[float, ...]
    syllables: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """Hold one recognised word, when it was said, and how sure the recogniser is (0 to 1)."""

    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Observations:
    """Hold what was seen and heard in one segment.

    `duration` is the segment's length in seconds, `sampled` the times of the frames that were looked at, `faces` the
    frames with a face. `voice` is None without an audio track; `words` is None where speech recognition is off.
    `truncated` says that the media ended before its time; `details` is for logs (container, codecs, CPU seconds).
    """

    duration: float
    sampled: tuple[float, ...]
    faces: tuple[FaceFrame, ...]
    voice: Voice | None
    words: tuple[Word, ...] | None
    truncated: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Return the observations as JSON."""
        return orjson.dumps(self)

    @classmethod
    def load(cls, data: bytes | str) -> Self:
        """Take up what `dump` returned."""
        raw = orjson.loads(data)
        voice = raw["voice"]
        return cls(
            duration=raw["duration"],
            sampled=tuple(raw["sampled"]),
            faces=tuple(
                FaceFrame(
                    **{
                        **face,
                        "blendshapes": tuple(face["blendshapes"]),
                        "gaze": tuple(face["gaze"]),
                        "center": tuple(face["center"]),
                        "expression": tuple(face["expression"]) if face["expression"] else None,
                    }
                )
                for face in raw["faces"]
            ),
            voice=Voice(**{name: tuple(track) for name, track in voice.items()}) if voice else None,
            words=None if raw["words"] is None else tuple(Word(**word) for word in raw["words"]),
            truncated=raw["truncated"],
            details=raw["details"],
        )
