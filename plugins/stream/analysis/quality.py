"""The quality of a conversation, seen from one side of it: five values from 0 to 100, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.stream.analysis.findings import QualityPeriod
from plugins.stream.analysis.rules import CERTAINTY, QUALITY_VALUES
from plugins.stream.analysis.signals import weigh
from plugins.stream.analysis.tracks import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugins.stream.analysis.findings import State
    from plugins.stream.analysis.rules import Probability, QualityRule, Rules
    from plugins.stream.analysis.windows import Window

INDEX = "quality_index"

MIDDLE = 50.0
"""What a value is where nothing speaks for or against it, and how far it can go to either side."""

ATTITUDE: Mapping[State, float] = {"engaged": 1.0, "neutral": 0.0, "disengaged": -1.0}
"""How an engagement state counts."""

DIGITS = 2
"""Decimal places of a value on the wire."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hold what was told of some new media: [start, end) milliseconds, the signals that were on, the state."""

    start: int
    end: int
    signals: Mapping[str, Probability]
    state: State | None


class Quality:
    """Close one period after the other, and keep the mean of those in which there was evidence."""

    def __init__(self, rules: Rules) -> None:
        self.timeline: list[QualityPeriod] = []
        self._rules = rules
        self._stretches: list[Stretch] = []
        self._sums = dict.fromkeys(QUALITY_VALUES, 0.0)
        self._weights = dict.fromkeys(QUALITY_VALUES, 0.0)

    def remember(self, stretch: Stretch) -> None:
        """Take what a window told of its new media."""
        self._stretches.append(stretch)

    def close(self, window: Window) -> QualityPeriod:
        """Close the period that a window covers exactly."""
        start, end = window.seen.start, window.seen.end
        shares = [
            (stretch, (min(end, stretch.end) - max(start, stretch.start)) / (end - start))
            for stretch in self._stretches
            if stretch.start < end and stretch.end > start
        ]
        values = {}
        for name in QUALITY_VALUES:
            points = self._points(window, self._rules.quality[name], shares)
            value = MIDDLE if points is None else MIDDLE * (1 + min(1.0, max(-1.0, points)))
            values[name] = round(value, DIGITS)
            if points is not None:
                self._sums[name] += value * window.seen.seconds
                self._weights[name] += window.seen.seconds
        period = QualityPeriod(start / SECOND, end / SECOND, _with_index(values))
        self.timeline.append(period)
        self._stretches = [stretch for stretch in self._stretches if stretch.end > end]
        return period

    def overall(self) -> dict[str, float]:
        """Return the values of the session up to the end of the last closed period."""
        means = {
            name: round(self._sums[name] / weight, DIGITS) if weight else MIDDLE
            for name, weight in self._weights.items()
        }
        return _with_index(means)

    def _points(
        self, window: Window, rule: QualityRule, shares: list[tuple[Stretch, float]]
    ) -> float | None:
        """Add up what speaks for and against a value, None where nothing does."""
        parts = list(weigh(window, rule.cues).values())
        for stretch, share in shares:
            parts += [
                points * CERTAINTY[stretch.signals[signal]] * share
                for signal, points in rule.signals.items()
                if signal in stretch.signals
            ]
            if stretch.state is not None:
                parts.append(rule.engagement * ATTITUDE[stretch.state] * share)
        return sum(parts) if any(parts) else None


def _with_index(values: dict[str, float]) -> dict[str, float]:
    index = round(sum(values.values()) / len(values), DIGITS)
    return {INDEX: index, **values}
