"""From observations to findings: windows over the session's clock, decided on as soon as their media is complete.

What is found depends on the observations and their times alone, not on how the media was cut into segments, and not
on how fast it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from plugins.stream.analysis.baseline import Baseline
from plugins.stream.analysis.engagement import Engagement
from plugins.stream.analysis.findings import (
    INCLUDES,
    OVERALL,
    TIMELINE,
    QualityUpdated,
    Result,
    SignalDetected,
    SignalEnded,
    SignalUpdated,
)
from plugins.stream.analysis.quality import Quality, Stretch
from plugins.stream.analysis.rules import SIGNAL_TYPES, default_rules
from plugins.stream.analysis.signals import find_evidence
from plugins.stream.analysis.tracks import SECOND, Tracks
from plugins.stream.analysis.transitions import Activity
from plugins.stream.analysis.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugins.stream.analysis.findings import Finding
    from plugins.stream.analysis.observations import Observations
    from plugins.stream.analysis.rules import Rules

Purpose = Literal["general", "work", "education"]

RESTRICTED: frozenset[Purpose] = frozenset({"work", "education"})
"""Where inferring emotions from biometric data is prohibited (Regulation (EU) 2024/1689, Article 5(1)(f))."""

SHORTEST_WINDOW = SECOND
"""Milliseconds of new media at the end of a session that are worth a last, shorter window."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Say from what may be inferred. What is off is not looked at: neither its presence nor its absence."""

    face: bool = True
    voice: bool = True
    words: bool = True

    @classmethod
    def of(
        cls, purpose: Purpose, *, face: bool = True, voice: bool = True, words: bool = True
    ) -> Self:
        """Return the switches of a purpose: at work and in education nothing is inferred from face and voice."""
        free = purpose not in RESTRICTED
        return cls(face=face and free, voice=voice and free, words=words)

    def __bool__(self) -> bool:
        return self.face or self.voice or self.words


class Interpreter:
    """Follow one session: take the observations of its segments in order, tell what they mean.

    `include` is what the client asked for besides signals and engagement. It can change at any time; what it leaves
    out is computed all the same, so that what is asked for later covers the whole session.
    """

    def __init__(
        self,
        include: Iterable[object] = (),
        switches: Switches | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.switches = switches if switches is not None else Switches()
        self.rules = rules if rules is not None else default_rules()
        self.configure(include)
        self._tracks = Tracks()
        self._baseline = Baseline(self.rules.baseline, self.rules.window.face_share)
        self._activities = {name: Activity(name, self.rules.probability) for name in SIGNAL_TYPES}
        self._engagement = Engagement(self.rules.engagement)
        self._quality = Quality(self.rules)
        self._length = round(self.rules.window.length * SECOND)
        self._step = round(self.rules.window.step * SECOND)
        self._period = round(self.rules.period * SECOND)
        self._decided = 0
        self._closed = 0
        self._finished = False

    def configure(self, include: Iterable[object]) -> tuple[str, ...]:
        """Replace what the client asked for, and return what of it is known, in the contract's order."""
        asked = [item for item in include if isinstance(item, str)]
        self.include = tuple(name for name in INCLUDES if name in asked)
        return self.include

    def feed(self, offset: float, observations: Observations) -> list[Finding]:
        """Take the observations of the segment that begins at `offset` seconds of the session's media.

        Return what the windows that are complete by now tell. Segments come in order; media that was lost leaves a
        gap, and nothing is inferred from it. Raise InvalidObservations for times that cannot be, and ValueError
        after the end.
        """
        if self._finished:
            raise ValueError("the session is finished")
        on = self.switches
        self._tracks.extend(offset, observations, face=on.face, voice=on.voice, words=on.words)
        found: list[Finding] = []
        while self._decided + self._step <= self._tracks.end:
            found += self._decide(self._decided + self._step)
        # The last window may end before the next whole one would, and so begin earlier.
        self._tracks.forget(min(self._decided - self._length, self._closed))
        return found

    def finish(self) -> list[Finding]:
        """End the session: decide on what is left, and end the signals that are on."""
        if self._finished:
            return []
        self._finished = True
        found: list[Finding] = []
        end = self._tracks.end
        if end - self._decided >= SHORTEST_WINDOW or (end and not self._decided):
            found += self._decide(end)
        tail = self._decided - self._closed
        if tail and (tail >= self.rules.tail * SECOND or not self._closed):
            found += self._close_period(self._decided)
        ended = (activity.close() for activity in self._activities.values())
        return found + [finding for finding in ended if finding is not None]

    def result(self) -> Result:
        """Return all that was found so far, signals in the order of their start."""
        signals = [signal for kept in self._activities.values() for signal in kept.closed]
        still_on = (activity.open_signal() for activity in self._activities.values())
        signals += [signal for signal in still_on if signal is not None]
        return Result(
            duration=self._tracks.end / SECOND,
            signals=tuple(sorted(signals, key=lambda signal: (signal.start, signal.signal_type))),
            engagement=self._engagement.periods(self._tracks.end),
            quality_overall=self._quality.overall(),
            quality_timeline=tuple(self._quality.timeline),
        )

    def _decide(self, end: int) -> list[Finding]:
        """Decide on the window that ends at `end`; its findings are in the contract's order."""
        new_from, self._decided = self._decided, end
        self._baseline.take(self._tracks.slice(new_from, end))
        window = self._window(max(0, end - self._length), end)
        found: list[Finding] = []
        if self.switches:
            changes = [
                self._activities[name].step(find_evidence(window, rule), end)
                for name, rule in sorted(self.rules.signals.items())
            ]
            for kind in (SignalEnded, SignalDetected, SignalUpdated):
                found += [change for change in changes if type(change) is kind]
            state = self._engagement.step(window, new_from)
            found += [state] if state else []
        on = {
            name: activity.probability
            for name, activity in self._activities.items()
            if activity.probability
        }
        self._quality.remember(Stretch(new_from, end, on, self._engagement.state))
        while self._closed + self._period <= end:
            found += self._close_period(self._closed + self._period)
        return found

    def _close_period(self, end: int) -> list[Finding]:
        start, self._closed = self._closed, end
        period = self._quality.close(self._window(start, end))
        if not self.include:
            return []
        return [
            QualityUpdated(
                overall=self._quality.overall() if OVERALL in self.include else None,
                period=period if TIMELINE in self.include else None,
            )
        ]

    def _window(self, start: int, end: int) -> Window:
        return Window(self._tracks.slice(start, end), self._baseline, self.rules)
