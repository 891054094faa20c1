"""The published table: what every kind of observation speaks for, and how loudly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from plugins.mood.observations import NATIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

MOODS = ("frustrated", "confused", "disengaged", "decisive", "focused", "browsing")
"""The moods that can be inferred, those most in need of help first: a tie goes to the first."""

NEUTRAL = "neutral"
"""The mood of a session that has said too little, or nothing that speaks for a mood."""

SUGGESTED_ACTIONS = (
    "no_action",
    "show_live_chat",
    "show_tooltip",
    "show_recommendations",
    "show_exit_offer",
)
"""Everything that can be suggested."""

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "frustrated": "show_live_chat",
        "confused": "show_tooltip",
        "decisive": "no_action",
        "browsing": "show_recommendations",
        "disengaged": "show_exit_offer",
        "focused": "no_action",
        NEUTRAL: "no_action",
    }
)
"""The suggested action of each mood, as the API documents it."""

MAX_WEIGHT = 5.0
"""The largest weight a rule may carry: more would let a single observation outshout any session."""


@dataclass(frozen=True)
class Ramp:
    """Turn a duration into a strength: 0 up to `low_ms`, 1 from `high_ms`, a line in between."""

    low_ms: float
    high_ms: float
    unknown: int
    """Strength in hundredths when the duration was not given."""


@dataclass(frozen=True)
class SignalRule:
    """Say what one kind of observation speaks for.

    `weights` go toward moods; the largest is the mood the kind stands for and must be unique.
    The signal is reported as `signal` once `minimum` occurrences' worth was seen in the session,
    as `below` until then, not at all where the name is empty.
    Raise ValueError when the weights are not usable.
    """

    modality: str
    kind: str
    signal: str
    weights: Mapping[str, float]
    minimum: float = 0.0
    below: str = ""
    ramp: Ramp | None = None

    def __post_init__(self) -> None:
        ranked = sorted(self.weights.values(), reverse=True)
        name = f"{self.modality}/{self.kind}"
        if not self.modality or not self.kind or not ranked:
            raise ValueError(f"rule {name}: modality, kind and weights must not be empty")
        if unknown := set(self.weights) - set(MOODS):
            raise ValueError(f"rule {name}: no such mood: {', '.join(sorted(unknown))}")
        if not all(0 < weight <= MAX_WEIGHT for weight in ranked):
            raise ValueError(f"rule {name}: weights must be above 0 and at most {MAX_WEIGHT}")
        if ranked[1:2] == ranked[:1]:
            raise ValueError(f"rule {name}: the largest weight must stand alone")


# Waits shorter than the lower ends pass unnoticed and are no sign: 1 s keeps a flow of thought
# (Nielsen, Usability Engineering, 1993, ch. 5), reading a label takes about half a second.
IDLE_RAMP = Ramp(low_ms=4_000, high_ms=40_000, unknown=50)
HOVER_RAMP = Ramp(low_ms=500, high_ms=5_000, unknown=50)
INPUT_PAUSE_RAMP = Ramp(low_ms=1_000, high_ms=10_000, unknown=50)

EVENT_RULES = (
    SignalRule(
        NATIVE,
        "click",
        "click_activity",
        {"decisive": 0.5, "browsing": 0.3, "focused": 0.25},
        minimum=2,
    ),
    SignalRule(NATIVE, "rage_click", "rage_click_detected", {"frustrated": 3.0}),
    SignalRule(NATIVE, "scroll", "steady_scrolling", {"browsing": 0.6, "confused": 0.1}, minimum=2),
    SignalRule(
        NATIVE,
        "input_pause",
        "input_hesitation",
        {"confused": 1.0, "frustrated": 0.4},
        minimum=0.2,
        below="input_pause",
        ramp=INPUT_PAUSE_RAMP,
    ),
    SignalRule(NATIVE, "backtrack", "scroll_reversals", {"confused": 1.2}),
    SignalRule(NATIVE, "back_nav", "back_navigation", {"frustrated": 1.0, "confused": 0.6}),
    SignalRule(
        NATIVE,
        "page_view",
        "multi_page_browsing",
        {"browsing": 1.0},
        minimum=2,
        below="page_viewed",
    ),
    SignalRule(
        NATIVE,
        "error",
        "repeated_errors",
        {"frustrated": 2.0},
        minimum=2,
        below="error_encountered",
    ),
    SignalRule(
        NATIVE,
        "idle",
        "long_idle",
        {"disengaged": 1.4},
        minimum=0.25,
        below="brief_idle",
        ramp=IDLE_RAMP,
    ),
    SignalRule(
        NATIVE,
        "hover",
        "long_hover",
        {"confused": 0.9, "browsing": 0.3},
        minimum=0.2,
        below="brief_hover",
        ramp=HOVER_RAMP,
    ),
    SignalRule(NATIVE, "focus", "form_focus", {"focused": 0.7, "decisive": 0.4}),
    SignalRule(NATIVE, "blur", "form_abandonment", {"confused": 0.6, "disengaged": 0.5}),
)
"""One rule for each event type; which moods, and which comes first, is the API's own table."""

DERIVED_RULES = (
    SignalRule(NATIVE, "fast_scroll", "fast_scrolling", {"confused": 0.6, "browsing": 0.3}),
    SignalRule(NATIVE, "scroll_reversal", "scroll_reversals", {"confused": 0.6}),
    SignalRule(NATIVE, "rapid_click", "rapid_clicks", {"decisive": 0.8, "focused": 0.2}),
    SignalRule(NATIVE, "error_click", "error_click", {"frustrated": 1.0}),
    SignalRule(NATIVE, "quick_back", "quick_back", {"frustrated": 0.8, "confused": 0.6}),
    SignalRule(NATIVE, "sustained_focus", "sustained_form_interaction", {"focused": 0.8}),
)
"""What follows from several events together; how they are found is in `derivation`."""

INTERACTION = "interaction"

INTERACTION_RULES = (
    *(
        replace(rule, modality=INTERACTION)
        for rule in (*EVENT_RULES, *DERIVED_RULES)
        if rule.kind not in {"input_pause", "backtrack", "back_nav", "idle", "hover"}
    ),
    SignalRule(INTERACTION, "input", "form_input", {"focused": 0.8, "decisive": 0.3}),
)
"""Interaction events that another plugin took in: the same weights as the API's own events."""


def _rules(
    modality: str, kinds: Mapping[str, tuple[str, Mapping[str, float]]]
) -> tuple[SignalRule, ...]:
    return tuple(
        SignalRule(modality, kind, f"{modality}_{signal}", weights)
        for kind, (signal, weights) in kinds.items()
    )


_ANGER = ("anger", {"frustrated": 1.0})
_FRUSTRATION = ("frustration", {"frustrated": 1.2})
_CONFUSION = ("confusion", {"confused": 1.0})
_SADNESS = ("sadness", {"disengaged": 0.4, "frustrated": 0.3})
_SURPRISE = ("surprise", {"confused": 0.4, "browsing": 0.2})
_HAPPINESS = ("happiness", {"browsing": 0.4, "decisive": 0.3})
_DISGUST = ("disgust", {"frustrated": 0.6})
_FEAR = ("fear", {"confused": 0.5, "frustrated": 0.3})
_BOREDOM = ("boredom", {"disengaged": 1.0})
_ENGAGEMENT = ("high_attention", {"focused": 0.6})

FACIAL_RULES = _rules(
    "facial",
    {
        "frustration": _FRUSTRATION,
        "frustrated": _FRUSTRATION,
        "anger": _ANGER,
        "angry": _ANGER,
        "disgust": _DISGUST,
        "disgusted": _DISGUST,
        "contempt": _DISGUST,
        "confusion": _CONFUSION,
        "confused": _CONFUSION,
        "fear": _FEAR,
        "fearful": _FEAR,
        "surprise": _SURPRISE,
        "surprised": _SURPRISE,
        "sadness": _SADNESS,
        "sad": _SADNESS,
        "boredom": _BOREDOM,
        "bored": _BOREDOM,
        "happiness": _HAPPINESS,
        "happy": _HAPPINESS,
        "joy": _HAPPINESS,
        "concentration": _ENGAGEMENT,
        "focused": _ENGAGEMENT,
        "engaged": _ENGAGEMENT,
        "high_attention": _ENGAGEMENT,
        "low_attention": ("low_attention", {"disengaged": 0.8}),
    },
)
"""Emotion labels are free text; these are the usual ones. `neutral` says nothing about a mood."""

VOICE_RULES = _rules(
    "voice",
    {
        "negative_sentiment": ("negative_sentiment", {"frustrated": 1.0, "confused": 0.2}),
        "positive_sentiment": ("positive_sentiment", {"browsing": 0.4, "decisive": 0.3}),
        "hesitation": ("hesitation", {"confused": 0.8}),
        "fast_speech": ("fast_speech", {"decisive": 0.3, "frustrated": 0.2}),
    },
)

VIDEO_RULES = _rules(
    "video",
    {
        "agreement": ("agreement", {"decisive": 0.4, "focused": 0.2}),
        "confidence": ("confidence", {"decisive": 0.8}),
        "confusion": ("confusion", {"confused": 1.0}),
        "disagreement": ("disagreement", {"frustrated": 0.6}),
        "disengagement": ("disengagement", {"disengaged": 1.0}),
        "engagement": ("engagement", {"focused": 0.8}),
        "frustration": ("frustration", {"frustrated": 1.2}),
        "hesitation": ("hesitation", {"confused": 0.6}),
        "interest": ("interest", {"browsing": 0.6, "focused": 0.3}),
        "skepticism": ("skepticism", {"confused": 0.4, "frustrated": 0.3}),
        "stress": ("stress", {"frustrated": 0.8}),
        "uncertainty": ("uncertainty", {"confused": 0.8}),
    },
)

SEARCH_RULES = _rules(
    "search",
    {
        "zero_results": ("without_results", {"frustrated": 0.8, "confused": 0.6}),
        "abandoned": ("abandoned", {"disengaged": 0.6, "frustrated": 0.5}),
        "reformulation": ("reformulation", {"confused": 0.8, "frustrated": 0.3}),
        "result_click": ("result_click", {"decisive": 0.8, "browsing": 0.4}),
    },
)

NATIVE_RULES = (*EVENT_RULES, *DERIVED_RULES)
"""What the API's own events speak for."""

EVIDENCE_RULES = (*INTERACTION_RULES, *FACIAL_RULES, *VOICE_RULES, *VIDEO_RULES, *SEARCH_RULES)
"""What other plugins' evidence speaks for."""

SIGNAL_RULES = (*NATIVE_RULES, *EVIDENCE_RULES)
"""Every built-in rule."""
