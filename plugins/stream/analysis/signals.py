"""How much speaks for each signal in one window, and how that is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.stream.analysis.measures import MEASURES
from plugins.stream.analysis.reading import clock
from plugins.stream.analysis.tracks import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugins.stream.analysis.rules import SignalRule
    from plugins.stream.analysis.windows import Cue, Window

TOLD = 4
"""Cues that a rationale names, the weightiest first."""

WORTH_TELLING = 0.05
"""Points below which a cue is left out of a rationale."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what speaks for a signal in a window.

    `since` is when the first of the cues it needs was there (milliseconds on the session's clock). `settled` says
    that no cue rests on a baseline that is still being built. `cues` names what spoke for it, the weightiest first.
    """

    points: float
    since: int
    settled: bool
    cues: tuple[str, ...]
    rationale: str


def weigh(window: Window, points: Mapping[str, float]) -> dict[str, float]:
    """Return the points of each cue that was measured and was there."""
    present = {name: window.cues[name].strength for name in points if name in window.cues}
    return {name: points[name] * strength for name, strength in present.items() if strength > 0}


def find_evidence(window: Window, rule: SignalRule) -> Evidence:
    """Add up what speaks for a signal; without one of the cues it needs there is nothing."""
    least = window.rules.probability.need
    needed = [window.cues[name] for name in rule.needs if name in window.cues]
    needed = [cue for cue in needed if cue.strength >= least]
    parts = weigh(window, rule.cues)
    speaking = [
        window.cues[name]
        for name, points in sorted(parts.items(), key=lambda part: -part[1])
        if points >= WORTH_TELLING
    ]
    if not needed or not speaking:
        return Evidence(0.0, window.seen.start, settled=True, cues=(), rationale="")
    over = window.seen.end >= window.rules.baseline.seconds * SECOND
    return Evidence(
        points=max(0.0, sum(parts.values())),
        since=max(window.seen.start, min(cue.reading.since for cue in needed)),
        settled=over and all(_settled(window, cue) for cue in speaking),
        cues=tuple(cue.rule.name for cue in speaking),
        rationale=_rationale(window, speaking),
    )


def _settled(window: Window, cue: Cue) -> bool:
    measure = MEASURES[cue.rule.measure]
    return not measure.relative or window.baseline.stands(measure.modality)


def _rationale(window: Window, cues: list[Cue]) -> str:
    told = [cue.tell(window.seen.seconds) for cue in cues[:TOLD]]
    sentence = ", ".join(told[:-1]) + " and " + told[-1] if len(told) > 1 else told[0]
    when = f"({clock(window.seen.start)} to {clock(window.seen.end)} s)"
    return f"{sentence[:1].upper()}{sentence[1:]} {when}"
