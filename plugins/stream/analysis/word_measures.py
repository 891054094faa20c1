"""Measures of the words: how often something of a list was said, and what was said twice."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from plugins.stream.analysis.reading import Measure, Reading, clock

if TYPE_CHECKING:
    from plugins.stream.analysis.rules import CueRule
    from plugins.stream.analysis.tracks import SpokenWord
    from plugins.stream.analysis.windows import Window

AROUND_WORDS = " \t\n.,;:!?\"'()[]-\N{HORIZONTAL ELLIPSIS}\N{EN DASH}\N{EM DASH}“”\N{LEFT SINGLE QUOTATION MARK}"
"""What a recogniser puts around a word."""

AT_ONCE = 1_000
"""Milliseconds within which the same word again is a repeat."""

NEGATIONS = {
    "no",
    "not",
    "never",
    "don't",
    "doesn't",
    "didn't",
    "isn't",
    "can't",
    "cannot",
    "won't",
}
"""Words that turn what follows: “don't agree” is no agreement. A phrase of the table may begin with one."""

TOLD = 4
"""Words that a note quotes."""


def _said(window: Window) -> list[tuple[str, SpokenWord]] | None:
    """Return the words that were recognised well enough, as they stand in the table, None without recognition."""
    if window.seen.words is None:
        return None
    least = window.rules.speech.word
    plain = ((_plain(word.text), word) for word in window.seen.words if word.probability >= least)
    return [(text, word) for text, word in plain if text]


def _plain(text: str) -> str:
    return text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip(AROUND_WORDS).lower()


def _reading(window: Window, found: list[tuple[str, int]]) -> Reading:
    note = ", ".join(f"“{text}” at {clock(start)} s" for text, start in found[:TOLD])
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return Reading(float(len(found)), found[0][1] if found else window.seen.start, note + more)


def _phrases(window: Window, cue: CueRule) -> Reading | None:
    said = _said(window)
    if said is None:
        return None
    phrases = sorted((phrase.split() for phrase in cue.words), key=len, reverse=True)
    found = []
    position = 0
    while position < len(said):
        for phrase in phrases:
            if [text for text, _ in said[position : position + len(phrase)]] == phrase:
                if not (position and said[position - 1][0] in NEGATIONS):
                    found.append((" ".join(phrase), said[position][1].start))
                position += len(phrase)
                break
        else:
            position += 1
    return _reading(window, found)


def _repeats(window: Window, _: CueRule) -> Reading | None:
    said = _said(window)
    if said is None:
        return None
    found = [
        (text, word.start)
        for (before, previous), (text, word) in pairwise(said)
        if text == before and word.start - previous.end <= AT_ONCE
    ]
    return _reading(window, found)


WORD_MEASURES = {
    "phrases": Measure("words", relative=False, read=_phrases),
    "repeats": Measure("words", relative=False, read=_repeats),
}
"""Every measure of the words, by the name that the table of rules knows."""
