"""Find what follows from several events together: rage clicks, error clicks, quick backs and so on.

Events are read in one order only, by time and then by content, so that the outcome is a function of
the set of events. Each stream keeps a tail of fixed size. An event that arrives behind the tail of
its own stream cannot be placed any more: it is late, and the caller reads everything again.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from hashlib import blake2b
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from plugins.mood.observations import FULL_STRENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugins.mood.observations import Observation
    from plugins.mood.rules import Rules

MILLISECOND = 1_000
"""A millisecond in microseconds."""

MAX_PENDING_CLICKS = 8
"""Unconsumed clicks of one rage-click window that are kept: more than a hand makes in a second."""

Place = tuple[int, str, bool, float, float, str, str, int]
"""Where an observation stands in its stream: its time, then its content."""


class Change(NamedTuple):
    """Add `amount` hundredths of an occurrence of `kind` at `at` (µs), or take them back."""

    kind: str
    at: int
    amount: int


class Click(NamedTuple):
    """Keep what a rage click is found by; `at` in µs, `x` and `y` in pixels."""

    at: int
    x: float
    y: float
    strength: int

    def is_near(self, other: Click, radius: float) -> bool:
        """Tell whether the two are at most `radius` pixels apart."""
        return math.hypot(self.x - other.x, self.y - other.y) <= radius


def page_name(url: str) -> str:
    """Shorten a URL to a name of fixed size that tells pages apart."""
    return blake2b(url.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def position(observation: Observation) -> tuple[float, float] | None:
    """Read where on the screen it was seen, or None where that was not said."""
    x, y = observation.x, observation.y
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    return float(x), float(y)


def place(observation: Observation) -> Place:
    """Order observations by time and then by content, whatever order they came in."""
    spot = position(observation)
    return (
        observation.at,
        observation.kind,
        spot is not None,
        *(spot or (0.0, 0.0)),
        page_name(observation.url) if observation.url else "",
        observation.direction or "",
        observation.strength,
    )


@dataclass(slots=True)
class PointerStream:
    """Follow clicks and errors: rage clicks, rapid clicks, error clicks."""

    last_click: int | None = None
    last_spot: Sequence[float] | None = None
    pending: list[Click] = field(default_factory=list)

    def feed(self, seen: Observation, rules: Rules) -> Iterator[Change]:
        """Read the next event of the stream."""
        if seen.kind == "error":
            if self._follows_a_click(seen.at, rules.error_click_window_ms):
                yield Change("error_click", seen.at, FULL_STRENGTH)
            return
        spot = position(seen)
        if self._follows_a_click(seen.at, rules.rapid_click_window_ms) and not (
            spot is not None
            and self.last_spot is not None
            and math.dist(spot, self.last_spot) <= rules.rage_click_radius_px
        ):
            yield Change("rapid_click", seen.at, FULL_STRENGTH)
        self.last_click, self.last_spot = seen.at, spot
        if spot is not None:
            yield from self._rage(Click(seen.at, *spot, seen.strength), rules)

    def _follows_a_click(self, at: int, window_ms: int) -> bool:
        return self.last_click is not None and at - self.last_click <= window_ms * MILLISECOND

    def _rage(self, click: Click, rules: Rules) -> Iterator[Change]:
        since = click.at - rules.rage_click_window_ms * MILLISECOND
        radius = rules.rage_click_radius_px
        self.pending = [each for each in self.pending if each.at >= since]
        near = [each for each in self.pending if each.is_near(click, radius)]
        for others in combinations(near, rules.rage_click_count - 1):
            if all(one.is_near(two, radius) for one, two in combinations(others, 2)):
                yield Change("rage_click", click.at, FULL_STRENGTH)
                for each in (*others, click):
                    yield Change("click", each.at, -each.strength)
                for each in others:
                    self.pending.remove(each)
                return
        self.pending = [*self.pending, click][-MAX_PENDING_CLICKS:]

    def dump(self) -> list[Any]:
        """Return the tail as plain values."""
        return [self.last_click, self.last_spot, [list(each) for each in self.pending]]

    @classmethod
    def load(cls, last_click: int | None, last_spot: list[float] | None, pending: Any) -> Self:
        """Take up a tail that `dump` returned."""
        return cls(last_click, last_spot, [Click(*each) for each in pending])


@dataclass(slots=True)
class FormStream:
    """Follow focus and blur: sustained form interaction, and blurs that were only a step."""

    last_focus: int | None = None
    open_blur: int | None = None
    open_blur_strength: int = FULL_STRENGTH

    def feed(self, seen: Observation, rules: Rules) -> Iterator[Change]:
        """Read the next event of the stream."""
        if seen.kind == "blur":
            self.open_blur, self.open_blur_strength = seen.at, seen.strength
            return
        if self.open_blur is not None:
            if seen.at - self.open_blur <= rules.refocus_window_ms * MILLISECOND:
                yield Change("blur", self.open_blur, -self.open_blur_strength)
            self.open_blur = None
        if (
            self.last_focus is not None
            and seen.at - self.last_focus <= rules.sustained_focus_window_ms * MILLISECOND
        ):
            yield Change("sustained_focus", seen.at, FULL_STRENGTH)
        self.last_focus = seen.at

    def dump(self) -> list[Any]:
        """Return the tail as plain values."""
        return list(astuple(self))

    @classmethod
    def load(cls, *tail: Any) -> Self:
        """Take up a tail that `dump` returned."""
        return cls(*tail)


@dataclass(slots=True)
class PageStream:
    """Follow page views that say where they are: quick backs."""

    page: str = ""
    page_at: int = 0
    previous: str = ""
    previous_at: int = 0

    def feed(self, seen: Observation, rules: Rules) -> Iterator[Change]:
        """Read the next event of the stream."""
        page = page_name(seen.url or "")
        if page == self.page:
            self.page_at = seen.at
            return
        if (
            page == self.previous
            and seen.at - self.previous_at <= rules.quick_back_window_ms * MILLISECOND
        ):
            yield Change("quick_back", seen.at, FULL_STRENGTH)
        self.previous, self.previous_at = self.page, self.page_at
        self.page, self.page_at = page, seen.at

    def dump(self) -> list[Any]:
        """Return the tail as plain values."""
        return list(astuple(self))

    @classmethod
    def load(cls, *tail: Any) -> Self:
        """Take up a tail that `dump` returned."""
        return cls(*tail)


@dataclass(slots=True)
class ScrollStream:
    """Follow scrolls that say where they go: scroll reversals."""

    direction: str = ""
    at: int = 0

    def feed(self, seen: Observation, rules: Rules) -> Iterator[Change]:
        """Read the next event of the stream."""
        turned = bool(self.direction) and seen.direction != self.direction
        if turned and seen.at - self.at <= rules.scroll_reversal_window_ms * MILLISECOND:
            yield Change("scroll_reversal", seen.at, FULL_STRENGTH)
        self.direction, self.at = seen.direction or "", seen.at

    def dump(self) -> list[Any]:
        """Return the tail as plain values."""
        return list(astuple(self))

    @classmethod
    def load(cls, *tail: Any) -> Self:
        """Take up a tail that `dump` returned."""
        return cls(*tail)


Stream = PointerStream | FormStream | PageStream | ScrollStream

STREAMS: dict[str, type[Stream]] = {
    "pointer": PointerStream,
    "form": FormStream,
    "page": PageStream,
    "scroll": ScrollStream,
}
"""The streams of one modality; the names are keys of the stored state."""

_STREAM_OF = {
    "click": "pointer",
    "error": "pointer",
    "focus": "form",
    "blur": "form",
    "page_view": "page",
    "scroll": "scroll",
}


def stream_of(observation: Observation) -> str | None:
    """Name the stream that reads this observation, or None where its order says nothing."""
    name = _STREAM_OF.get(observation.kind)
    if (name == "page" and not observation.url) or (name == "scroll" and not observation.direction):
        return None
    return name
