"""Searches with results whose relevance is known, and who clicks what.

Clicks follow the position-based model (Craswell et al., "An experimental comparison of click
position-bias models", WSDM 2008): a result is clicked when it is looked at, which depends on its
position alone, and when it is attractive, which depends on its relevance alone. So what a search
metric or a click judgment finds can be held against the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

QUERIES = (
    "oak desk",
    "reading lamp",
    "office chair",
    "wool rug",
    "book shelf",
    "standing desk",
    "desk drawer",
    "floor lamp",
)
MISSPELT = ("raeding lmap", "ofice chiar", "standnig dsek")
RESULTS = 10
#: Grades of the results of a query, 3 is perfect, in the order in which a perfect engine shows them.
GRADES = (3, 3, 2, 2, 1, 1, 0, 0, 0, 0)
#: How far the simulated engine misplaces results, in positions (standard deviation).
MISPLACEMENT = 2.5
#: P(looked at) = position to the power of minus this.
EXAMINATION_DECAY = 0.7
#: P(clicked | looked at) by grade.
ATTRACTIVENESS = (0.03, 0.15, 0.5, 0.8)
#: Factor on the attractiveness by intent; whoever is lost or has lost interest clicks no result.
EAGERNESS: Mapping[str, float] = {
    "decisive": 1.0,
    "browsing": 0.6,
    "focused": 0.5,
    "confused": 0.0,
    "disengaged": 0.0,
    "frustrated": 0.0,
}
#: The share of the frustrated who misspell their query and get nothing.
MISSPELLING = 0.6
MOST_CLICKS = 2


@dataclass(frozen=True, slots=True)
class Click:
    """A click on a result, `wait` seconds after the click, or the search, before."""

    wait: float
    object_id: str
    position: int


@dataclass(frozen=True, slots=True)
class Search:
    """A query, the results that were shown for it in their order, and what was clicked."""

    query: str
    results: tuple[str, ...]
    clicks: tuple[Click, ...]
    latency_ms: int


def relevance(query: str, object_id: str) -> int:
    """Return the true grade of a result, 0 (irrelevant) to 3 (perfect)."""
    return _TRUTH.get((query, object_id), 0)


def search(intent: str, random: Random) -> Search:
    """Search as a visitor of an intent does."""
    latency = random.randint(20, 400)
    if intent == "frustrated" and random.random() < MISSPELLING:
        return Search(random.choice(MISSPELT), (), (), latency)
    query = random.choice(QUERIES)
    ideal = _objects(query)
    order = sorted(range(RESULTS), key=lambda place: place + random.gauss(0, MISPLACEMENT))
    shown = tuple(ideal[place] for place in order)
    clicks: list[Click] = []
    for position, object_id in enumerate(shown, start=1):
        looks = position**-EXAMINATION_DECAY
        wants = ATTRACTIVENESS[relevance(query, object_id)] * EAGERNESS[intent]
        if random.random() < looks * wants and len(clicks) < MOST_CLICKS:
            clicks.append(Click(random.uniform(1, 12), object_id, position))
    return Search(query, shown, tuple(clicks), latency)


def session_body(session_id: str, user_id: str, done: Search, at_ms: int) -> dict[str, Any]:
    """Return the body of `POST /session`; `at_ms` is milliseconds since the epoch."""
    return {
        "session_id": session_id,
        "search_query": done.query,
        "search_results": [
            {"object_id": object_id, "rank": position, "meta": {"source": "catalogue"}}
            for position, object_id in enumerate(done.results, start=1)
        ],
        "search_meta": {"latency_ms": done.latency_ms},
        "user_id": user_id,
        "created_at": at_ms,
    }


def click_event(number: int, click: Click, at_ms: int) -> dict[str, Any]:
    """Return one item of the body of `POST /session/events`."""
    return {
        "event_id": f"click-{number}",
        "object_id": click.object_id,
        "event_type": "click",
        "created_at": at_ms,
        "meta": {"rank_position": click.position},
    }


def _objects(query: str) -> tuple[str, ...]:
    number = QUERIES.index(query)
    return tuple(f"product-{number}{place}" for place in range(RESULTS))


_TRUTH = {
    (query, object_id): grade
    for query in QUERIES
    for object_id, grade in zip(_objects(query), GRADES, strict=True)
}
