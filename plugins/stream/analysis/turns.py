"""Who speaks when: the runs of speech in a slice of time, and the pauses inside a turn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.tracks import SECOND, VOICE_TICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plugins.stream.analysis.rules import SpeechRule
    from plugins.stream.analysis.tracks import VoiceTrack

SHORTEST_SPEECH = 100
"""Milliseconds: shorter than any syllable, so it was a click."""

OCTAVE_ERRORS = (0.6, 1.67)
"""Times the median: a pitch outside is a halved or doubled one, the usual error of pitch trackers."""

SEMITONES = 12.0
"""Semitones in an octave."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Hold runs of speech, split by pauses only, and the pauses between them; (start, end) in milliseconds.

    `span` is the length of all turns in seconds, pauses included; a gap that ends a turn is in none. `spoken` is the
    length of the speech alone.
    """

    phrases: tuple[tuple[int, int], ...]
    pauses: tuple[tuple[int, int], ...]
    span: float
    spoken: float


def find_turns(voice: VoiceTrack, rule: SpeechRule) -> Turns:
    """Find the phrases of a voice, the pauses between them and the length of the turns."""
    begin = voice.start
    runs = [
        (begin + first * VOICE_TICK, begin + last * VOICE_TICK)
        for first, last in runs_of(voice.speech > 0)
        if (last - first) * VOICE_TICK >= SHORTEST_SPEECH
    ]
    phrases: list[tuple[int, int]] = []
    for start, end in runs:
        if phrases and start - phrases[-1][1] < rule.pause * SECOND:
            phrases[-1] = (phrases[-1][0], end)
        else:
            phrases.append((start, end))
    gaps = [(left[1], right[0]) for left, right in pairwise(phrases)]
    pauses = [gap for gap in gaps if gap[1] - gap[0] <= rule.turn * SECOND]
    total = sum(end - start for start, end in (*phrases, *pauses)) / SECOND
    spoken = sum(end - start for start, end in runs) / SECOND
    return Turns(tuple(phrases), tuple(pauses), total, spoken)


def runs_of(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield (first, after last) of each run of True."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    yield from zip(starts.tolist(), ends.tolist(), strict=True)


def semitones(voice: VoiceTrack) -> NDArray[np.float64]:
    """Return the pitch of the voiced speech in semitones over 1 Hz, without octave errors."""
    voiced: NDArray[np.float64] = voice.pitch[(voice.speech > 0) & (voice.pitch > 0)]
    if not len(voiced):
        return voiced
    low, high = np.median(voiced) * np.array(OCTAVE_ERRORS)
    pitch: NDArray[np.float64] = SEMITONES * np.log2(voiced[(voiced > low) & (voiced < high)])
    return pitch
