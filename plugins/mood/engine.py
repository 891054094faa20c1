"""The mood of a session: a function of the set of its observations, at constant cost for each.

score(mood) = Σ weight · strength · decay(age) · saturation(n) over all observations, where n is the
decayed number of occurrences of the same kind and saturation(n) = 1/√n, so that each kind adds
weight · √n. Age is counted from the last observation of the session: reading changes nothing, and
time that passes shrinks all scores by the same factor, which leaves their order alone.

The state holds whole numbers only. Sums of whole numbers do not depend on their order, hence a state
that grew event by event equals, bit for bit, one computed from all stored events at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import orjson

from plugins.mood.derivation import STREAMS, Place, Stream, place, stream_of
from plugins.mood.observations import FULL_STRENGTH, NATIVE
from plugins.mood.rules import (
    BUCKET,
    BUCKET_CAP,
    DECAY,
    DOUBT_PER_OBSERVATION,
    HORIZON_BUCKETS,
)
from plugins.mood.signals import ACTIONS, MOODS, NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugins.mood.observations import Observation
    from plugins.mood.rules import Entry, Rules
    from plugins.mood.signals import Ramp

TIE = 1e-9
"""Scores closer than this share of the larger one are equal: the order of summation is no sign."""


@dataclass(slots=True)
class Tail:
    """Hold a stream and the place of the last event it read."""

    stream: Stream
    last: Place | None = None


@dataclass(slots=True)
class State:
    """Hold what is remembered of one session: sums in hundredths by kind and bucket, and tails.

    `is_exact` is false once a late observation could not be placed, until a recomputation.
    """

    version: str
    latest: int | None = None
    events: int = 0
    evidence: int = 0
    is_exact: bool = True
    totals: dict[str, int] = field(default_factory=dict)
    buckets: dict[str, dict[int, int]] = field(default_factory=dict)
    tails: dict[tuple[str, str], Tail] = field(default_factory=dict)

    @property
    def observations(self) -> int:
        """Count everything that counted: events and other plugins' evidence."""
        return self.events + self.evidence

    def add(self, key: str, at: int, amount: int) -> None:
        """Add `amount` hundredths of an occurrence at `at` (µs), or take them back."""
        self.totals[key] = self.totals.get(key, 0) + amount
        bucket = at // BUCKET
        horizon = self._horizon()
        if bucket < horizon:
            return
        sums = self.buckets.setdefault(key, {})
        if bucket not in sums and len(sums) >= 2 * HORIZON_BUCKETS:
            for old in [each for each in sums if each < horizon]:
                del sums[old]
        sums[bucket] = sums.get(bucket, 0) + amount

    def amounts(self, key: str) -> list[tuple[int, int]]:
        """List (age in buckets, sum) of a kind within the horizon, in no order."""
        now = 0 if self.latest is None else self.latest // BUCKET
        horizon = now - HORIZON_BUCKETS
        sums = self.buckets[key].items()
        return [(now - bucket, amount) for bucket, amount in sums if bucket > horizon and amount]

    def _horizon(self) -> int:
        return 0 if self.latest is None else self.latest // BUCKET - HORIZON_BUCKETS + 1

    def dump(self) -> bytes:
        """Return the state as JSON; equal states have equal bytes."""
        return orjson.dumps(
            {
                "v": self.version,
                "l": self.latest,
                "n": [self.events, self.evidence],
                "x": self.is_exact,
                "t": {key: total for key, total in sorted(self.totals.items()) if total},
                "b": {
                    key: list(chain.from_iterable(sorted(ages)))
                    for key in sorted(self.buckets)
                    if (ages := self.amounts(key))
                },
                "s": [
                    [modality, name, tail.last, tail.stream.dump()]
                    for (modality, name), tail in sorted(self.tails.items(), key=lambda at: at[0])
                ],
            }
        )

    @classmethod
    def load(cls, data: bytes | str) -> Self:
        """Take up a state that `dump` returned."""
        raw: dict[str, Any] = orjson.loads(data)
        now = 0 if raw["l"] is None else raw["l"] // BUCKET
        return cls(
            version=raw["v"],
            latest=raw["l"],
            events=raw["n"][0],
            evidence=raw["n"][1],
            is_exact=raw["x"],
            totals=raw["t"],
            buckets={
                key: {now - age: amount for age, amount in zip(ages[::2], ages[1::2], strict=True)}
                for key, ages in raw["b"].items()
            },
            tails={
                (modality, name): Tail(STREAMS[name].load(*tail), tuple(last))
                for modality, name, last, tail in raw["s"]
            },
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """Say what mood a session is in, how sure that is (0..1), from which signals, and what to do.

    `confidence` is a rule confidence, margin times saturation; it is no probability.
    """

    mood: str
    confidence: float
    signals: tuple[str, ...]
    action: str


UNDECIDED = Assessment(NEUTRAL, 0.0, (), ACTIONS[NEUTRAL])
"""What is said of a session that has shown too little."""


def recompute(observations: Iterable[Observation], rules: Rules) -> State:
    """Compute the state of a session from everything that was ever observed in it."""
    state = State(rules.version)
    advance(state, observations, rules)
    return state


def advance(state: State, observations: Iterable[Observation], rules: Rules) -> bool:
    """Take observations into the state, in any order, and tell whether it is still exact.

    When it is not, an observation came too late for its stream and `recompute` from all stored
    observations is due; everything but the order-dependent signals is right already.
    """
    for seen_at, seen in sorted(((place(each), each) for each in observations), key=_by_place):
        entry = _entry(seen, rules)
        if entry is None:
            continue
        if seen.modality == NATIVE:
            state.events += 1
        else:
            state.evidence += 1
        if state.latest is None or seen.at > state.latest:
            state.latest = seen.at
        strength = seen.strength if entry.ramp is None else _ramped(entry.ramp, seen.duration_ms)
        state.add(entry.key, seen.at, strength)
        name = stream_of(seen)
        if name is not None:
            _derive(state, name, seen_at, seen, rules)
    return state.is_exact


def _by_place(item: tuple[Place, Observation]) -> Place:
    return item[0]


def _entry(seen: Observation, rules: Rules) -> Entry | None:
    if seen.kind == "scroll" and seen.speed is not None and seen.speed >= rules.fast_scroll_speed:
        fast = rules.index.get((seen.modality, "fast_scroll"))
        if fast is not None:
            return fast
    return rules.index.get((seen.modality, seen.kind))


def _ramped(ramp: Ramp, duration_ms: float | None) -> int:
    if duration_ms is None:
        return ramp.unknown
    if not duration_ms > ramp.low_ms:
        return 0
    if duration_ms >= ramp.high_ms:
        return FULL_STRENGTH
    share = (duration_ms - ramp.low_ms) / (ramp.high_ms - ramp.low_ms)
    return math.floor(share * FULL_STRENGTH + 0.5)


def _derive(state: State, name: str, seen_at: Place, seen: Observation, rules: Rules) -> None:
    tail = state.tails.get((seen.modality, name))
    if tail is None:
        tail = state.tails[seen.modality, name] = Tail(STREAMS[name]())
    elif tail.last is not None and seen_at < tail.last:
        state.is_exact = False
        return
    tail.last = seen_at
    for change in tail.stream.feed(seen, rules):
        entry = rules.index.get((seen.modality, change.kind))
        if entry is not None:
            state.add(entry.key, change.at, change.amount)


def assess(state: State, rules: Rules) -> Assessment:
    """Read the mood from the state; the cost is bounded and reading changes nothing."""
    if state.observations < rules.minimum_observations:
        return UNDECIDED
    contributions = _contributions(state, rules)
    scores = [sum(each.weights[mood] * x for each, x in contributions) for mood in _ALL]
    peak = max(scores)
    if peak <= 0:
        return UNDECIDED
    best = next(mood for mood in _ALL if scores[mood] >= peak * (1 - TIE))
    margin = min(_margin(contributions, best, rival) for rival in _ALL if rival != best)
    confidence = max(0.0, margin) * (1 - DOUBT_PER_OBSERVATION**state.observations)
    if state.observations < rules.settled_observations and not _is_decisive(state):
        confidence = min(confidence, rules.unsettled_confidence)
    mood = MOODS[best]
    return Assessment(mood, confidence, _signals(state, contributions, best), ACTIONS[mood])


_ALL = range(len(MOODS))


def _contributions(state: State, rules: Rules) -> list[tuple[Entry, float]]:
    """List what each kind adds before its weights: factor · √n, n the decayed occurrences."""
    now = 0 if state.latest is None else state.latest // BUCKET
    horizon = now - HORIZON_BUCKETS
    found = []
    for entry in rules.entries:
        sums = state.buckets.get(entry.key)
        if sums:
            amount = math.fsum(
                [
                    DECAY[now - bucket] * (each if each < BUCKET_CAP else BUCKET_CAP)  # noqa: FURB136 (twice as fast as min)
                    for bucket, each in sums.items()
                    if bucket > horizon
                ]
            )
            if amount > 0:
                found.append((entry, entry.factor * math.sqrt(amount / FULL_STRENGTH)))
    return found


def _margin(contributions: list[tuple[Entry, float]], best: int, rival: int) -> float:
    """Weigh what speaks for `best` rather than `rival` against what speaks the other way, -1..1.

    Counting only the differences, an observation that speaks most for `best` can only raise it.
    """
    for_best = for_rival = 0.0
    for entry, x in contributions:
        difference = (entry.weights[best] - entry.weights[rival]) * x
        if difference > 0:
            for_best += difference
        else:
            for_rival -= difference
    both = for_best + for_rival
    return (for_best - for_rival) / both if both > 0 else 0.0


def _is_decisive(state: State) -> bool:
    """Tell whether a rage click met an error: one such pair needs no further events."""
    kinds = {key.rpartition("/")[2] for key, total in state.totals.items() if total > 0}
    return {"rage_click", "error"} <= kinds


def _signals(state: State, contributions: list[tuple[Entry, float]], mood: int) -> tuple[str, ...]:
    """Name what speaks for the mood, strongest first, then by name."""
    share: dict[str, float] = {}
    seen: dict[str, int] = {}
    entries: dict[str, Entry] = {}
    for entry, x in contributions:
        if entry.weights[mood] > 0:
            share[entry.signal] = share.get(entry.signal, 0.0) + entry.weights[mood] * x
            seen[entry.signal] = seen.get(entry.signal, 0) + state.totals.get(entry.key, 0)
            entries.setdefault(entry.signal, entry)
    named = [
        (-share[signal], signal if seen[signal] >= entry.minimum else entry.below)
        for signal, entry in entries.items()
    ]
    return tuple(name for _, name in sorted(named) if name)
