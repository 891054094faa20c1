"""One window: what was observed in it, against the person's own baseline, and the cues that were found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.measures import MEASURES
from plugins.stream.analysis.tracks import SECOND, UNKNOWN, VOICE_TICK
from plugins.stream.analysis.turns import Turns, find_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugins.stream.analysis.baseline import Baseline
    from plugins.stream.analysis.reading import Reading
    from plugins.stream.analysis.rules import CueRule, Rules
    from plugins.stream.analysis.tracks import FaceTrack, Slice

FEWEST_FACES = 5
"""Frames of face below which nothing is said about a face: half a second."""

SOUND_SHARE = 0.3
"""Of the window, for which there must be a sound track for the voice's evidence to count."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Hold a cue that could be measured in a window, and how strong it is (0 to 1)."""

    rule: CueRule
    reading: Reading
    strength: float

    def tell(self, seconds: float) -> str:
        """Return the cue in words, for a window of some seconds."""
        value = self.reading.value
        return self.rule.text.format(
            value=f"{value:.0f}" if value.is_integer() else f"{value:.{_digits(value)}f}",
            seconds=f"{value * seconds:.1f}",
            window=f"{seconds:g}",
            level=f"{self.rule.level:g}",
            note=self.reading.note,
        )


class Window:
    """Look at a slice of time as the measures of cues do."""

    def __init__(self, seen: Slice, baseline: Baseline, rules: Rules) -> None:
        self.seen = seen
        self.baseline = baseline
        self.rules = rules

    @cached_property
    def faces(self) -> FaceTrack | None:
        """Return the faces, or None where there are too few to say anything about a face."""
        faces, sampled = self.seen.faces, self.seen.sampled
        enough = len(faces) >= max(FEWEST_FACES, self.rules.window.face_share * len(sampled))
        return faces if enough else None

    def deviation(self, channel: str) -> NDArray[np.float64] | None:
        """Return how far a channel lies from the person's own in each frame, None while that is not known."""
        if self.faces is None or self.baseline.face is None:
            return None
        deviation: NDArray[np.float64] = self.faces[channel] - self.baseline.face.medians[channel]
        return deviation

    @cached_property
    def away(self) -> NDArray[np.bool_] | None:
        """Say in which frames the person looks away, None without a face."""
        if self.faces is None:
            return None
        rule, usual = self.rules.gaze, self.baseline.face
        limits = {
            "yaw": rule.yaw,
            "pitch": rule.pitch,
            "gaze_x": rule.iris,
            "look_down": rule.down,
        }
        away = np.zeros(len(self.faces), np.bool_)
        for channel, limit in limits.items():
            middle = usual.medians[channel] if usual else 0.0
            difference = self.faces[channel] - middle
            away |= (difference if channel == "look_down" else np.abs(difference)) > limit
        return away

    @cached_property
    def heard(self) -> bool:
        """Say whether there was a sound track for enough of the window."""
        known = int((self.seen.voice.speech != UNKNOWN).sum())
        return known > 0 and known * VOICE_TICK >= SOUND_SHARE * self.seen.seconds * SECOND

    @cached_property
    def turns(self) -> Turns:
        """Return the phrases and pauses."""
        return find_turns(self.seen.voice, self.rules.speech)

    @cached_property
    def cues(self) -> dict[str, Cue]:
        """Return every cue that could be measured, by name; those that were not there have no strength."""
        cues = {}
        for name, rule in self.rules.cues.items():
            reading = MEASURES[rule.measure].read(self, rule)
            if reading is not None:
                cues[name] = Cue(rule, reading, rule.strength(reading.value))
        return cues


def _digits(value: float) -> int:
    return 2 if abs(value) < 1 else 1
