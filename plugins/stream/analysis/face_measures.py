"""Measures of face, head and gaze: most are the share of a window's frames in which something was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.gestures import (
    LONGEST_GAP,
    angular_speed,
    blink_times,
    closed_frames,
    gesture_times,
)
from plugins.stream.analysis.reading import Measure, Reading, clock
from plugins.stream.analysis.tracks import NEGATIVE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plugins.stream.analysis.rules import CueRule
    from plugins.stream.analysis.tracks import FaceTrack
    from plugins.stream.analysis.windows import Window

    Frames = NDArray[np.bool_] | None

EXPRESSIVE = ("brow_lowering", "brow_raise", "eye_squint", "mouth_press", "jaw_open")
"""Channels whose deviations make a face lively or still; the smile is not among them, it speaks for itself."""

CRYING = 0.5
"""Share of negative expressions from which a drawn mouth is no smile: blendshapes read crying as smiling."""

SMILING = 0.2
"""Of the smile's blendshapes, from which it narrows the eyes."""

SEEN_SIDEWAYS = 15.0
"""Degrees of yaw or roll from which brows look uneven because the head is turned."""

LOOK_HOLDS = 1_000
"""Milliseconds for which a look at the expression holds: it is looked at twice a second."""

ONSET = 1_000
"""Milliseconds before a phrase in which parted lips wait for it."""

BLINKS_AT_REST = 15.0
"""Blinks a minute that are taken as usual at least: ten seconds are short to count them in."""

LONG_ENOUGH = 4.0
"""Seconds of face below which rates and deviations say nothing."""


def share_of(window: Window, frames: Frames) -> Reading | None:
    """Return the share of the sampled frames in which something was there, since the first of them."""
    if frames is None or window.faces is None:
        return None
    times = window.faces.times[frames]
    sampled = max(len(window.seen.sampled), len(window.faces))
    return Reading(len(times) / sampled, int(times[0]) if len(times) else window.seen.start)


def _smiles(window: Window, level: float) -> Frames:
    """Say where a smile is; the smile of somebody who cries is none."""
    if window.faces is None:
        return None
    return (window.faces["smile"] >= level) & ~(_looks(window.faces) >= CRYING)


def _looks(faces: FaceTrack) -> NDArray[np.float64]:
    """Return the share of negative expressions in each frame, NaN where nobody looked lately."""
    looked = np.flatnonzero(np.isfinite(faces[NEGATIVE]))
    if not len(looked):
        return faces[NEGATIVE]
    last = looked[np.maximum(np.searchsorted(looked, np.arange(len(faces)), "right") - 1, 0)]
    fresh = np.abs(faces.times - faces.times[last]) <= LOOK_HOLDS
    return np.where(fresh, faces[NEGATIVE][last], np.nan)


def _above(channel: str) -> Callable[[Window, CueRule], Reading | None]:
    def read(window: Window, cue: CueRule) -> Reading | None:
        deviation = window.deviation(channel)
        return share_of(window, None if deviation is None else deviation >= cue.level)

    return read


def _smile(window: Window, cue: CueRule) -> Reading | None:
    return share_of(window, _smiles(window, cue.level))


def _frowning_smile(window: Window, cue: CueRule) -> Reading | None:
    lowered, smiles = window.deviation("brow_lowering"), _smiles(window, cue.level)
    if lowered is None or smiles is None:
        return None
    least = window.rules.cues["brow_lowering"].level if "brow_lowering" in window.rules.cues else 0
    return share_of(window, smiles & (lowered >= least))


def _brow_one_sided(window: Window, cue: CueRule) -> Reading | None:
    left, right = window.deviation("brow_left"), window.deviation("brow_right")
    yaw, roll = window.deviation("yaw"), window.deviation("roll")
    if left is None or right is None or yaw is None or roll is None:
        return None
    frontal = (np.abs(yaw) < SEEN_SIDEWAYS) & (np.abs(roll) < SEEN_SIDEWAYS)
    return share_of(window, frontal & (np.abs(left - right) >= cue.level))


def _eye_squint(window: Window, cue: CueRule) -> Reading | None:
    # A smile narrows the eyes, too, and says nothing else by it.
    squint, smiles = window.deviation("eye_squint"), _smiles(window, SMILING)
    if squint is None or smiles is None:
        return None
    return share_of(window, (squint >= cue.level) & ~smiles)


def _lips_parted(window: Window, cue: CueRule) -> Reading | None:
    opened = window.deviation("jaw_open")
    if opened is None or window.faces is None or not window.heard:
        return None
    waiting = np.zeros(len(window.faces), np.bool_)
    for start, end in window.turns.pauses:
        waiting |= (window.faces.times >= max(start, end - ONSET)) & (window.faces.times < end)
    return share_of(window, waiting & (opened >= cue.level))


def _eyes_closed(window: Window, cue: CueRule) -> Reading | None:
    if window.faces is None:
        return None
    return share_of(window, closed_frames(window.faces, cue.level))


def _blink_rate(window: Window, _: CueRule) -> Reading | None:
    faces, usual = window.faces, window.baseline.face
    if faces is None or usual is None or _seconds(faces) < LONG_ENOUGH:
        return None
    blinks = blink_times(faces)
    rate = len(blinks) / _seconds(faces) * 60 - max(usual.blinks, BLINKS_AT_REST)
    return Reading(rate, blinks[0] if blinks else window.seen.start)


def _negative_expression(window: Window, cue: CueRule) -> Reading | None:
    if window.faces is None or not np.isfinite(window.faces[NEGATIVE]).any():
        return None
    return share_of(window, _looks(window.faces) >= cue.level)


def _liveliness(window: Window, _: CueRule) -> Reading | None:
    faces = window.faces
    if faces is None or _seconds(faces) < LONG_ENOUGH:
        return None
    value = float(np.mean([faces[channel].std() for channel in EXPRESSIVE]))
    return Reading(value, int(faces.times[0]))


def _face_absent(window: Window, _: CueRule) -> Reading | None:
    sampled, first = window.seen.sampled, window.baseline.face_since
    if not len(sampled) or first is None:
        return None
    # Who has not come yet has not left.
    absent = np.setdiff1d(sampled[sampled > first], window.seen.faces.times)
    since = int(absent[0]) if len(absent) else window.seen.start
    return Reading(len(absent) / len(sampled), since)


def _gaze_away(window: Window, _: CueRule) -> Reading | None:
    return share_of(window, window.away)


def _gaze_held(window: Window, _: CueRule) -> Reading | None:
    return share_of(window, None if window.away is None else ~window.away)


def _turned(channel: str) -> Callable[[Window, CueRule], Reading | None]:
    def read(window: Window, cue: CueRule) -> Reading | None:
        deviation = window.deviation(channel)
        return share_of(window, None if deviation is None else np.abs(deviation) >= cue.level)

    return read


def _leaning(direction: float) -> Callable[[Window, CueRule], Reading | None]:
    def read(window: Window, cue: CueRule) -> Reading | None:
        change, usual = window.deviation("size"), window.baseline.face
        if change is None or usual is None or usual.medians["size"] <= 0:
            return None
        return share_of(window, direction * change / usual.medians["size"] >= cue.level)

    return read


def _gestures(axis: str, other: str) -> Callable[[Window, CueRule], Reading | None]:
    def read(window: Window, _: CueRule) -> Reading | None:
        if window.faces is None:
            return None
        found = gesture_times(window.faces, axis, other, window.rules.gesture)
        note = f"at {', '.join(map(clock, found))} s" if found else ""
        return Reading(float(len(found)), found[0] if found else window.seen.start, note)

    return read


def _head_motion(window: Window, cue: CueRule) -> Reading | None:
    usual = window.baseline.face
    speed = _steady_head(window, cue)
    if usual is None or speed is None:
        return None
    return Reading(speed.value - usual.speed, speed.since)


def _steady_head(window: Window, _: CueRule) -> Reading | None:
    if window.faces is None:
        return None
    speeds = angular_speed(window.faces)
    return Reading(float(speeds.mean()), int(window.faces.times[0])) if len(speeds) else None


def _seconds(faces: FaceTrack) -> float:
    steps = np.diff(faces.times)
    return float(steps[steps <= LONGEST_GAP].sum()) / SECOND


FACE_MEASURES = {
    "smile": Measure("face", relative=False, read=_smile),
    "frowning_smile": Measure("face", relative=True, read=_frowning_smile),
    "brow_lowering": Measure("face", relative=True, read=_above("brow_lowering")),
    "brow_raise": Measure("face", relative=True, read=_above("brow_raise")),
    "brow_one_sided": Measure("face", relative=True, read=_brow_one_sided),
    "eyes_wide": Measure("face", relative=True, read=_above("eyes_wide")),
    "eye_squint": Measure("face", relative=True, read=_eye_squint),
    "mouth_press": Measure("face", relative=True, read=_above("mouth_press")),
    "mouth_stretch": Measure("face", relative=True, read=_above("mouth_stretch")),
    "chin_raise": Measure("face", relative=True, read=_above("chin_raise")),
    "lips_parted": Measure("face", relative=True, read=_lips_parted),
    "eyes_closed": Measure("face", relative=False, read=_eyes_closed),
    "blink_rate": Measure("face", relative=True, read=_blink_rate),
    "negative_expression": Measure("face", relative=False, read=_negative_expression),
    "expressive": Measure("face", relative=False, read=_liveliness),
    "still_face": Measure("face", relative=False, read=_liveliness),
    "face_absent": Measure("face", relative=False, read=_face_absent),
    "gaze_away": Measure("face", relative=True, read=_gaze_away),
    "gaze_held": Measure("face", relative=True, read=_gaze_held),
    "head_turned": Measure("face", relative=True, read=_turned("yaw")),
    "head_tilt": Measure("face", relative=True, read=_turned("roll")),
    "lean_in": Measure("face", relative=True, read=_leaning(1.0)),
    "lean_back": Measure("face", relative=True, read=_leaning(-1.0)),
    "nods": Measure("face", relative=False, read=_gestures("pitch", "yaw")),
    "shakes": Measure("face", relative=False, read=_gestures("yaw", "pitch")),
    "head_motion": Measure("face", relative=True, read=_head_motion),
    "steady_head": Measure("face", relative=False, read=_steady_head),
}
"""Every measure of face, head and gaze, by the name that the table of rules knows."""
