"""The table of rules: what cues, signals, engagement and quality rest on, read from `rules.toml` and checked."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from plugins.stream.analysis.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

Section = TypeVar("Section")

SIGNAL_TYPES = (
    "agreement",
    "confidence",
    "confusion",
    "disagreement",
    "disengagement",
    "engagement",
    "frustration",
    "hesitation",
    "interest",
    "skepticism",
    "stress",
    "uncertainty",
)
"""The signals that the stream's contract knows."""

QUALITY_VALUES = ("clarity", "authority", "energy", "rapport", "learning")
"""The values whose mean is the quality index, in the order of the wire."""

Probability = Literal["low", "medium", "high"]

PROBABILITIES: tuple[Probability, ...] = ("low", "medium", "high")
"""How likely a signal is said to be, rising."""

CERTAINTY: Mapping[Probability, float] = {"low": 0.4, "medium": 0.7, "high": 1.0}
"""What a probability weighs: as evidence for a mood, and in the quality of a conversation."""


class InvalidRules(ValueError):
    """The table of rules cannot be used; the message names the entry."""


@dataclass(frozen=True, slots=True)
class WindowRule:
    """Say how long a window is, how far the next one is, and how much face it needs; seconds, seconds, a share."""

    length: float
    step: float
    face_share: float


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """Say when the person's own baseline stands, and how fast it follows; all in seconds."""

    seconds: float
    half_life: float
    face: float
    speech: float


@dataclass(frozen=True, slots=True)
class ProbabilityRule:
    """Say at how many points a signal is on, off, of medium and of high probability."""

    on: float
    off: float
    medium: float
    high: float
    margin: float
    need: float


@dataclass(frozen=True, slots=True)
class GazeRule:
    """Say when a frame looks away: degrees, degrees, eye widths, blendshape; each against the person's own."""

    yaw: float
    pitch: float
    iris: float
    down: float


@dataclass(frozen=True, slots=True)
class GestureRule:
    """Say what a nod or a shake is: Hz, Hz, degrees, ratio to the other axis."""

    slowest: float
    fastest: float
    amplitude: float
    dominance: float


@dataclass(frozen=True, slots=True)
class SpeechRule:
    """Say which gaps are pauses (seconds, seconds) and from which probability a word counts."""

    pause: float
    turn: float
    word: float


@dataclass(frozen=True, slots=True)
class CueRule:
    """Define one cue: what is measured, from where to where it counts, how it is told, where it comes from."""

    name: str
    measure: str
    low: float
    high: float
    text: str
    source: str
    level: float = 0.0
    words: tuple[str, ...] = ()

    def strength(self, value: float) -> float:
        """Return how strong the cue is at a value, 0 to 1."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True)
class SignalRule:
    """Define one signal: points for each cue at full strength, the cues of which one must be there, sources."""

    name: str
    needs: tuple[str, ...]
    cues: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class EngagementRule:
    """Define the engagement state: points for cues, borders in points, how many windows a change must hold."""

    engaged: float
    disengaged: float
    margin: float
    windows: int
    cues: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class QualityRule:
    """Define one quality value: points for cues, for signals and for the engagement state."""

    cues: Mapping[str, float]
    signals: Mapping[str, float]
    engagement: float


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold the whole table."""

    window: WindowRule
    baseline: BaselineRule
    probability: ProbabilityRule
    gaze: GazeRule
    gesture: GestureRule
    speech: SpeechRule
    cues: Mapping[str, CueRule]
    signals: Mapping[str, SignalRule]
    engagement: EngagementRule
    period: float
    tail: float
    quality: Mapping[str, QualityRule]

    def with_windows(self, length: float, step: float) -> Rules:
        """Return the same rules with windows of another length and step, in seconds."""
        return _checked(replace(self, window=replace(self.window, length=length, step=step)))


def parse_rules(text: str) -> Rules:
    """Read a table of rules in the form of `rules.toml`; raise InvalidRules where it cannot be used."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRules(f"rules: {error}") from error
    known = {"window", "baseline", "probability", "gaze", "gesture", "speech"}
    known |= {"cues", "signals", "engagement", "quality"}
    _same_keys("rules", raw, known)
    quality = _table("quality", raw["quality"])
    _same_keys("quality", quality, {"period", "tail", "values"})
    cues = {name: _cue(name, entry) for name, entry in _table("cues", raw["cues"]).items()}
    return _checked(
        Rules(
            window=_section("window", raw, WindowRule),
            baseline=_section("baseline", raw, BaselineRule),
            probability=_section("probability", raw, ProbabilityRule),
            gaze=_section("gaze", raw, GazeRule),
            gesture=_section("gesture", raw, GestureRule),
            speech=_section("speech", raw, SpeechRule),
            cues=cues,
            signals={
                name: _signal(name, entry, cues)
                for name, entry in _table("signals", raw["signals"]).items()
            },
            engagement=_engagement(_table("engagement", raw["engagement"]), cues),
            period=_number("quality.period", quality["period"]),
            tail=_number("quality.tail", quality["tail"]),
            quality={
                name: _quality(f"quality.values.{name}", entry, cues)
                for name, entry in _table("quality.values", quality["values"]).items()
            },
        )
    )


@cache
def default_rules() -> Rules:
    """Return the rules that come with the package."""
    return parse_rules(resources.files(__package__).joinpath("rules.toml").read_text("utf-8"))


SHORTEST_STEP = 0.5
LONGEST_WINDOW = 60.0
SHORTEST_PAUSE = 0.05
MOST_WINDOWS = 10
"""Bounds of what makes sense, in seconds: a window holds media in memory, a step costs CPU time."""


def _checked(rules: Rules) -> Rules:
    window, points = rules.window, rules.probability
    conditions = {
        "window: 0.5 <= step <= length <= 60": SHORTEST_STEP
        <= window.step
        <= window.length
        <= LONGEST_WINDOW,
        "window.face_share: between 0 and 1": 0 < window.face_share <= 1,
        "baseline: all above 0": min(rules.baseline.seconds, rules.baseline.half_life) > 0
        and min(rules.baseline.face, rules.baseline.speech) > 0,
        "probability: 0 < off <= on <= medium <= high": 0
        < points.off
        <= points.on
        <= points.medium
        <= points.high,
        "probability: margin and need must not be negative": min(points.margin, points.need) >= 0,
        "gesture: 0 < slowest < fastest": 0 < rules.gesture.slowest < rules.gesture.fastest,
        "speech: 0.05 <= pause < turn": SHORTEST_PAUSE <= rules.speech.pause < rules.speech.turn,
        "engagement: disengaged < engaged": rules.engagement.disengaged < rules.engagement.engaged,
        "engagement.windows: 1 to 10": 1 <= rules.engagement.windows <= MOST_WINDOWS,
        "quality: 1 <= period <= 60, 0 < tail <= period": 1 <= rules.period <= LONGEST_WINDOW
        and 0 < rules.tail <= rules.period,
        f"signals: exactly {', '.join(SIGNAL_TYPES)}": set(rules.signals) == set(SIGNAL_TYPES),
        f"quality.values: exactly {', '.join(QUALITY_VALUES)}": set(rules.quality)
        == set(QUALITY_VALUES),
    }
    for condition, holds in conditions.items():
        if not holds:
            raise InvalidRules(condition)
    return rules


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRules(f"{where}: must be a table")
    return cast("dict[str, Any]", value)


def _same_keys(where: str, table: Mapping[str, Any], expected: set[str]) -> None:
    for name in sorted(expected - set(table)):
        raise InvalidRules(f"{where}: {name} is missing")
    for name in sorted(set(table) - expected):
        raise InvalidRules(f"{where}: there is no {name}")


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidRules(f"{where}: must be a number")
    return float(value)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRules(f"{where}: must be a text")
    return value


def _section(name: str, raw: Mapping[str, Any], kind: type[Section]) -> Section:
    table = _table(name, raw[name])
    names = [item.name for item in fields(cast("Any", kind))]
    _same_keys(name, table, set(names))
    return kind(**{key: _number(f"{name}.{key}", table[key]) for key in names})


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidRules(f"{where}: must be a list of texts")
    return tuple(_text(where, item) for item in value)


def _points(where: str, value: Any, names: Mapping[str, Any] | tuple[str, ...]) -> dict[str, float]:
    table = _table(where, value)
    for name in table:
        if name not in names:
            raise InvalidRules(f"{where}: there is no {name}")
    return {name: _number(f"{where}.{name}", points) for name, points in table.items()}


def _cue(name: str, value: Any) -> CueRule:
    where = f"cues.{name}"
    table = _table(where, value)
    _same_keys(
        where,
        {"level": 0.0, "words": [], "measure": name, **table},
        {"measure", "low", "high", "level", "words", "text", "source"},
    )
    words = _texts(f"{where}.words", table["words"]) if "words" in table else ()
    cue = CueRule(
        name=name,
        measure=_text(f"{where}.measure", table.get("measure", "phrases" if words else name)),
        low=_number(f"{where}.low", table["low"]),
        high=_number(f"{where}.high", table["high"]),
        text=_text(f"{where}.text", table["text"]),
        source=_text(f"{where}.source", table["source"]),
        level=_number(f"{where}.level", table.get("level", 0.0)),
        words=tuple(word.lower() for word in words),
    )
    if cue.measure not in MEASURES:
        raise InvalidRules(f"{where}: there is no measure {cue.measure}")
    if cue.low == cue.high:
        raise InvalidRules(f"{where}: low and high must differ")
    try:
        cue.text.format(value="", seconds="", window="", level="", note="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InvalidRules(f"{where}.text: {error!r}") from error
    return cue


def _signal(name: str, value: Any, cues: Mapping[str, CueRule]) -> SignalRule:
    where = f"signals.{name}"
    table = _table(where, value)
    _same_keys(where, table, {"needs", "cues", "source"})
    points = _points(f"{where}.cues", table["cues"], cues)
    needs = _texts(f"{where}.needs", table["needs"])
    for need in needs:
        if points.get(need, 0.0) <= 0:
            raise InvalidRules(f"{where}.needs: {need} has no points above 0")
    return SignalRule(name, needs, points, _text(f"{where}.source", table["source"]))


def _engagement(table: dict[str, Any], cues: Mapping[str, CueRule]) -> EngagementRule:
    _same_keys("engagement", table, {item.name for item in fields(EngagementRule)})
    windows = table["windows"]
    if isinstance(windows, bool) or not isinstance(windows, int):
        raise InvalidRules("engagement.windows: must be a whole number")
    return EngagementRule(
        engaged=_number("engagement.engaged", table["engaged"]),
        disengaged=_number("engagement.disengaged", table["disengaged"]),
        margin=_number("engagement.margin", table["margin"]),
        windows=windows,
        cues=_points("engagement.cues", table["cues"], cues),
        source=_text("engagement.source", table["source"]),
    )


def _quality(where: str, value: Any, cues: Mapping[str, CueRule]) -> QualityRule:
    table = _table(where, value)
    _same_keys(where, table, {"cues", "signals", "engagement"})
    return QualityRule(
        cues=_points(f"{where}.cues", table["cues"], cues),
        signals=_points(f"{where}.signals", table["signals"], SIGNAL_TYPES),
        engagement=_number(f"{where}.engagement", table["engagement"]),
    )
