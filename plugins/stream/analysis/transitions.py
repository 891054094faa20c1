"""One signal over time: off until its evidence passes a threshold, on until it falls below a lower one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plugins.stream.analysis.findings import Signal, SignalDetected, SignalEnded, SignalUpdated
from plugins.stream.analysis.rules import PROBABILITIES
from plugins.stream.analysis.tracks import SECOND

if TYPE_CHECKING:
    from plugins.stream.analysis.rules import Probability, ProbabilityRule
    from plugins.stream.analysis.signals import Evidence


@dataclass(frozen=True, slots=True)
class _Peak:
    """The most that ever spoke for the instance that is on."""

    points: float
    probability: Probability
    rationale: str
    cues: tuple[str, ...]


class Activity:
    """Follow one type of signal; at most one instance of it is on at a time."""

    def __init__(self, signal_type: str, rule: ProbabilityRule) -> None:
        self.signal_type = signal_type
        self.probability: Probability | None = None
        self.closed: list[Signal] = []
        self._rule = rule
        self._start = 0
        self._end = 0
        self._peak: _Peak | None = None

    def step(
        self, evidence: Evidence, end: int
    ) -> SignalEnded | SignalDetected | SignalUpdated | None:
        """Take the evidence of the window that ends at `end` milliseconds, and tell what changed."""
        before = self.probability
        if evidence.points < (self._rule.on if before is None else self._rule.off):
            return self.close()
        now = self._probability(evidence)
        if before is None:
            # Windows overlap: what an instance that ended already told is not told again.
            self._start = max(evidence.since, self._end)
            self._peak = None
        self.probability, self._end = now, end
        self._remember(evidence, now)
        start = self._start / SECOND
        if before is None:
            return SignalDetected(self.signal_type, start, now, evidence.rationale)
        if now != before:
            return SignalUpdated(self.signal_type, start, now, evidence.rationale)
        return None

    def close(self) -> SignalEnded | None:
        """End the instance that is on, where the last window in which it was on ended."""
        signal = self.open_signal()
        if signal is None:
            return None
        self.closed.append(signal)
        self.probability = None
        return SignalEnded(self.signal_type, signal.end)

    def open_signal(self) -> Signal | None:
        """Return the instance that is on, as if it ended with the last window."""
        if self.probability is None or self._peak is None:
            return None
        return Signal(
            signal_type=self.signal_type,
            start=self._start / SECOND,
            end=self._end / SECOND,
            probability=self._peak.probability,
            rationale=self._peak.rationale,
            cues=self._peak.cues,
        )

    def _probability(self, evidence: Evidence) -> Probability:
        """Return the probability; it falls only when the points lie clearly below the border."""
        held = PROBABILITIES.index(self.probability) if self.probability else 0
        level = 0
        for number, border in enumerate((self._rule.medium, self._rule.high), start=1):
            if evidence.points >= border - (self._rule.margin if number <= held else 0):
                level = number
        return PROBABILITIES[level if evidence.settled else min(level, 1)]

    def _remember(self, evidence: Evidence, probability: Probability) -> None:
        peak = self._peak
        peak_level = PROBABILITIES.index(peak.probability) if peak else 0
        level = max(PROBABILITIES.index(probability), peak_level)
        if peak is None or evidence.points > peak.points:
            peak = _Peak(evidence.points, probability, evidence.rationale, evidence.cues)
        self._peak = replace(peak, probability=PROBABILITIES[level])
