"""Measures of the voice: who speaks how long, how fluently, how fast, how high and how loud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugins.stream.analysis.reading import Measure, Reading, clock
from plugins.stream.analysis.tracks import SECOND, UNKNOWN, VOICE_TICK
from plugins.stream.analysis.turns import SEMITONES, semitones

if TYPE_CHECKING:
    from plugins.stream.analysis.rules import CueRule
    from plugins.stream.analysis.windows import Window

SHORTEST_TURN = 2.0
"""Seconds of turn below which a rate of syllables says nothing."""

LONG_TURN = 4.0
"""Seconds of turn below which a rate of pauses says nothing: a single one would weigh too much."""

LEAST_SPEECH = 1.0
"""Seconds of speech below which the voice says nothing about its owner."""

LEAST_VOICED = 50
"""Voiced values, half a second, below which there is no pitch to speak of."""

SYLLABLES_PER_WORD = 1.4
"""Of English speech; used where words were recognised and no syllables found."""

PHRASE_END = 500
"""Milliseconds at the end of a phrase in which its melody rises or falls."""

LEAST_MELODY = 15
"""Voiced values at the end of a phrase below which it has no melody."""

MINUTE = 60


def _speaks(window: Window) -> bool:
    turns = window.turns
    return window.heard and turns.spoken >= LEAST_SPEECH and turns.span >= SHORTEST_TURN


def _since(window: Window) -> int:
    phrases = window.turns.phrases
    return phrases[0][0] if phrases else window.seen.start


def _speaking(window: Window, _: CueRule) -> Reading | None:
    if not window.heard:
        return None
    return Reading(min(1.0, window.turns.spoken / window.seen.seconds), _since(window))


def _silence(window: Window, _: CueRule) -> Reading | None:
    if not window.heard:
        return None
    known = window.seen.voice.speech != UNKNOWN
    silent = 1 - window.turns.spoken / (known.sum() * VOICE_TICK / SECOND)
    return Reading(max(0.0, float(silent)), window.seen.start)


def _pauses(window: Window, _: CueRule) -> Reading | None:
    if not _speaks(window) or window.turns.span < LONG_TURN:
        return None
    pauses = window.turns.pauses
    count = f"{len(pauses) or 'no'} pause{'' if len(pauses) == 1 else 's'}"
    since = pauses[0][0] if pauses else _since(window)
    return Reading(len(pauses) / window.turns.span * MINUTE, since, count)


def _fluent_speech(window: Window, _: CueRule) -> Reading | None:
    if not _speaks(window) or window.turns.span < LONG_TURN:
        return None
    return Reading(min(1.0, window.turns.spoken / window.turns.span), _since(window))


def _speech_rate(window: Window, _: CueRule) -> Reading | None:
    if not _speaks(window):
        return None
    times = window.seen.voice.syllables
    edges = [edge for phrase in window.turns.phrases for edge in phrase]
    syllables = float((np.searchsorted(edges, times, "right") % 2 == 1).sum())
    if not syllables and window.seen.words:
        syllables = len(window.seen.words) * SYLLABLES_PER_WORD
    return Reading(syllables / window.turns.span, _since(window)) if syllables else None


def _pitch_spread(window: Window, _: CueRule) -> Reading | None:
    pitch = semitones(window.seen.voice)
    if not _speaks(window) or len(pitch) < LEAST_VOICED:
        return None
    return Reading(float(pitch.std()), _since(window))


def _pitch_spread_shift(window: Window, cue: CueRule) -> Reading | None:
    spread, usual = _pitch_spread(window, cue), window.baseline.voice
    if spread is None or usual is None:
        return None
    return Reading(spread.value - usual.spread, spread.since)


def _pitch_shift(window: Window, _: CueRule) -> Reading | None:
    pitch, usual = semitones(window.seen.voice), window.baseline.voice
    if usual is None or not _speaks(window) or len(pitch) < LEAST_VOICED:
        return None
    return Reading(float(np.median(pitch)) - usual.pitch, _since(window))


def _level_shift(window: Window, _: CueRule) -> Reading | None:
    voice, usual = window.seen.voice, window.baseline.voice
    if usual is None or not _speaks(window):
        return None
    return Reading(float(np.median(voice.level[voice.speech > 0])) - usual.level, _since(window))


def _pitch_rise(window: Window, cue: CueRule) -> Reading | None:
    if not _speaks(window):
        return None
    voice = window.seen.voice
    rises = []
    # The last phrase may go on after the window: only a pause shows that one ended.
    for _, end in window.turns.phrases[:-1]:
        last = (end - voice.start) // VOICE_TICK
        melody = voice.pitch[max(0, last - PHRASE_END // VOICE_TICK) : last]
        melody = melody[melody > 0]
        if len(melody) < LEAST_MELODY:
            continue
        third = len(melody) // 3
        rise = SEMITONES * np.log2(np.median(melody[-third:]) / np.median(melody[:third]))
        # An octave within half a syllable is a tracking error, no question.
        if cue.level <= rise < SEMITONES:
            rises.append(end)
    note = f"at {', '.join(map(clock, rises))} s" if rises else ""
    since = max(rises[0] - PHRASE_END, window.seen.start) if rises else window.seen.start
    return Reading(float(len(rises)), since, note)


VOICE_MEASURES = {
    "speaking": Measure("voice", relative=False, read=_speaking),
    "silence": Measure("voice", relative=False, read=_silence),
    "pauses": Measure("voice", relative=False, read=_pauses),
    "fluent_speech": Measure("voice", relative=False, read=_fluent_speech),
    "speech_rate": Measure("voice", relative=False, read=_speech_rate),
    "pitch_shift": Measure("voice", relative=True, read=_pitch_shift),
    "pitch_spread": Measure("voice", relative=False, read=_pitch_spread),
    "pitch_spread_shift": Measure("voice", relative=True, read=_pitch_spread_shift),
    "pitch_rise": Measure("voice", relative=False, read=_pitch_rise),
    "level_shift": Measure("voice", relative=True, read=_level_shift),
}
"""Every measure of the voice, by the name that the table of rules knows."""
