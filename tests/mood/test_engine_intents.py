"""A visitor who behaves like one mood is read as being in it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from plugins.mood.engine import assess, recompute
from plugins.mood.observations import Observation
from plugins.mood.rules import SECOND, Rules
from plugins.mood.signals import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 1_746_352_800 * SECOND
RULES = Rules()
Visit = list[tuple[float, Observation]]


def see(kind: str, **fields: object) -> Observation:
    return Observation(0, kind, **fields)  # type: ignore[arg-type]


def spot(rng: Random) -> dict[str, float]:
    return {"x": rng.uniform(0, 1440), "y": rng.uniform(0, 900)}


def page(rng: Random) -> str:
    return f"https://shop.example/p/{rng.randrange(10_000)}"


def frustrated(rng: Random) -> Iterator[tuple[float, Observation]]:
    yield 2, see("page_view", url=page(rng))
    for _ in range(rng.randint(2, 4)):
        button = spot(rng)
        if rng.random() < 0.5:
            yield rng.uniform(1, 5), see("rage_click", **button)
        else:
            for _ in range(3):
                yield rng.uniform(0.1, 0.3), see("click", **button)
        yield rng.uniform(0.2, 2), see("error")
        if rng.random() < 0.5:
            yield rng.uniform(1, 8), see("back_nav")
        yield rng.uniform(1, 8), see("scroll", speed=rng.uniform(100, 900), direction="down")


def confused(rng: Random) -> Iterator[tuple[float, Observation]]:
    yield 1, see("page_view", url=page(rng))
    for _ in range(rng.randint(3, 6)):
        yield rng.uniform(1, 6), see("scroll", speed=rng.uniform(200, 1500), direction="down")
        yield rng.uniform(1, 6), see("backtrack")
        yield rng.uniform(1, 6), see("hover", duration_ms=rng.uniform(1500, 6000))
        if rng.random() < 0.6:
            yield rng.uniform(1, 6), see("input_pause", duration_ms=rng.uniform(2000, 9000))


def decisive(rng: Random) -> Iterator[tuple[float, Observation]]:
    yield 1, see("page_view", url=page(rng))
    for step in range(rng.randint(5, 9)):
        yield rng.uniform(0.8, 4), see("click", **spot(rng))
        if step == 3:
            yield rng.uniform(1, 3), see("page_view", url=page(rng))
    if rng.random() < 0.7:
        yield rng.uniform(0.5, 2), see("focus")
    yield rng.uniform(0.8, 4), see("click", **spot(rng))


def browsing(rng: Random) -> Iterator[tuple[float, Observation]]:
    for _ in range(rng.randint(3, 6)):
        yield rng.uniform(2, 15), see("page_view", url=page(rng))
        for _ in range(rng.randint(2, 5)):
            direction = "up" if rng.random() < 0.2 else "down"
            yield (
                rng.uniform(2, 8),
                see("scroll", speed=rng.uniform(100, 900), direction=direction),
            )
        if rng.random() < 0.3:
            yield rng.uniform(1, 5), see("hover", duration_ms=rng.uniform(300, 1500))
        yield rng.uniform(6, 15), see("click", **spot(rng))


def disengaged(rng: Random) -> Iterator[tuple[float, Observation]]:
    yield 1, see("page_view", url=page(rng))
    yield 5, see("scroll", speed=rng.uniform(100, 900), direction="down")
    if rng.random() < 0.6:
        yield 3, see("focus")
        yield 4, see("blur")
    for _ in range(rng.randint(2, 5)):
        pause = rng.uniform(25, 110)
        yield pause, see("idle", duration_ms=pause * 1000)
        if rng.random() < 0.2:
            yield 2, see("scroll", speed=rng.uniform(100, 900), direction="down")


def focused(rng: Random) -> Iterator[tuple[float, Observation]]:
    yield 1, see("page_view", url=page(rng))
    for _ in range(rng.randint(4, 9)):
        yield rng.uniform(0.2, 2), see("focus")
        if rng.random() < 0.4:
            yield rng.uniform(0.2, 2), see("click", **spot(rng))
        if rng.random() < 0.15:
            yield rng.uniform(2, 4), see("input_pause", duration_ms=rng.uniform(1000, 2500))
        yield rng.uniform(2, 10), see("blur")
    yield 1, see("focus")
    yield 1, see("click", **spot(rng))


VISITORS = (frustrated, confused, decisive, browsing, disengaged, focused)


def visit(
    visitor: Callable[[Random], Iterator[tuple[float, Observation]]], seed: int
) -> list[Observation]:
    at = START + seed * 86_413 * SECOND
    seen = []
    for wait, observation in visitor(Random(seed)):  # noqa: S311 (a test's visitors are no secret)
        at += int(wait * SECOND)
        seen.append(observation._replace(at=at))
    return seen


@pytest.mark.parametrize("visitor", VISITORS, ids=lambda visitor: visitor.__name__)
def test_every_generated_visitor_of_an_intent_is_read_as_such(
    visitor: Callable[[Random], Iterator[tuple[float, Observation]]],
) -> None:
    read = [assess(recompute(visit(visitor, seed), RULES), RULES) for seed in range(200)]
    missed = [(seed, each) for seed, each in enumerate(read) if each.mood != visitor.__name__]
    assert missed == []
    assert all(each.action == ACTIONS[visitor.__name__] for each in read)
    assert all(each.signals for each in read)
