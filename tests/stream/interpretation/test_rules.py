"""The table of rules can be changed by hand, and says what is wrong with it."""

from __future__ import annotations

from importlib import resources

import pytest

from plugins.stream.analysis.interpretation import Interpreter
from plugins.stream.analysis.measures import MEASURES
from plugins.stream.analysis.rules import InvalidRules, default_rules, parse_rules
from tests.stream.interpretation.scenes import after, interpret, scene

TABLE = resources.files("plugins.stream.analysis").joinpath("rules.toml").read_text("utf-8")


def changed(old: str, new: str) -> str:
    assert old in TABLE
    return TABLE.replace(old, new, 1)


def test_every_measure_is_used_and_every_cue_counts_somewhere() -> None:
    rules = default_rules()
    assert {cue.measure for cue in rules.cues.values()} == set(MEASURES)
    counted = {name for signal in rules.signals.values() for name in signal.cues}
    counted |= set(rules.engagement.cues)
    counted |= {name for value in rules.quality.values() for name in value.cues}
    assert counted == set(rules.cues)


def test_every_signal_can_be_of_high_probability() -> None:
    rules = default_rules()
    for signal in rules.signals.values():
        assert (
            sum(points for points in signal.cues.values() if points > 0) >= rules.probability.high
        )


def test_another_table_gives_other_findings() -> None:
    smile = scene(24.0, after(12.0, mouthSmile=0.9))
    table = changed('needs = ["nods", "agreement_words"]', 'needs = ["smile"]')
    table = table.replace("smile = 0.2, brow_raise = 0.15", "smile = 1.5, brow_raise = 0.15")
    findings, _ = interpret(smile, rules=parse_rules(table))
    assert "agreement" in {getattr(finding, "signal_type", "") for finding in findings}
    assert "agreement" not in {getattr(f, "signal_type", "") for f in interpret(smile)[0]}


def test_the_shipped_table_is_read_once() -> None:
    assert Interpreter().rules is Interpreter().rules is default_rules()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[window", "rules: "),
        ("", "rules: baseline is missing"),
        (TABLE + "\n[moon]\n", "rules: there is no moon"),
        (changed("length = 8.0", "length = true"), "window.length: must be a number"),
        (changed("length = 8.0", "length = nan"), "window.length: must be a number"),
        (changed("length = 8.0", 'length = "8"'), "window.length: must be a number"),
        (changed("length = 8.0", "length = 2.0"), "window: 0.5 <= step <= length <= 60"),
        (changed("length = 8.0", ""), "window: length is missing"),
        (changed("step = 3.0", "steps = 3.0\nstep = 3.0"), "window: there is no steps"),
        (changed("face_share = 0.3", "face_share = 0"), "window.face_share"),
        (changed("seconds = 10.0", "seconds = 0"), "baseline: all above 0"),
        (changed("off = 0.7", "off = 1.7"), "probability: 0 < off <= on"),
        (changed("margin = 0.1 ", "margin = -0.1 "), "probability: margin"),
        (changed("fastest = 3.5", "fastest = 0.5"), "gesture: 0 < slowest < fastest"),
        (changed("pause = 0.25", "pause = 0.0"), "speech: 0.05 <= pause < turn"),
        (changed("disengaged = -0.4", "disengaged = 0.6"), "engagement: disengaged < engaged"),
        (changed("windows = 2 ", "windows = 2.5 "), "engagement.windows: must be a whole number"),
        (changed("windows = 2 ", "windows = 0 "), "engagement.windows: 1 to 10"),
        (changed("period = 10.0", "period = 0.5"), "quality: 1 <= period"),
        (changed("[signals.stress]", "[signals.stres]"), "signals: exactly agreement"),
        (changed("[quality.values.energy]", "[quality.values.vigor]"), "quality.values: exactly"),
        (changed("[cues.smile]\nlevel = 0.35", "[cues.smile]\nlevel = []"), "cues.smile.level"),
        (changed("low = 0.2\nhigh = 0.6", "low = 0.6\nhigh = 0.6"), "cues.smile: low and high"),
        (changed("a smile for {seconds} s", "a smile for {hours} s"), "cues.smile.text: KeyError"),
        (changed("a smile for {seconds} s", "a smile for {} s"), "cues.smile.text: IndexError"),
        (changed("a smile for {seconds} s", "a smile for {value.x} s"), "cues.smile.text: Attrib"),
        (changed('"pauses"\nlow = 14.0', '"poses"\nlow = 14.0'), "there is no measure poses"),
        (changed('words = ["um"', "words = [1"), "cues.fillers.words: must be a text"),
        (changed("nods = 0.85", "noods = 0.85"), "signals.agreement.cues: there is no noods"),
        (changed("nods = 0.85", "nods = -0.85"), "signals.agreement.needs: nods has no points"),
        (
            changed('needs = ["gaze_held"]', "needs = []"),
            "signals.engagement.needs: must be a list",
        ),
        (
            changed("hesitation = -0.2, conf", "doubt = -0.2, conf"),
            "quality.values.clarity.signals",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_entry_named(
    table: str, message: str
) -> None:
    with pytest.raises(InvalidRules) as caught:
        parse_rules(table)
    assert message in str(caught.value)
