"""The page about moods says what the rules are."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.mood.rules import (
    BUCKET,
    BUCKET_CAP,
    DOUBT_PER_OBSERVATION,
    HALF_LIFE_BUCKETS,
    HORIZON_BUCKETS,
    SECOND,
    THRESHOLDS,
    Rules,
)
from plugins.mood.services import SYNCHRONOUS_RECOMPUTE_LIMIT
from plugins.mood.signals import (
    ACTIONS,
    DERIVED_RULES,
    EVENT_RULES,
    FACIAL_RULES,
    INTERACTION_RULES,
    SEARCH_RULES,
    VIDEO_RULES,
    VOICE_RULES,
    SignalRule,
)

PAGE = Path(__file__, "../../../docs/mood.md").resolve().read_text()
TABLES = (
    *EVENT_RULES,
    *DERIVED_RULES,
    *FACIAL_RULES,
    *VOICE_RULES,
    *VIDEO_RULES,
    *SEARCH_RULES,
)


def cells(rule: SignalRule) -> str:
    ranked = sorted(rule.weights.items(), key=lambda item: -item[1])
    weights = ", ".join(f"{mood} {weight:g}" for mood, weight in ranked)
    minimum = f" from {rule.minimum:g}" if rule.minimum else ""
    below = f", else `{rule.below}`" if rule.below else ""
    row = f"| `{rule.kind}` | {weights} | `{rule.signal}`{minimum}{below} |"
    if rule in (*EVENT_RULES, *DERIVED_RULES):
        ramp = rule.ramp
        strength = f"{ramp.low_ms / 1000:g} s to {ramp.high_ms / 1000:g} s" if ramp else "1"
        row = f"{row} {strength} |"
    return row


@pytest.mark.parametrize("rule", TABLES, ids=lambda rule: f"{rule.modality}/{rule.kind}")
def test_every_weight_is_on_the_page(rule: SignalRule) -> None:
    assert cells(rule) in PAGE


def test_no_weight_is_on_the_page_that_no_rule_has() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") > 3]
    kinds = [line for line in rows if any(line.startswith(f"| `{r.kind}` |") for r in TABLES)]
    assert sorted(kinds) == sorted(cells(rule) for rule in TABLES)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_every_threshold_is_on_the_page(name: str) -> None:
    assert f"| `{name}` | {getattr(Rules(), name):g} | " in PAGE


@pytest.mark.parametrize("mood", ACTIONS)
def test_every_action_is_on_the_page(mood: str) -> None:
    assert f"| {mood} | `{ACTIONS[mood]}` |" in PAGE


def test_interaction_events_have_the_weights_of_events() -> None:
    native = {rule.kind: rule for rule in (*EVENT_RULES, *DERIVED_RULES)}
    for rule in INTERACTION_RULES:
        if rule.kind == "input":
            assert rule.weights == {"focused": 0.8, "decisive": 0.3}
        else:
            assert rule.weights == native[rule.kind].weights


def test_the_constants_are_those_of_the_page() -> None:
    assert BUCKET == 30 * SECOND
    assert HALF_LIFE_BUCKETS * BUCKET == 60 * SECOND
    assert HORIZON_BUCKETS * BUCKET == 20 * 60 * SECOND
    assert BUCKET_CAP == 800
    assert pytest.approx(0.25) == DOUBT_PER_OBSERVATION**3
    assert SYNCHRONOUS_RECOMPUTE_LIMIT == 2_000
