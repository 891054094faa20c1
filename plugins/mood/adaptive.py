"""Choose actions by what came of them before: Thompson sampling with a share held out.

Each action's share of helpful outcomes has a Beta distribution, first a prior that favours the
documented action, then updated by feedback (Thompson, Biometrika 25, 1933; Chapelle & Li, NIPS 2011).
The probabilities that the actions are chosen with are estimated first and drawn from then, so that
the logged propensity is exactly the one that held, as off-policy evaluation needs it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from plugins.mood.signals import SUGGESTED_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

PRIOR_OUTCOMES = 10
"""The prior weighs as much as this many outcomes."""
PRIOR_DOCUMENTED = 0.6
"""Share of helpful outcomes that the prior expects of the documented action."""
PRIOR_OTHER = 0.3
"""The same of every other action."""
HELD_OUT = 0.05
"""Share of decisions that follow the documentation whatever was learned, to compare with."""
DRAWS = 500
"""Draws from the distributions by which the probabilities are estimated."""
Z_95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Outcomes(NamedTuple):
    """Count what is known of an action: helpful outcomes among all."""

    helpful: int = 0
    known: int = 0


class Choice(NamedTuple):
    """Hold an action and the probability that it was chosen with."""

    action: str
    propensity: float


def choose(documented: str, outcomes: Mapping[str, Outcomes], random: Random) -> Choice:
    """Choose one of the five actions, given what came of each in this mood."""
    beliefs = [_belief(action, documented, outcomes) for action in SUGGESTED_ACTIONS]
    wins = [0] * len(SUGGESTED_ACTIONS)
    for _ in range(DRAWS):
        draws = [random.betavariate(*belief) for belief in beliefs]
        wins[draws.index(max(draws))] += 1
    chances = [
        (1 - HELD_OUT) * won / DRAWS + (HELD_OUT if action == documented else 0.0)
        for action, won in zip(SUGGESTED_ACTIONS, wins, strict=True)
    ]
    (index,) = random.choices(range(len(chances)), chances)
    return Choice(SUGGESTED_ACTIONS[index], chances[index])


def _belief(action: str, documented: str, outcomes: Mapping[str, Outcomes]) -> tuple[float, float]:
    expected = PRIOR_DOCUMENTED if action == documented else PRIOR_OTHER
    seen = outcomes.get(action, Outcomes())
    return (
        PRIOR_OUTCOMES * expected + seen.helpful,
        PRIOR_OUTCOMES * (1 - expected) + seen.known - seen.helpful,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a share, or None without trials (Wilson, JASA 22, 1927)."""
    if trials == 0:
        return None
    share = successes / trials
    denominator = 1 + Z_95**2 / trials
    centre = (share + Z_95**2 / (2 * trials)) / denominator
    spread = math.sqrt(share * (1 - share) / trials + Z_95**2 / (4 * trials**2))
    half = Z_95 * spread / denominator
    return max(0.0, centre - half), min(1.0, centre + half)
