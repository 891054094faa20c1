"""What the rules promise: the document's example, thresholds, derived signals, modalities."""

from __future__ import annotations

import math

import pytest

from plugins.mood.engine import Assessment, assess, recompute
from plugins.mood.observations import EVENT_TYPES, NATIVE, Observation
from plugins.mood.rules import SECOND, Rules
from plugins.mood.signals import EVENT_RULES, SignalRule

START = 1_746_352_800 * SECOND
MS = 1_000
RULES = Rules()
EXAMPLE = [
    Observation(START, "rage_click", x=240, y=580),
    Observation(START + 2 * SECOND, "error"),
    Observation(START + 7 * SECOND, "idle", duration_ms=4500),
]
TOWARD = {
    "click": ["decisive", "browsing"],
    "rage_click": ["frustrated"],
    "scroll": ["browsing", "confused"],
    "input_pause": ["confused", "frustrated"],
    "backtrack": ["confused"],
    "back_nav": ["frustrated", "confused"],
    "page_view": ["browsing"],
    "error": ["frustrated"],
    "idle": ["disengaged"],
    "hover": ["confused", "browsing"],
    "focus": ["focused", "decisive"],
    "blur": ["confused", "disengaged"],
}


def read(seen: list[Observation], rules: Rules = RULES) -> Assessment:
    return assess(recompute(seen, rules), rules)


def total(seen: list[Observation], kind: str, rules: Rules = RULES) -> int:
    return recompute(seen, rules).totals.get(f"{NATIVE}/{kind}", 0)


def clicks(*spots: tuple[float, float, float]) -> list[Observation]:
    return [Observation(START + int(ms * MS), "click", x=x, y=y) for ms, x, y in spots]


def test_the_documented_batch_sent_twice_is_the_documented_answer() -> None:
    answer = read(EXAMPLE * 2)
    assert answer.mood == "frustrated"
    assert round(answer.confidence, 2) == 0.89
    assert answer.signals == ("rage_click_detected", "repeated_errors")
    assert answer.action == "show_live_chat"


def test_the_documented_batch_sent_once_is_frustrated_already() -> None:
    answer = read(EXAMPLE)
    assert answer.mood == "frustrated"
    assert answer.confidence > RULES.unsettled_confidence


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_event_type_speaks_for_the_moods_the_document_names_first_one_first(
    kind: str,
) -> None:
    rule = next(rule for rule in EVENT_RULES if rule.kind == kind)
    ranked = sorted(rule.weights, key=rule.weights.__getitem__, reverse=True)
    assert ranked[: len(TOWARD[kind])] == TOWARD[kind]


@pytest.mark.parametrize("seen", [[], EXAMPLE[:1], EXAMPLE[:2]])
def test_fewer_than_three_observations_are_neutral(seen: list[Observation]) -> None:
    assert read(seen) == Assessment("neutral", 0.0, (), "no_action")


def test_observations_that_say_nothing_are_neutral() -> None:
    assert read([Observation(START, "idle", duration_ms=0)] * 10).mood == "neutral"


def test_three_to_five_observations_have_a_mood_with_low_confidence() -> None:
    for count in (3, 4, 5):
        answer = read([Observation(START, "page_view")] * count)
        assert answer.mood == "browsing"
        assert 0 < answer.confidence <= RULES.unsettled_confidence
    assert read([Observation(START, "page_view")] * 6).confidence > RULES.unsettled_confidence


def test_an_error_counts_as_repeated_from_the_second_on() -> None:
    others = [Observation(START, "back_nav")] * 3
    once = read([*others, Observation(START, "error")])
    twice = read([*others, *[Observation(START, "error")] * 2])
    assert "repeated_errors" not in once.signals
    assert "error_encountered" in once.signals
    assert "repeated_errors" in twice.signals


def test_only_signals_that_speak_for_the_mood_are_named() -> None:
    seen = [*EXAMPLE, *[Observation(START, kind) for kind in ("focus", "page_view", "idle")]]
    assert read(seen).signals == ("rage_click_detected", "error_encountered")


def test_a_long_idle_is_told_from_a_brief_one() -> None:
    brief = [Observation(START, "idle", duration_ms=6_000)] * 3
    long = [Observation(START, "idle", duration_ms=60_000)] * 3
    assert read(brief).signals == ("brief_idle",)
    assert read(long).signals == ("long_idle",)


def test_three_close_clicks_are_one_rage_click_and_no_clicks() -> None:
    seen = clicks((0, 100, 100), (400, 110, 105), (1000, 95, 100))
    assert total(seen, "rage_click") == 100
    assert total(seen, "click") == 0
    assert read(seen).mood == "frustrated"


@pytest.mark.parametrize(
    "spots",
    [
        ((0, 100, 100), (400, 100, 100), (1000.001, 100, 100)),
        ((0, 100, 100), (400, 115, 100), (800, 131, 100)),
        ((0, 100, 100), (400, 100, 100)),
    ],
)
def test_clicks_too_slow_too_far_or_too_few_are_no_rage_click(
    spots: tuple[tuple[float, float, float], ...],
) -> None:
    assert total(clicks(*spots), "rage_click") == 0
    assert total(clicks(*spots), "click") == 100 * len(spots)


def test_clicks_are_used_for_one_rage_click_only() -> None:
    assert total(clicks(*[(n * 100, 50, 50) for n in range(5)]), "rage_click") == 100
    assert total(clicks(*[(n * 100, 50, 50) for n in range(6)]), "rage_click") == 200


def test_a_rage_click_is_found_among_clicks_elsewhere() -> None:
    seen = clicks(
        (0, 50, 50), (200, 900, 50), (400, 50, 50), (600, 900, 50), (800, 50, 50), (900, 900, 50)
    )
    assert total(seen, "rage_click") == 200


def test_clicks_without_a_position_are_no_rage_click() -> None:
    assert total([Observation(START, "click")] * 5, "rage_click") == 0
    assert total([Observation(START, "click", x=math.nan, y=1)] * 5, "rage_click") == 0


def test_an_error_within_two_seconds_of_a_click_is_an_error_click() -> None:
    click = Observation(START, "click")
    assert total([click, Observation(START + 2 * SECOND, "error")], "error_click") == 100
    assert total([click, Observation(START + 2 * SECOND + 1, "error")], "error_click") == 0
    assert total([Observation(START, "error"), click._replace(at=START + 1)], "error_click") == 0


def test_there_and_back_within_ten_seconds_is_a_quick_back() -> None:
    def pages(*views: tuple[float, str]) -> list[Observation]:
        return [Observation(START + int(s * SECOND), "page_view", url=url) for s, url in views]

    assert total(pages((0, "/a"), (4, "/b"), (10, "/a")), "quick_back") == 100
    assert total(pages((0, "/a"), (4, "/b"), (10.1, "/a")), "quick_back") == 0
    assert total(pages((0, "/a"), (4, "/b"), (6, "/c")), "quick_back") == 0
    assert total(pages((0, "/a"), (4, "/a"), (6, "/a")), "quick_back") == 0


def test_a_blur_that_is_followed_by_a_focus_is_no_abandonment() -> None:
    left = [Observation(START, "focus"), Observation(START + SECOND, "blur")]
    assert total(left, "blur") == 100
    assert total([*left, Observation(START + 3 * SECOND, "focus")], "blur") == 0
    assert total([*left, Observation(START + 30 * SECOND, "focus")], "blur") == 100


def test_scrolling_up_and_down_is_a_reversal_and_fast_scrolling_is_skimming() -> None:
    turns = [
        Observation(START + n * SECOND, "scroll", speed=300, direction="up" if n % 2 else "down")
        for n in range(4)
    ]
    assert total(turns, "scroll_reversal") == 300
    fast = [Observation(START, "scroll", speed=5000)] * 6
    assert read(fast).mood == "confused"
    assert read(fast).signals == ("fast_scrolling",)
    assert read([Observation(START, "scroll", speed=400)] * 6).mood == "browsing"


def test_thresholds_belong_to_the_account() -> None:
    rules = Rules(rage_click_count=2, rage_click_window_ms=3000, rage_click_radius_px=200)
    seen = clicks((0, 100, 100), (2500, 250, 100))
    assert total(seen, "rage_click") == 0
    assert total(seen, "rage_click", rules) == 100


def test_a_flood_of_scrolls_does_not_drown_a_rage_click_that_met_an_error() -> None:
    flood = [Observation(START + n * 10_000, "scroll", speed=200) for n in range(5_000)]
    assert read([*flood, *[each._replace(at=START + 50 * SECOND) for each in EXAMPLE]]).mood == (
        "frustrated"
    )


def test_evidence_of_other_plugins_makes_a_mood_and_a_weight_of_zero_leaves_it_out() -> None:
    seen = [Observation(START + n * SECOND, "frustration", "video", 80) for n in range(6)]
    assert read(seen).mood == "frustrated"
    assert recompute(seen, RULES).evidence == 6
    deaf = Rules(modality_weights={"video": 0})
    assert read(seen, deaf).mood == "neutral"
    assert recompute(seen, deaf).observations == 0


def test_interaction_clicks_take_part_in_rage_clicks_and_error_clicks() -> None:
    seen = [
        *[each._replace(modality="interaction") for each in clicks(*[(n, 5, 5) for n in range(3)])],
        Observation(START + SECOND, "error", "interaction"),
    ]
    assert read(seen).mood == "frustrated"
    assert set(read(seen).signals) >= {"rage_click_detected", "error_click"}


def test_evidence_of_an_unknown_kind_does_not_count_until_a_rule_knows_it() -> None:
    seen = [Observation(START, "sigh", "voice")] * 6
    assert recompute(seen, RULES).observations == 0
    rule = SignalRule("voice", "sigh", "sighing", {"disengaged": 1.0})
    taught = Rules(signal_rules=(*RULES.signal_rules, rule))
    assert read(seen, taught).signals == ("sighing",)


@pytest.mark.parametrize(
    "weights",
    [{}, {"happy": 1.0}, {"confused": 0.0}, {"confused": 5.1}, {"confused": 1, "focused": 1}],
)
def test_a_rule_with_unusable_weights_is_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rule voice/sigh"):
        SignalRule("voice", "sigh", "sighing", weights)


@pytest.mark.parametrize(
    "change",
    [
        {"rage_click_count": 1},
        {"rage_click_count": True},
        {"rage_click_window_ms": 0},
        {"quick_back_window_ms": 3_600_001},
        {"unsettled_confidence": 1.5},
        {"minimum_observations": 9},
        {"modality_weights": {"facial": -1}},
        {"modality_weights": {"facial": math.nan}},
        {"modality_weights": {"event": 0}},
        {"signal_rules": (*RULES.signal_rules, RULES.signal_rules[0])},
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Rules(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("duration", [-1, 0, 1e308, math.inf, math.nan, None, 2**64])
def test_durations_of_any_size_are_read(duration: float | None) -> None:
    seen = [Observation(START, "hover", duration_ms=duration)] * 3
    assert read(seen).mood in {"confused", "neutral"}
