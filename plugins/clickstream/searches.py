"""What one search was: the query, what was shown for it and what the user did with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLICK_TYPES = frozenset({"click", "click_through", "item_click"})
"""Event types that count as a click on a result: the document's default and UBI's own names."""

CONVERSION_TYPES = frozenset({"add_to_cart", "purchase"})
"""UBI's names of what follows a click; a search that led there was not abandoned."""


@dataclass(frozen=True, slots=True)
class Result:
    """Describe one result as it was shown."""

    object_id: str
    rank: float | None = None
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Describe one thing the user did; `at` is in microseconds UTC."""

    event_id: str
    object_id: str
    event_type: str = "click"
    at: int = 0
    meta: Mapping[str, Any] | None = None

    @property
    def is_click(self) -> bool:
        """Tell whether this event is a click."""
        return self.event_type in CLICK_TYPES

    @property
    def is_engagement(self) -> bool:
        """Tell whether this event ends an abandonment: a click or a conversion."""
        return self.event_type in CLICK_TYPES or self.event_type in CONVERSION_TYPES


@dataclass(frozen=True, slots=True)
class Search:
    """Describe one search; `at` is in microseconds UTC.

    `results` is None when nobody knows what was shown, which is not the same as nothing (`()`).
    """

    session_id: str
    query: str
    at: int
    results: tuple[Result, ...] | None
    events: tuple[Event, ...] = ()
    user_id: str | None = None
    search_meta: Mapping[str, Any] | None = None
    payload_filter: Mapping[str, Any] | None = None
    sort_by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Sum up a search whose results are known.

    `positions` holds the position of every object shown and `clicked` those of the objects
    clicked, in the order of their first click in time. Positions start at 1.
    """

    positions: Mapping[str, int]
    clicked: Mapping[str, int]
    engaged: bool

    @property
    def first_clicked(self) -> int | None:
        """Give the position of the click that came first in time."""
        return next(iter(self.clicked.values()), None)

    @property
    def highest_clicked(self) -> int | None:
        """Give the smallest position that was clicked."""
        return min(self.clicked.values(), default=None)


def positions_of(results: Iterable[Result]) -> dict[str, int]:
    """Give every object shown its position.

    A position is the index in the list plus one. `rank` plays no part: where the ranks are
    1, 2, 3, … both agree, and elsewhere a rank is a score or a distance. An object that was shown
    twice keeps its first position.
    """
    positions: dict[str, int] = {}
    for position, result in enumerate(results, start=1):
        positions.setdefault(result.object_id, position)
    return positions


def outcome_of(search: Search) -> Outcome | None:
    """Sum up a search, or give None where nobody knows what was shown.

    Clicks are counted once per object: a second click on the same result of the same search is no
    second opinion. Clicks on objects that were not shown count as engagement alone.
    """
    if search.results is None:
        return None
    positions = positions_of(search.results)
    clicked: dict[str, int] = {}
    engaged = False
    for event in sorted(search.events, key=lambda event: event.at):
        engaged = engaged or event.is_engagement
        position = positions.get(event.object_id)
        if event.is_click and position is not None:
            clicked.setdefault(event.object_id, position)
    return Outcome(positions, clicked, engaged)
