"""The person's own face, bearing and voice: what their cues are measured against.

People differ more than moods do: one man's resting brow reads as lowered, one woman's resting voice as raised. The
first seconds say what is usual for this person, later ones move it slowly, since chairs and microphones move too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.gestures import angular_speed, blink_times
from plugins.stream.analysis.tracks import (
    COLUMNS,
    NEGATIVE,
    SECOND,
    VOICE_TICK,
    FaceTrack,
    VoiceTrack,
)
from plugins.stream.analysis.turns import semitones

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugins.stream.analysis.reading import Modality
    from plugins.stream.analysis.rules import BaselineRule
    from plugins.stream.analysis.tracks import Slice

    Floats = NDArray[np.float64]

MIDDLE = {"yaw": 20.0, "pitch": 20.0, "roll": 15.0, "gaze_x": 0.1, "look_down": 0.4}
"""How far from straight ahead a resting pose is believed: who looks further away is not at rest, but elsewhere."""

LEAST_NEW_FACES = 10
"""Frames of face that a step needs to move the baseline."""

FRAME = 100
"""Milliseconds that one frame stands for: ten are sampled a second."""


@dataclass(frozen=True, slots=True)
class VoiceBaseline:
    """Hold a person's usual pitch and its spread (semitones) and their usual level (dB)."""

    pitch: float
    spread: float
    level: float

    def toward(self, other: VoiceBaseline, share: float) -> VoiceBaseline:
        """Return what lies a share of the way to another."""
        return VoiceBaseline(
            self.pitch + share * (other.pitch - self.pitch),
            self.spread + share * (other.spread - self.spread),
            self.level + share * (other.level - self.level),
        )


@dataclass(frozen=True, slots=True)
class FaceBaseline:
    """Hold a person's usual face: medians by channel, degrees a second of the head, blinks a minute."""

    medians: dict[str, float]
    speed: float
    blinks: float

    def toward(self, other: FaceBaseline, share: float) -> FaceBaseline:
        """Return what lies a share of the way to another."""
        medians = {
            name: value + share * (other.medians[name] - value)
            for name, value in self.medians.items()
        }
        return FaceBaseline(
            medians,
            self.speed + share * (other.speed - self.speed),
            self.blinks + share * (other.blinks - self.blinks),
        )


class Baseline:
    """Learn what is usual for the person, step by step.

    `face` and `voice` are None while too little was seen or heard of them. `face_since` is when a face came that
    stayed (milliseconds), None until then.
    """

    def __init__(self, rule: BaselineRule, face_share: float) -> None:
        self.face: FaceBaseline | None = None
        self.voice: VoiceBaseline | None = None
        self.face_since: int | None = None
        self._rule = rule
        self._face_share = face_share
        self._standing: set[Modality] = set()
        self._faces: list[FaceTrack] = []
        self._voices: list[VoiceTrack] = []

    def stands(self, modality: Modality) -> bool:
        """Say whether the first baseline of a modality is complete; words need none."""
        return modality == "words" or modality in self._standing

    def take(self, new: Slice) -> None:
        """Learn from media that was not taken before."""
        share = 1 - 0.5 ** (new.seconds / self._rule.half_life)
        over = new.end >= self._rule.seconds * SECOND
        # One stray detection is nobody.
        if len(new.faces) and len(new.faces) >= self._face_share * len(new.sampled):
            if self.face_since is None:
                self.face_since = int(new.faces.times[0])
            self._take_face(new.faces, share, over=over)
        self._take_voice(new.voice, share, over=over)

    def _take_face(self, faces: FaceTrack, share: float, *, over: bool) -> None:
        if "face" in self._standing and self.face is not None:
            if len(faces) >= LEAST_NEW_FACES:
                self.face = self.face.toward(_face_baseline([faces]), share)
            return
        # A copy: a view would keep the whole segment it was cut from.
        self._faces.append(FaceTrack(faces.times.copy(), faces.values.copy()))
        if sum(map(len, self._faces)) * FRAME >= self._rule.face * SECOND:
            self.face = _face_baseline(self._faces)
            if over:
                self._standing.add("face")
                self._faces.clear()

    def _take_voice(self, voice: VoiceTrack, share: float, *, over: bool) -> None:
        least = self._rule.speech * SECOND / VOICE_TICK
        pitch = semitones(voice)
        if "voice" in self._standing and self.voice is not None:
            if len(pitch) >= least:
                self.voice = self.voice.toward(_voice_baseline([voice]), share)
            return
        if not len(pitch):
            return
        self._voices.append(
            VoiceTrack(
                voice.start,
                voice.speech.copy(),
                voice.level.copy(),
                voice.pitch.copy(),
                voice.syllables.copy(),
            )
        )
        if sum(len(semitones(known)) for known in self._voices) >= least:
            self.voice = _voice_baseline(self._voices)
            if over:
                self._standing.add("voice")
                self._voices.clear()


def _face_baseline(tracks: list[FaceTrack]) -> FaceBaseline:
    values = np.concatenate([track.values for track in tracks])
    medians = {
        name: float(np.median(values[:, number]))
        for number, name in enumerate(COLUMNS)
        if name != NEGATIVE
    }
    for name, limit in MIDDLE.items():
        medians[name] = min(limit, max(-limit, medians[name]))
    speeds = np.concatenate([angular_speed(track) for track in tracks])
    minutes = len(values) * FRAME / SECOND / 60
    blinks = sum(len(blink_times(track)) for track in tracks)
    return FaceBaseline(medians, float(speeds.mean()) if len(speeds) else 0.0, blinks / minutes)


def _voice_baseline(tracks: list[VoiceTrack]) -> VoiceBaseline:
    pitch = np.concatenate([semitones(track) for track in tracks])
    level = np.concatenate([track.level[track.speech > 0] for track in tracks])
    return VoiceBaseline(float(np.median(pitch)), float(pitch.std()), float(np.median(level)))
