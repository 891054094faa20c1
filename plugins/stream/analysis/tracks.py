"""What was seen and heard, on the clock of the whole session: segments come in, slices of time go out.

The clock counts whole milliseconds of accepted media, so that a moment is the same number however the media was cut
into segments. Only what a window can still ask for is kept.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.errors import AnalysisFailed
from plugins.stream.analysis.observations import BLENDSHAPES, EXPRESSIONS, VOICE_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugins.stream.analysis.observations import FaceFrame, Observations, Voice, Word

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

SECOND = 1000
"""Units of the session's clock in a second."""

VOICE_TICK = round(VOICE_STEP * SECOND)
"""Milliseconds between two values of the voice."""

LONGEST_SESSION = 86_400
"""Seconds of media after which something must be wrong with the times: a session ends after one hour."""

OVERLAP = 2.0
"""Seconds that a segment may begin before the last one ended; what was decided on already is dropped."""

LIMIT = 1e6
"""Larger than any degree, Hz or dB: numbers beyond it are cut, so that arithmetic stays finite."""

UNKNOWN = -1
"""Speech where there was no sound track."""

CHANNELS = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "brow_lowering": ("browDownLeft", "browDownRight"),
    "brow_raise": ("browInnerUp",),
    "brow_left": ("browOuterUpLeft",),
    "brow_right": ("browOuterUpRight",),
    "eyes_wide": ("eyeWideLeft", "eyeWideRight"),
    "eye_squint": ("eyeSquintLeft", "eyeSquintRight"),
    "mouth_press": ("mouthPressLeft", "mouthPressRight"),
    "mouth_stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "chin_raise": ("mouthShrugLower",),
    "jaw_open": ("jawOpen",),
    "look_down": ("eyeLookDownLeft", "eyeLookDownRight"),
}
"""Means of blendshapes that are used, by the name of their channel; those that are dead in the model are not."""

POSES = ("yaw", "pitch", "roll", "gaze_x", "gaze_y", "size")
EYES_SHUT = "eyes_shut"
NEGATIVE = "negative"

COLUMNS = (*CHANNELS, *POSES, EYES_SHUT, NEGATIVE)
"""The columns of a track of faces, in order."""

_COLUMN = {name: number for number, name in enumerate(COLUMNS)}
_SHAPES = {name: number for number, name in enumerate(BLENDSHAPES)}
_MEANS = [[_SHAPES[shape] for shape in shapes] for shapes in CHANNELS.values()]
_BLINKS = (_SHAPES["eyeBlinkLeft"], _SHAPES["eyeBlinkRight"])
_NEGATIVE = [EXPRESSIONS.index(name) for name in ("sad", "angry", "fear", "disgust")]


class InvalidObservations(AnalysisFailed):
    """An analyzer gave observations that contradict themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """Hold the faces of some time: `times` (n) in milliseconds, `values` (n, COLUMNS).

    `negative`, the share of sad, angry, fearful and disgusted looks, is NaN where it was not looked at.
    """

    times: Integers
    values: Floats

    def __getitem__(self, name: str) -> Floats:
        """Return one column."""
        column: Floats = self.values[:, _COLUMN[name]]
        return column

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True, eq=False)
class VoiceTrack:
    """Hold the voice of some time, one value every VOICE_TICK from `start`; `speech` is UNKNOWN without sound."""

    start: int
    speech: Integers
    level: Floats
    pitch: Floats
    syllables: Integers

    def __len__(self) -> int:
        return len(self.speech)


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Hold one word on the session's clock."""

    start: int
    end: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Hold what was observed in [start, end) milliseconds; `words` is None where nobody listened for words."""

    start: int
    end: int
    sampled: Integers
    faces: FaceTrack
    voice: VoiceTrack
    words: tuple[SpokenWord, ...] | None

    @property
    def seconds(self) -> float:
        """Return the length in seconds."""
        return (self.end - self.start) / SECOND


class Tracks:
    """Join the observations of segments to tracks on one clock."""

    def __init__(self) -> None:
        self.end = 0
        self._sampled = np.empty(0, np.int64)
        self._times = np.empty(0, np.int64)
        self._faces = np.empty((0, len(COLUMNS)), np.float64)
        self._first_tick = 0
        self._speech = np.empty(0, np.int64)
        self._voice = np.empty((0, 2), np.float64)
        self._syllables = np.empty(0, np.int64)
        self._words: list[SpokenWord] = []
        self._listened = False

    def extend(
        self, offset: float, seen: Observations, *, face: bool, voice: bool, words: bool
    ) -> None:
        """Take the observations of a segment that begins at `offset` seconds, but for what is switched off.

        Raise InvalidObservations for times that cannot be, and leave the tracks as they were.
        """
        try:
            self._check(offset, seen.duration)
            times, values = _face_rows(offset, seen.faces if face else ())
            sampled = np.union1d(_moments(offset, seen.sampled if face else ()), times)
            heard = seen.voice if voice else None
            sound = _sound(heard) if heard is not None else None
            syllables = _moments(offset, heard.syllables if heard is not None else ())
            spoken = [_word(offset, word) for word in (seen.words if words else None) or ()]
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise InvalidObservations(f"observations at {offset} s: {error}") from error

        end = max(self.end, _clock(offset + seen.duration))
        kept = self._within(times, end)
        self._times = np.concatenate([self._times, times[kept]])
        self._faces = np.concatenate([self._faces, values[kept]])
        self._sampled = np.concatenate([self._sampled, sampled[self._within(sampled, end)]])
        self._syllables = np.concatenate([self._syllables, syllables[self._within(syllables, end)]])
        if sound is not None:
            self._hear(_clock(offset) // VOICE_TICK, sound, end // VOICE_TICK)
        self._listened |= words and seen.words is not None
        self._words += sorted(
            (word for word in spoken if word and self.end <= word.start < end),
            key=lambda word: word.start,
        )
        self.end = end

    def slice(self, start: int, end: int) -> Slice:
        """Return what was observed in [start, end)."""
        frames = slice(*np.searchsorted(self._times, (start, end)))
        first, last = start // VOICE_TICK, end // VOICE_TICK
        low = min(max(first - self._first_tick, 0), len(self._speech))
        high = min(max(last - self._first_tick, 0), len(self._speech))
        return Slice(
            start=start,
            end=end,
            sampled=self._sampled[slice(*np.searchsorted(self._sampled, (start, end)))],
            faces=FaceTrack(self._times[frames], self._faces[frames]),
            voice=VoiceTrack(
                start=(self._first_tick + low) * VOICE_TICK,
                speech=self._speech[low:high],
                level=self._voice[low:high, 0],
                pitch=self._voice[low:high, 1],
                syllables=self._syllables[slice(*np.searchsorted(self._syllables, (start, end)))],
            ),
            words=self._spoken(start, end) if self._listened else None,
        )

    def forget(self, before: int) -> None:
        """Let go of what was observed before a time."""
        frames = int(np.searchsorted(self._times, before))
        self._times, self._faces = self._times[frames:].copy(), self._faces[frames:].copy()
        self._sampled = self._sampled[np.searchsorted(self._sampled, before) :].copy()
        self._syllables = self._syllables[np.searchsorted(self._syllables, before) :].copy()
        ticks = min(max(before // VOICE_TICK - self._first_tick, 0), len(self._speech))
        self._speech, self._voice = self._speech[ticks:].copy(), self._voice[ticks:].copy()
        self._first_tick += ticks
        self._words = [word for word in self._words if word.start >= before]

    def _spoken(self, start: int, end: int) -> tuple[SpokenWord, ...]:
        first, last = (
            bisect_left(self._words, moment, key=lambda word: word.start) for moment in (start, end)
        )
        return tuple(self._words[first:last])

    def _check(self, offset: float, duration: float) -> None:
        possible = math.isfinite(offset) and math.isfinite(duration) and min(offset, duration) >= 0
        if not possible or offset + duration > LONGEST_SESSION:
            raise InvalidObservations(f"{duration} s at {offset} s is no part of a session")
        if offset < self.end / SECOND - OVERLAP:
            raise InvalidObservations(f"{offset} s came after {self.end / SECOND} s")

    def _within(self, times: Integers, end: int) -> NDArray[np.bool_]:
        """Say which times lie in the new media: what lies before was decided on already."""
        within: NDArray[np.bool_] = (times >= self.end) & (times < end)
        return within

    def _hear(self, begin: int, sound: Floats, end: int) -> None:
        """Put the sound, (n, 3) of speech, level and pitch, on the grid of ticks, up to tick `end`."""
        have = self._first_tick + len(self._speech)
        new = sound[max(have - begin, 0) : max(end - begin, 0)]
        if not len(new):
            return
        gap = max(begin - have, 0)
        known = np.isfinite(new.sum(axis=1))
        self._speech = np.concatenate(
            [self._speech, np.full(gap, UNKNOWN), np.where(known, new[:, 0] > 0, UNKNOWN)]
        )
        self._voice = np.concatenate(
            [self._voice, np.zeros((gap, 2)), np.where(known[:, None], new[:, 1:], 0.0)]
        )


def _clock(seconds: float) -> int:
    return round(seconds * SECOND)


def _floats(values: tuple[float, ...]) -> Floats:
    return np.asarray(values, np.float64)


def _moments(offset: float, times: tuple[float, ...]) -> Integers:
    seconds = _floats(times)
    seconds = seconds[np.isfinite(seconds) & (np.abs(seconds) <= LONGEST_SESSION)]
    moments: Integers = np.unique(np.rint((offset + seconds) * SECOND).astype(np.int64))
    return moments


def _sound(heard: Voice) -> Floats:
    length = min(len(heard.speech), len(heard.level), len(heard.pitch))
    tracks = (heard.speech, heard.level, heard.pitch)
    return np.clip(np.column_stack([_floats(track[:length]) for track in tracks]), -LIMIT, LIMIT)


def _face_rows(offset: float, faces: tuple[FaceFrame, ...]) -> tuple[Integers, Floats]:
    """Return the faces in order of time, one a moment; a face with a number missing is none."""
    if not faces:
        return np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.float64)
    shapes = np.array([face.blendshapes for face in faces], np.float64)
    if shapes.shape[1] != len(BLENDSHAPES):
        raise InvalidObservations(f"{shapes.shape[1]} blendshapes are not {len(BLENDSHAPES)}")
    poses = [(f.yaw, f.pitch, f.roll, f.gaze[0], f.gaze[1], f.size, f.at) for f in faces]
    looks = [face.expression or (np.nan,) * len(EXPRESSIONS) for face in faces]
    pose, look = np.array(poses, np.float64), np.array(looks, np.float64)
    if look.shape[1] != len(EXPRESSIONS):
        raise InvalidObservations(f"{look.shape[1]} shares are not {len(EXPRESSIONS)} expressions")
    values = np.column_stack(
        [
            *(shapes[:, mean].mean(axis=1) for mean in _MEANS),
            pose[:, :-1],
            shapes[:, _BLINKS].min(axis=1),
            look[:, _NEGATIVE].sum(axis=1),
        ]
    )
    at = pose[:, -1]
    whole = np.isfinite(values[:, :-1]).all(axis=1) & (np.abs(at) <= LONGEST_SESSION)
    times, first = np.unique(
        np.rint((offset + at[whole]) * SECOND).astype(np.int64), return_index=True
    )
    return times, np.clip(values[whole][first], -LIMIT, LIMIT)


def _word(offset: float, word: Word) -> SpokenWord | None:
    numbers = (word.start, word.end, word.probability)
    if not isinstance(word.text, str) or not all(map(math.isfinite, numbers)):
        return None
    if max(map(abs, numbers)) > LONGEST_SESSION:
        return None
    start, end = _clock(offset + word.start), _clock(offset + word.end)
    return SpokenWord(start, max(start, end), word.text, word.probability)
