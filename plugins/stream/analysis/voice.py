"""Describe the voice in a segment's sound: where it speaks, how loud, how high, and its syllables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.observations import VOICE_STEP, Voice
from plugins.stream.analysis.pitch import track_pitch
from plugins.stream.analysis.sound import RATE
from plugins.stream.analysis.speech import STEP, SpeechDetector, step_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Level of digital silence, in dB relative to full scale.
FLOOR = -100.0
#: Samples over which the level is measured: 25 ms.
_LEVEL_WINDOW = RATE // 40
# Syllable nuclei (de Jong & Wempe 2009, Behavior Research Methods 41): peaks of the level that rise above its 98th
# percentile less 25 dB, with a dip of 2 dB between two, in voiced speech; not closer than 80 ms.
_SMOOTHED = 5  # steps
_BELOW_LOUDEST = 25.0  # dB
_DIP = 2.0  # dB
_APART = 8  # steps
_VOICED_NEARBY = 2  # steps


class VoiceReader:
    """Read the voice in one sound after another."""

    def __init__(self) -> None:
        self._speech = SpeechDetector()

    def listen(self, samples: NDArray[np.float32]) -> Voice:
        """Describe the voice in 16 kHz mono sound; all tracks have the same length."""
        level = track_level(samples)
        speech = self._speech.track(samples)
        pitch = np.where(speech, track_pitch(samples), 0.0)
        return Voice(
            speech=tuple(int(value) for value in speech),
            level=tuple(round(float(value), 1) for value in level),
            pitch=tuple(round(float(value), 1) for value in pitch),
            syllables=tuple(
                round(place * VOICE_STEP, 2) for place in find_syllables(level, speech, pitch)
            ),
        )


def track_level(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the level every 10 ms in dB relative to full scale, FLOOR for silence."""
    count = step_count(samples)
    around = (_LEVEL_WINDOW - STEP) // 2
    power = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    starts = np.clip(np.arange(count) * STEP - around, 0, None)
    ends = np.clip(np.arange(count) * STEP + STEP + around, None, len(samples))
    mean = (power[ends] - power[starts]) / np.maximum(ends - starts, 1)
    level: NDArray[np.float64] = 10 * np.log10(np.maximum(mean, 10 ** (FLOOR / 10)))
    return level


def find_syllables(
    level: NDArray[np.float64], speech: NDArray[np.bool_], pitch: NDArray[np.float64]
) -> list[int]:
    """Return the steps at which syllables have their nuclei."""
    if len(level) < _SMOOTHED or not speech.any():
        return []
    smooth = np.convolve(
        np.pad(level, _SMOOTHED // 2, "edge"), np.ones(_SMOOTHED) / _SMOOTHED, "valid"
    )
    least = np.percentile(smooth[speech], 98) - _BELOW_LOUDEST
    nuclei: list[int] = []
    for at in range(1, len(smooth) - 1):
        if not (smooth[at] >= smooth[at - 1] and smooth[at] > smooth[at + 1]):
            continue
        if smooth[at] < least or not speech[at]:
            continue
        if not (pitch[max(0, at - _VOICED_NEARBY) : at + _VOICED_NEARBY + 1] > 0).any():
            continue
        if not nuclei:
            nuclei.append(at)
            continue
        last = nuclei[-1]
        dip = min(smooth[last], smooth[at]) - smooth[last:at].min()
        if dip >= _DIP and at - last >= _APART:
            nuclei.append(at)
        elif smooth[at] > smooth[last]:
            nuclei[-1] = at
    return nuclei
