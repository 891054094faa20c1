"""The state of engagement: a sum of points per window, two borders, and patience before a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.stream.analysis.findings import EngagementPeriod, EngagementUpdated, State
from plugins.stream.analysis.signals import weigh
from plugins.stream.analysis.tracks import SECOND

if TYPE_CHECKING:
    from plugins.stream.analysis.rules import EngagementRule
    from plugins.stream.analysis.windows import Window


class Engagement:
    """Follow the state of engagement from window to window; `state` is None until the first."""

    def __init__(self, rule: EngagementRule) -> None:
        self.state: State | None = None
        self._rule = rule
        self._candidate: State | None = None
        self._held = 0
        self._since = 0
        self._changes: list[tuple[int, State]] = []

    def step(self, window: Window, new_from: int) -> EngagementUpdated | None:
        """Take a window whose media is new from `new_from` milliseconds on, and tell what changed.

        A new state begins where the media of the first of the windows that showed it was new.
        """
        measured = any(name in window.cues for name in self._rule.cues)
        now = self._judge(sum(weigh(window, self._rule.cues).values())) if measured else None
        if self.state is None:
            return self._change(now or "neutral", window.seen.start)
        if now is None or now == self.state:
            self._candidate, self._held = None, 0
            return None
        if now != self._candidate:
            self._candidate, self._held, self._since = now, 0, new_from
        self._held += 1
        return self._change(now, self._since) if self._held >= self._rule.windows else None

    def periods(self, end: int) -> tuple[EngagementPeriod, ...]:
        """Return the states up to `end` milliseconds, each until the next."""
        ends = [*(start for start, _ in self._changes[1:]), end]
        return tuple(
            EngagementPeriod(start / SECOND, until / SECOND, state)
            for (start, state), until in zip(self._changes, ends, strict=False)
        )

    def _judge(self, points: float) -> State:
        rule = self._rule
        engaged = rule.engaged - (rule.margin if self.state == "engaged" else 0)
        disengaged = rule.disengaged + (rule.margin if self.state == "disengaged" else 0)
        if points >= engaged:
            return "engaged"
        return "disengaged" if points <= disengaged else "neutral"

    def _change(self, state: State, since: int) -> EngagementUpdated:
        self.state, self._candidate, self._held = state, None, 0
        self._changes.append((since, state))
        return EngagementUpdated(state, since / SECOND)
