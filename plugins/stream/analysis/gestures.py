"""What moves: nods and shakes of the head, its speed, and blinks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.tracks import EYES_SHUT, SECOND
from plugins.stream.analysis.turns import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plugins.stream.analysis.rules import GestureRule
    from plugins.stream.analysis.tracks import FaceTrack

    Floats = NDArray[np.float64]

GRID = 100
"""Milliseconds between two values of a head track: ten frames are sampled a second."""

LONGEST_GAP = 350
"""Milliseconds without a face over which nothing is assumed about the head."""

SHORTEST_TRACK = 1_000
"""Milliseconds in which a gesture of the slowest kind goes once to and fro."""

NEIGHBOURHOOD = 5
"""Values to both sides of a swing in which the other axis is compared: half a second."""

SHUT = 0.5
"""Blendshape of both eyes from which they are shut: what blinks of real clips were counted with."""

LONGEST_BLINK = 500
"""Milliseconds: eyes that are shut longer do not blink."""


def gesture_times(track: FaceTrack, axis: str, other: str, rule: GestureRule) -> list[int]:
    """Return when the head swung forth and back about an axis, in milliseconds.

    A gesture is a downward (or leftward) swing in the band of `rule` that a swing to the other side precedes or
    follows within one period of the slowest gesture, both of its amplitude, and both dominating the other axis.
    """
    found: list[int] = []
    for first, last in _unbroken(track.times):
        begin, end = int(track.times[first]), int(track.times[last - 1])
        if end - begin < SHORTEST_TRACK:
            continue
        grid = np.arange(begin, end + 1, GRID)
        moving, still = (
            _band(np.interp(grid, track.times[first:last], track[name][first:last]), rule)
            for name in (axis, other)
        )
        lows = _swings(-moving, still, rule)
        highs = _swings(moving, still, rule)
        reach = SECOND / rule.slowest / GRID
        found += [
            int(grid[low]) for low in lows if any(0 < abs(low - high) <= reach for high in highs)
        ]
    return found


def angular_speed(track: FaceTrack) -> Floats:
    """Return how fast the head turns between neighbouring frames, in degrees a second."""
    steps = np.diff(track.times)
    near = (steps > 0) & (steps <= LONGEST_GAP)
    angles = np.hypot(np.diff(track["yaw"]), np.diff(track["pitch"]))
    speeds: Floats = angles[near] / (steps[near] / SECOND)
    return speeds


def blink_times(track: FaceTrack) -> list[int]:
    """Return when blinks began, in milliseconds."""
    return [start for start, end in _shut(track) if end - start < LONGEST_BLINK]


def closed_frames(track: FaceTrack, level: float) -> NDArray[np.bool_]:
    """Say in which frames the eyes are shut for longer than a blink."""
    closed = np.zeros(len(track), np.bool_)
    for first, last in runs_of(track[EYES_SHUT] > level):
        if track.times[last - 1] - track.times[first] >= LONGEST_BLINK:
            closed[first:last] = True
    return closed


def _shut(track: FaceTrack) -> Iterator[tuple[int, int]]:
    times = track.times
    for first, last in runs_of(track[EYES_SHUT] > SHUT):
        # Eyes that were shut when the track began did not blink in it.
        if first > 0:
            yield int(times[first]), int(times[last - 1])


def _unbroken(times: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    breaks = np.flatnonzero(np.diff(times) > LONGEST_GAP) + 1
    edges = [0, *breaks.tolist(), len(times)]
    yield from pairwise(edges)


def _band(values: Floats, rule: GestureRule) -> Floats:
    """Keep what moves within the band, by the Fourier transform of the track and its mirror image."""
    mirrored = np.concatenate([values, values[::-1]])
    spectrum = np.fft.rfft(mirrored - mirrored.mean())
    frequency = np.fft.rfftfreq(len(mirrored), GRID / SECOND)
    spectrum[(frequency < rule.slowest) | (frequency > rule.fastest)] = 0
    kept: Floats = np.fft.irfft(spectrum, len(mirrored))[: len(values)]
    return kept


def _swings(moving: Floats, still: Floats, rule: GestureRule) -> list[int]:
    found = []
    for index in range(1, len(moving) - 1):
        value = moving[index]
        if value < rule.amplitude or value < moving[index - 1] or value <= moving[index + 1]:
            continue
        near = slice(max(0, index - NEIGHBOURHOOD), index + NEIGHBOURHOOD + 1)
        if np.linalg.norm(moving[near]) > rule.dominance * np.linalg.norm(still[near]):
            found.append(index)
    return found
