"""The page about signals says what the rules are."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.stream.analysis.measures import MEASURES
from plugins.stream.analysis.rules import CERTAINTY, default_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__, "../../../../docs/signals.md").resolve().read_text()
RULES = default_rules()
SECTIONS = ("window", "baseline", "probability", "gaze", "gesture", "speech", "engagement")


def points(table: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:+g}" for name, value in table.items()).replace("-", "\u2212")


def rows(heading: str) -> list[str]:
    """Return the rows of the tables in a section of the page, without their heads."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_every_setting_is_on_the_page() -> None:
    names = [
        f"{section}.{name}"
        for section in SECTIONS
        for name in type(getattr(RULES, section)).__dataclass_fields__
        if name not in {"cues", "source"}
    ]
    table = {row.split("`")[1]: row.split("|")[2].strip() for row in rows("Settings")}
    values = {name: attrgetter(name)(RULES) for name in names}
    values |= {"quality.period": RULES.period, "quality.tail": RULES.tail}
    assert table == {name: f"{value:g}" for name, value in values.items()}


def test_every_measure_is_on_the_page() -> None:
    expected = [
        f"| `{name}` | {measure.modality} | {'yes' if measure.relative else 'no'} | "
        for name, measure in MEASURES.items()
    ]
    written = rows("Measures")
    assert len(written) == len(expected)
    assert all(row.startswith(start) for row, start in zip(written, expected, strict=True))


def test_every_cue_is_on_the_page_with_its_thresholds_its_words_and_its_source() -> None:
    cues = [
        f"| `{cue.name}` | `{cue.measure}` | {f'{cue.level:g}' if cue.level else ''} | "
        f"{cue.low:g} → {cue.high:g} | {cue.source} |"
        for cue in RULES.cues.values()
    ]
    words = [
        f"| `{cue.name}` | {', '.join(cue.words)} |" for cue in RULES.cues.values() if cue.words
    ]
    assert rows("Cues") == cues + words


def test_every_signal_is_on_the_page_with_its_points_its_needs_and_its_source() -> None:
    assert rows("Signals") == [
        f"| `{rule.name}` | {points(rule.cues)} | {', '.join(rule.needs)} | {rule.source} |"
        for rule in RULES.signals.values()
    ]


def test_engagement_and_quality_are_on_the_page() -> None:
    engagement = RULES.engagement
    assert rows("Engagement") == [
        f"| `engagement_state` | {points(engagement.cues)} | {engagement.source} |"
    ]
    assert rows("Conversation quality") == [
        f"| `{name}` | {points(rule.cues)} | {points(rule.signals)} | "
        f"{f'{rule.engagement:+g}' if rule.engagement else ''} |"
        for name, rule in RULES.quality.items()
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        f"A window is {RULES.window.length:g} s long and comes every {RULES.window.step:g} s",
        f"The first {RULES.baseline.seconds:g} s give the medians",
        f"a face is in {RULES.window.face_share:.0%}".replace("%", " %"),
        f"on from {RULES.probability.on:g} point, and ends below {RULES.probability.off:g}",
        (
            f"From {RULES.probability.medium:g} points its probability is medium,"
            f" from {RULES.probability.high:g} high"
        ),
        f"Engaged from {RULES.engagement.engaged:g} points",
        f"for each period of {RULES.period:g} s",
        (
            f"strength {CERTAINTY['high']:g} (high), {CERTAINTY['medium']:g} (medium)"
            f" or {CERTAINTY['low']:g} (low)"
        ),
        "Article 5(1)(f)",
        "Nothing here was validated against labelled data",
    ],
)
def test_the_prose_says_what_the_rules_say(sentence: str) -> None:
    assert sentence in " ".join(PAGE.split())


def test_the_page_is_right_about_which_words_carry_a_signal_alone() -> None:
    alone = {
        cue
        for rule in RULES.signals.values()
        for cue, points in rule.cues.items()
        if RULES.cues[cue].words and points >= RULES.probability.on
    }
    kinds = ("agreement", "disagreement", "confusion", "frustration")
    assert alone == {f"{kind}_words" for kind in kinds}
    assert f"Three words of {', '.join(kinds[:3])} or {kinds[3]}" in " ".join(PAGE.split())
    assert {RULES.cues[cue].high for cue in alone} == {3}
