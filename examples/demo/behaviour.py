"""What a simulated visitor of each intent does, act by act."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

SHOP = "https://shop.example"
SECTIONS = ("lamps", "chairs", "desks", "shelves", "rugs", "sale", "help", "returns")
ERRORS = ("Payment failed", "Voucher not accepted", "Request timed out", "Card was declined")
WIDTH, HEIGHT = 1440, 900  # pixels of the simulated screen
#: How often an act is followed by one that has nothing to do with the intent: nobody is of a piece.
STRAY = 0.3


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a visitor does, `wait` seconds after the one before.

    `kind` is an event type of the mood API and `fields` its optional fields.
    """

    wait: float
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def behave(intent: str, random: Random) -> Iterator[Act]:
    """Yield the acts of one visit, stray ones among them; raises KeyError for an unknown intent."""
    for act in _INTENTS[intent](random):
        yield act
        if random.random() < STRAY:
            yield random.choice(_STRAY_ACTS)(random)


def _frustrated(random: Random) -> Iterator[Act]:
    yield _view(random, 2)
    for _ in range(random.randint(2, 4)):
        button = _spot(random)
        if random.random() < 0.5:
            yield Act(random.uniform(1, 5), "rage_click", button)
        else:
            for _ in range(3):
                yield Act(random.uniform(0.1, 0.3), "click", button)
        yield Act(random.uniform(0.2, 2), "error", {"message": random.choice(ERRORS)})
        if random.random() < 0.5:
            yield Act(random.uniform(1, 8), "back_nav")
        yield _scroll(random, 2, 8)


def _confused(random: Random) -> Iterator[Act]:
    yield _view(random, 2)
    for _ in range(random.randint(3, 6)):
        yield _scroll(random, 1, 6)
        yield Act(random.uniform(1, 4), "backtrack")
        yield Act(random.uniform(1, 6), "hover", {"duration_ms": random.randint(1500, 6000)})
        if random.random() < 0.6:
            pause = random.randint(2000, 9000)
            yield Act(pause / 1000, "input_pause", {"duration_ms": pause})


def _decisive(random: Random) -> Iterator[Act]:
    yield _view(random, 1)
    for step in range(random.randint(5, 9)):
        yield Act(random.uniform(0.8, 4), "click", _spot(random))
        if step == 3:
            yield _view(random, 2)
    yield Act(random.uniform(0.5, 2), "focus")
    yield Act(random.uniform(0.8, 4), "click", _spot(random))


def _browsing(random: Random) -> Iterator[Act]:
    for _ in range(random.randint(4, 7)):
        yield _view(random, 10)
        for _ in range(random.randint(2, 5)):
            yield _scroll(random, 2, 8)
        if random.random() < 0.3:
            yield Act(random.uniform(1, 5), "hover", {"duration_ms": random.randint(300, 1500)})
        yield Act(random.uniform(6, 15), "click", _spot(random))


def _disengaged(random: Random) -> Iterator[Act]:
    yield _view(random, 1)
    yield _scroll(random, 3, 8)
    if random.random() < 0.6:
        yield Act(3, "focus")
        yield Act(4, "blur")
    for _ in range(random.randint(2, 5)):
        pause = random.uniform(25, 110)
        yield Act(pause, "idle", {"duration_ms": round(pause * 1000)})
        if random.random() < 0.2:
            yield _scroll(random, 1, 3)


def _focused(random: Random) -> Iterator[Act]:
    yield _view(random, 1)
    for _ in range(random.randint(4, 9)):
        yield Act(random.uniform(0.2, 2), "focus")
        if random.random() < 0.4:
            yield Act(random.uniform(0.2, 2), "click", _spot(random))
        yield Act(random.uniform(2, 10), "blur")
    yield Act(1, "focus")
    yield Act(1, "click", _spot(random))


_INTENTS: dict[str, Callable[[Random], Iterator[Act]]] = {
    "frustrated": _frustrated,
    "confused": _confused,
    "decisive": _decisive,
    "browsing": _browsing,
    "disengaged": _disengaged,
    "focused": _focused,
}

#: The intents that are simulated: the moods of the API without `neutral`, which is the lack of one.
INTENTS = tuple(_INTENTS)


def _spot(random: Random) -> dict[str, int]:
    return {"x": random.randrange(WIDTH), "y": random.randrange(HEIGHT)}


def _view(random: Random, wait: float) -> Act:
    page = f"{SHOP}/{random.choice(SECTIONS)}/{random.randrange(10_000)}"
    return Act(random.uniform(wait, 2 * wait), "page_view", {"url": page})


def _scroll(random: Random, soonest: float, latest: float) -> Act:
    fields = {"speed": random.randint(100, 900), "direction": "down"}
    return Act(random.uniform(soonest, latest), "scroll", fields)


_STRAY_ACTS: tuple[Callable[[Random], Act], ...] = (
    lambda random: Act(random.uniform(1, 5), "click", _spot(random)),
    lambda random: Act(random.uniform(1, 5), "hover", {"duration_ms": random.randint(500, 3000)}),
    lambda random: Act(random.uniform(8, 20), "idle", {"duration_ms": random.randint(8000, 20000)}),
    lambda random: Act(random.uniform(1, 5), "back_nav"),
    lambda random: _scroll(random, 1, 5),
)
