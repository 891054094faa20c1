"""Scenes with one person in front of a camera, as perception would tell them; no media is needed."""

from __future__ import annotations

import math
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from plugins.stream.analysis.baseline import Baseline
from plugins.stream.analysis.interpretation import Interpreter
from plugins.stream.analysis.observations import (
    BLENDSHAPES,
    EXPRESSIONS,
    VOICE_STEP,
    FaceFrame,
    Observations,
    Voice,
    Word,
)
from plugins.stream.analysis.rules import default_rules
from plugins.stream.analysis.tracks import Tracks
from plugins.stream.analysis.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plugins.stream.analysis.findings import Finding

    Look = Callable[[float], dict[str, Any] | None]

FRAMES = 10
TICKS = round(1 / VOICE_STEP)
RESTING = {"browDown": 0.1, "eyeSquint": 0.1, "eyeLookDown": 0.1, "jawOpen": 0.02}
CALM = ((0.2, 30.0),)


def jitter(at: float, salt: int = 0) -> float:
    """Return a number between -1 and 1 that a moment always has."""
    return zlib.crc32(f"{round(at * 1000)}:{salt}".encode()) / 2**31 - 1


def shapes_of(**looks: float) -> tuple[float, ...]:
    named = {**RESTING, **looks}
    return tuple(
        named.get(shape, named.get(shape.removesuffix("Left").removesuffix("Right"), 0.0))
        for shape in BLENDSHAPES
    )


def face(at: float, **look: Any) -> FaceFrame:
    expression = look.pop("expression", None)
    pose = {name: look.pop(name, 0.0) for name in ("yaw", "pitch", "roll")}
    gaze, size = look.pop("gaze", (0.0, 0.0)), look.pop("size", 0.25)
    shares = tuple(float(name == expression) for name in EXPRESSIONS) if expression else None
    return FaceFrame(
        at,
        shapes_of(**look),
        pose["yaw"] + 0.2 * jitter(at, 1),
        pose["pitch"] + 0.2 * jitter(at, 2),
        pose["roll"],
        gaze,
        size,
        (0.5, 0.5),
        shares,
    )


def spoken(
    seconds: float,
    phrases: Sequence[tuple[float, float]],
    *,
    rate: float = 3.6,
    pitch: Callable[[float], float] = lambda at: 120 * 2 ** (math.sin(at * 5) / 5),
    level: Callable[[float], float] = lambda _: -25.0,
) -> Voice:
    """Return a voice that speaks in the phrases, with syllables per second of phrase."""
    times = [number / TICKS for number in range(round(seconds * TICKS))]
    speech = [int(any(start <= at < end for start, end in phrases)) for at in times]
    return Voice(
        tuple(speech),
        tuple(level(at) if on else -70.0 for at, on in zip(times, speech, strict=True)),
        tuple(pitch(at) if on else 0.0 for at, on in zip(times, speech, strict=True)),
        tuple(
            round(start + (number + 0.5) / rate, 3)
            for start, end in phrases
            for number in range(int((min(end, seconds) - start) * rate))
        ),
    )


def said(text: str, start: float, each: float = 0.4) -> tuple[Word, ...]:
    return tuple(
        Word(round(start + number * each, 3), round(start + number * each + 0.3, 3), word, 0.9)
        for number, word in enumerate(text.split())
    )


def scene(
    seconds: float,
    look: Look | None = lambda _: {},
    voice: Voice | None = None,
    words: tuple[Word, ...] | None = None,
) -> Observations:
    """Return what is seen and heard; `look` says how the face is at a moment, None for no face, or no picture."""
    sampled = [number / FRAMES for number in range(round(seconds * FRAMES))] if look else []
    looks = [(at, look(at)) for at in sampled] if look else []
    faces = tuple(face(at, **how) for at, how in looks if how is not None)
    return Observations(seconds, tuple(sampled), faces, voice, words)


def after(moment: float, *, until: float = math.inf, **look: Any) -> Look:
    """Return a face at rest that looks differently after a moment."""
    return lambda at: dict(look) if moment <= at < until else {}


def cut(observations: Observations, at: Iterable[float]) -> list[tuple[float, Observations]]:
    """Cut a scene into segments, each with its own clock, as perception would have told them."""
    edges = [0.0, *sorted(at), observations.duration]
    pieces = []
    for start, end in pairwise(edges):
        low, high = round(start * TICKS), round(end * TICKS)
        voice = observations.voice
        pieces.append(
            (
                start,
                Observations(
                    duration=end - start,
                    sampled=tuple(t - start for t in observations.sampled if start <= t < end),
                    faces=tuple(
                        FaceFrame(
                            f.at - start,
                            f.blendshapes,
                            f.yaw,
                            f.pitch,
                            f.roll,
                            f.gaze,
                            f.size,
                            f.center,
                            f.expression,
                        )
                        for f in observations.faces
                        if start <= f.at < end
                    ),
                    voice=voice
                    and Voice(
                        voice.speech[low:high],
                        voice.level[low:high],
                        voice.pitch[low:high],
                        tuple(t - start for t in voice.syllables if start <= t < end),
                    ),
                    words=None
                    if observations.words is None
                    else tuple(
                        Word(w.start - start, w.end - start, w.text, w.probability)
                        for w in observations.words
                        if start <= w.start < end
                    ),
                ),
            )
        )
    return pieces


def interpret(
    observations: Observations, at: Iterable[float] = (), **options: Any
) -> tuple[list[Finding], Interpreter]:
    """Return all findings of a scene, and the interpreter that is finished with it."""
    interpreter = Interpreter(**options)
    found: list[Finding] = []
    for offset, segment in cut(observations, at):
        found += interpreter.feed(offset, segment)
    return found + interpreter.finish(), interpreter


def look_at(observations: Observations, seconds: float = 8.0) -> Window:
    """Return the last window of a scene, against the baseline of all that came before."""
    rules = default_rules()
    tracks, baseline = Tracks(), Baseline(rules.baseline, rules.window.face_share)
    tracks.extend(0.0, observations, face=True, voice=True, words=True)
    for start in range(0, tracks.end, 3000):
        baseline.take(tracks.slice(start, min(start + 3000, tracks.end)))
    return Window(
        tracks.slice(max(0, tracks.end - round(seconds * 1000)), tracks.end), baseline, rules
    )
