"""The rules of one account: the table of signals, the thresholds, and what follows from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import orjson

from plugins.mood.observations import FULL_STRENGTH, NATIVE
from plugins.mood.signals import MAX_WEIGHT, MOODS, SIGNAL_RULES, Ramp, SignalRule

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND = 1_000_000
"""A second in microseconds, the unit of time inside."""

BUCKET = 30 * SECOND
"""Width of a time bucket, µs. Buckets are aligned to the epoch, the same for every order."""

HALF_LIFE_BUCKETS = 2
"""After this many buckets (60 s) an occurrence counts half; its share of the score, which grows
with the square root of the occurrences, halves after 120 s."""

HORIZON_BUCKETS = 40
"""Buckets that are remembered (20 min); what is older would weigh less than 2^-10."""

BUCKET_CAP = 8 * FULL_STRENGTH
"""At most eight occurrences of a kind count in one bucket: a flood of scrolls is no argument."""

DECAY = tuple(2.0 ** (-age / HALF_LIFE_BUCKETS) for age in range(HORIZON_BUCKETS))
"""decay(age) for an age in buckets."""

DOUBT_PER_OBSERVATION = 0.25 ** (1 / 3)
"""saturation(n) = 1 - this^n: every three observations take away three quarters of the doubt."""

RULES_FORMAT = 1
"""Raised when the formulas themselves change, so that stored states are computed anew."""


class Entry(NamedTuple):
    """Hold one rule in the form the engine reads: dense weights and a key of the state."""

    key: str
    signal: str
    minimum: int
    below: str
    ramp: Ramp | None
    factor: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Rules:
    """Hold everything that decides how observations become a mood; equal content, equal `version`.

    Times are milliseconds, distances pixels, `fast_scroll_speed` pixels per second.
    Raise ValueError on a value that makes no sense.
    """

    rage_click_count: int = 3
    """Clicks that make a rage click."""
    rage_click_window_ms: int = 1_000
    """The first and the last of them are at most this far apart."""
    rage_click_radius_px: int = 30
    """Every two of them are at most this far apart."""
    rapid_click_window_ms: int = 5_000
    """A click this soon after another one, elsewhere, is a rapid click."""
    error_click_window_ms: int = 2_000
    """An error this soon after a click is an error click."""
    quick_back_window_ms: int = 10_000
    """Page A, page B and page A again within this time are a quick back."""
    refocus_window_ms: int = 10_000
    """A blur is taken back when a focus follows within this time: it was a step between fields."""
    sustained_focus_window_ms: int = 60_000
    """A focus this soon after another one is sustained form interaction."""
    scroll_reversal_window_ms: int = 5_000
    """A scroll this soon after one in the other direction is a scroll reversal."""
    fast_scroll_speed: int = 2_000
    """From this speed on a scroll is a fast one: two screens a second, more than eyes can read."""
    minimum_observations: int = 3
    """With fewer the mood is neutral."""
    settled_observations: int = 6
    """With fewer the confidence is at most `unsettled_confidence`."""
    unsettled_confidence: float = 0.4
    """Highest confidence of an unsettled session, unless a rage click met an error."""
    modality_weights: Mapping[str, float] = field(default_factory=dict)
    """Factor on all evidence of a modality; 1 where not named, 0 leaves it out."""
    signal_rules: tuple[SignalRule, ...] = SIGNAL_RULES
    """The table of signals, third parties' rules included."""

    def __post_init__(self) -> None:
        for name in WHOLE_THRESHOLDS:
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MAX_LIMIT:
                raise ValueError(f"{name} must be a whole number from 1 to {MAX_LIMIT}")
        if not MIN_RAGE_CLICK_COUNT <= self.rage_click_count <= MAX_RAGE_CLICK_COUNT:
            raise ValueError(
                f"rage_click_count must be between {MIN_RAGE_CLICK_COUNT} and"
                f" {MAX_RAGE_CLICK_COUNT}"
            )
        if not 0 <= self.unsettled_confidence <= 1:
            raise ValueError("unsettled_confidence must be between 0 and 1")
        if self.settled_observations < self.minimum_observations:
            raise ValueError("settled_observations must not be below minimum_observations")
        if NATIVE in self.modality_weights:
            raise ValueError(f"the modality {NATIVE} always counts and takes no weight")
        for modality, weight in self.modality_weights.items():
            if not 0 <= weight <= MAX_WEIGHT:
                raise ValueError(f"weight of {modality} must be between 0 and {MAX_WEIGHT}")
        names = [(rule.modality, rule.kind) for rule in self.signal_rules]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two rules for {'/'.join(twice)}")

    @cached_property
    def version(self) -> str:
        """Name the content: states of another version are computed anew."""
        content = orjson.dumps(
            [RULES_FORMAT, asdict(self)], option=orjson.OPT_SORT_KEYS, default=dict
        )
        return blake2b(content, digest_size=8).hexdigest()

    @cached_property
    def index(self) -> Mapping[tuple[str, str], Entry]:
        """Find the entry of (modality, kind); kinds whose modality weighs 0 are left out."""
        entries = {}
        for rule in self.signal_rules:
            factor = float(self.modality_weights.get(rule.modality, 1.0))
            if factor > 0:
                entries[rule.modality, rule.kind] = Entry(
                    key=f"{rule.modality}/{rule.kind}",
                    signal=rule.signal,
                    minimum=round(rule.minimum * FULL_STRENGTH),
                    below=rule.below,
                    ramp=rule.ramp,
                    factor=factor,
                    weights=tuple(float(rule.weights.get(mood, 0.0)) for mood in MOODS),
                )
        return entries

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """List the entries in the table's order, in which scores are summed."""
        return tuple(self.index.values())


WHOLE_THRESHOLDS = tuple(each.name for each in fields(Rules) if each.type == "int")
"""The thresholds that are whole numbers."""

THRESHOLDS = (*WHOLE_THRESHOLDS, "unsettled_confidence")
"""Every threshold that an account can set."""

MAX_LIMIT = 3_600_000
"""The largest threshold, an hour in milliseconds."""

MIN_RAGE_CLICK_COUNT = 2
"""One click is no repetition."""

MAX_RAGE_CLICK_COUNT = 6
"""More clicks than the derivation keeps in its tail could never be found."""
