"""Follow the pitch of a voice with YIN (de Cheveigné & Kawahara 2002, JASA 111(4))."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.sound import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Hz between which voices are looked for: low men's speech to excited women's and children's.
LOWEST, HIGHEST = 65.0, 450.0
#: Samples between two values (10 ms) and in the window that is compared (40 ms).
_HOP = RATE // 100
_WINDOW = RATE // 25
#: YIN's absolute threshold (0.1 to 0.15 in the paper), and the aperiodicity above which nothing is voiced.
_THRESHOLD = 0.15
_UNVOICED = 0.3
#: Mean power under which there is nothing to hear (-60 dB), and the bend under which a minimum has no place.
_SILENT = 1e-6
_FLAT = 1e-9
#: Pitches outside this range around the median are octave errors of the method, not the person's.
_PLAUSIBLE = (0.6, 1.67)
#: Values that are worked on at once: memory stays flat for media of any length.
_BLOCK = 512


def track_pitch(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the pitch in Hz every 10 ms, 0 where nothing is voiced, of 16 kHz mono sound.

    Its length is that of `speech.step_count`; a value belongs to the middle of its step.
    """
    count = len(samples) // _HOP
    longest = int(RATE / LOWEST)
    length = _WINDOW + longest
    before = (length - _HOP) // 2
    padded = np.concatenate((np.zeros(before, np.float32), samples, np.zeros(length, np.float32)))
    views = np.lib.stride_tricks.sliding_window_view(padded, length)[::_HOP][:count]
    blocks = [_yin(views[at : at + _BLOCK], longest) for at in range(0, count, _BLOCK)]
    pitch = np.concatenate(blocks) if blocks else np.zeros(0)
    voiced = pitch > 0
    if voiced.any():
        middle = float(np.median(pitch[voiced]))
        low, high = _PLAUSIBLE
        pitch[(pitch < low * middle) | (pitch > high * middle)] = 0
    return pitch


def _yin(frames: NDArray[np.float32], longest: int) -> NDArray[np.float64]:
    """Return the pitch of each row."""
    frames = frames.astype(np.float64)
    rows = np.arange(len(frames))
    size = 1 << int(np.ceil(np.log2(frames.shape[1] + _WINDOW)))
    spectrum = np.fft.rfft(frames, size, axis=1)
    window = np.fft.rfft(frames[:, :_WINDOW], size, axis=1)
    correlation = np.fft.irfft(spectrum * np.conj(window), size, axis=1)[:, : longest + 1]
    power = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    power = power[:, _WINDOW : _WINDOW + longest + 1] - power[:, : longest + 1]
    # Equations 7 and 8 of the paper: the difference function and its cumulative mean.
    difference = np.maximum(power[:, :1] + power - 2 * correlation, 0)
    sums = np.cumsum(difference[:, 1:], axis=1)
    normal = np.ones_like(difference)
    normal[:, 1:] = difference[:, 1:] * np.arange(1, longest + 1) / np.maximum(sums, 1e-9)

    shortest = int(RATE / HIGHEST)
    searched = normal[:, shortest:longest]
    below = searched < _THRESHOLD
    place = np.where(below.any(axis=1), below.argmax(axis=1), searched.argmin(axis=1))
    for _ in range(shortest):
        after = np.minimum(place + 1, searched.shape[1] - 1)
        lower = searched[rows, after] < searched[rows, place]
        if not lower.any():
            break
        place = np.where(lower, after, place)
    aperiodicity = searched[rows, place]
    lag = place + shortest
    left, here, right = normal[rows, lag - 1], normal[rows, lag], normal[rows, lag + 1]
    bend = left - 2 * here + right
    flat = np.abs(bend) < _FLAT
    shift = np.where(flat, 0, (left - right) / 2 / np.where(flat, 1, bend))
    pitch: NDArray[np.float64] = RATE / (lag + np.clip(shift, -1, 1))
    silent = power[:, 0] < _SILENT * _WINDOW
    pitch[(aperiodicity > _UNVOICED) | silent] = 0
    return pitch
