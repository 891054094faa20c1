"""What a person would say of a scene, and the cues that say so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from plugins.stream.analysis.findings import (
    EngagementUpdated,
    SignalDetected,
    SignalEnded,
    SignalUpdated,
)
from plugins.stream.analysis.interpretation import Interpreter, Switches
from plugins.stream.analysis.rules import SIGNAL_TYPES, default_rules
from tests.stream.interpretation.scenes import after, interpret, said, scene, spoken

if TYPE_CHECKING:
    from plugins.stream.analysis.findings import Signal
    from plugins.stream.analysis.observations import Observations

LENGTH = 24.0
FLOWING = ((0.0, LENGTH),)
BROKEN = tuple((start * 1.5, start * 1.5 + 0.9) for start in range(16))


def nodding(at: float) -> dict[str, Any]:
    return {"pitch": 7 * math.sin(at * 4 * math.pi), "mouthSmile": 0.7} if at >= 14 else {}


def shaking(at: float) -> dict[str, Any]:
    return {"yaw": 8 * math.sin(at * 3.6 * math.pi), "browDown": 0.5} if at >= 14 else {}


def blinking(at: float) -> dict[str, Any]:
    blinks = at >= 12 and round(at * 10) % 12 == 0
    return {"eyeBlink": 0.9 * blinks, "yaw": 2.5 * (round(at * 10) % 2) * (at >= 12)}


def rising(at: float) -> float:
    return 120 * 2 ** (((at % 1.5) / 0.9) ** 4 / 2)


def strained(at: float) -> float:
    return 120.0 if at < 12 else 160.0


#: For each signal a scene in which it is there, and cues that must be among those that say so.
SCENES: dict[str, tuple[Observations, set[str]]] = {
    "agreement": (scene(LENGTH, nodding, None, said("yes exactly", 17.0)), {"nods"}),
    "confidence": (
        scene(LENGTH, lambda _: {}, spoken(LENGTH, FLOWING, rate=5.2)),
        {"few_pauses", "fluent_speech", "fast_speech", "gaze_held"},
    ),
    "confusion": (
        scene(LENGTH, after(13.0, browDown=0.5, eyeSquint=0.5, roll=16.0)),
        {"brow_lowering", "eye_squint", "head_tilt"},
    ),
    "disagreement": (scene(LENGTH, shaking), {"shakes", "brow_lowering"}),
    "disengagement": (scene(LENGTH, lambda at: {} if at < 13 else None), {"face_absent"}),
    "engagement": (
        scene(
            LENGTH,
            lambda at: {"browInnerUp": 0.3 * (round(at) % 2), "jawOpen": 0.2 * (round(at) % 2)},
            spoken(LENGTH, ((0.0, 4.0), (4.5, 9.0), (9.6, 15.0), (15.4, 24.0))),
        ),
        {"gaze_held", "speaking", "expressive"},
    ),
    "frustration": (
        scene(LENGTH, after(13.0, browDown=0.5, mouthPress=0.5, expression="angry")),
        {"brow_lowering", "mouth_press", "negative_expression"},
    ),
    "hesitation": (
        scene(LENGTH, lambda _: {}, spoken(LENGTH, BROKEN, rate=3.0)),
        {"pauses", "slow_speech"},
    ),
    "interest": (
        scene(LENGTH, after(13.0, browInnerUp=0.5, eyeWide=0.4, size=0.32)),
        {"lean_in", "brow_raise", "eyes_wide"},
    ),
    "skepticism": (
        scene(LENGTH, after(13.0, browOuterUpLeft=0.6, eyeSquint=0.5)),
        {"brow_one_sided", "eye_squint"},
    ),
    "stress": (
        scene(LENGTH, blinking, spoken(LENGTH, FLOWING, pitch=strained)),
        {"blink_rate", "pitch_high", "head_motion"},
    ),
    "uncertainty": (
        scene(
            LENGTH,
            lambda at: {} if at % 3 < 1.5 else {"gaze": (0.3, 0.0)},
            spoken(LENGTH, BROKEN, rate=3.0, pitch=rising),
        ),
        {"pitch_rise", "gaze_away", "slow_speech"},
    ),
}


def found(observations: Observations, **options: Any) -> dict[str, Signal]:
    """Return the last instance of each signal that was found."""
    _, interpreter = interpret(observations, **options)
    return {signal.signal_type: signal for signal in interpreter.result().signals}


@pytest.mark.parametrize("signal", SIGNAL_TYPES)
def test_a_signal_is_found_by_its_cues(signal: str) -> None:
    observations, cues = SCENES[signal]
    assert cues <= set(found(observations)[signal].cues)


@pytest.mark.parametrize("signal", sorted(set(SIGNAL_TYPES) - {"engagement", "confidence"}))
def test_a_calm_listener_and_a_calm_talker_show_none_of_it(signal: str) -> None:
    talk = spoken(LENGTH, ((0.0, 4.0), (4.5, 9.0), (9.6, 15.0), (15.4, 24.0)))
    for observations in (scene(LENGTH), scene(LENGTH, lambda _: {}, talk)):
        assert signal not in found(observations)


def test_a_smile_alone_says_nothing() -> None:
    for smile in (
        scene(LENGTH, lambda _: {"mouthSmile": 0.9, "expression": "happy"}),
        scene(LENGTH, after(12.0, mouthSmile=0.9, expression="happy")),
    ):
        assert found(smile) == {}
        smiling, serious = interpret(smile)[1].result(), interpret(scene(LENGTH))[1].result()
        assert smiling.quality_overall == serious.quality_overall
        assert smiling.engagement == serious.engagement


def test_no_weight_lets_a_smile_carry_a_signal() -> None:
    rules = default_rules()
    for signal in rules.signals.values():
        assert "smile" not in signal.needs
        assert signal.cues.get("smile", 0.0) <= 0.25
    assert "smile" not in rules.engagement.cues
    assert all("smile" not in rule.cues for rule in rules.quality.values())


def test_no_cue_of_the_face_but_its_absence_carries_a_signal_alone() -> None:
    rules = default_rules()
    strong = {
        cue
        for signal in rules.signals.values()
        for cue, points in signal.cues.items()
        if points >= rules.probability.on and not rules.cues[cue].words
    }
    assert strong == {"face_absent"}


def test_a_face_that_leaves_ends_engagement_and_says_since_when() -> None:
    findings, interpreter = interpret(scene(30.0, lambda at: {} if at < 15 else None))
    states = [finding.state for finding in findings if isinstance(finding, EngagementUpdated)]
    assert states == ["engaged", "disengaged"]
    left = next(s for s in interpreter.result().signals if s.signal_type == "disengagement")
    assert left.start == 15.0
    assert left.end == 30.0
    assert left.rationale == "No face in the picture for 6.0 s of 8 s (13.0 to 21.0 s)"


def test_a_face_that_comes_back_ends_the_signal() -> None:
    findings, _ = interpret(scene(36.0, lambda at: None if 12 <= at < 22 else {}))
    kinds = [
        (finding.type, finding.signal_type)
        for finding in findings
        if hasattr(finding, "signal_type")
    ]
    assert kinds[0] == ("signal.detected", "disengagement")
    assert kinds[-1] == ("signal.ended", "disengagement")
    ended = [finding for finding in findings if isinstance(finding, SignalEnded)]
    assert 22 <= ended[0].end < 30


@pytest.mark.parametrize("voice", [None, spoken(LENGTH, ())], ids=["no sound", "silence"])
def test_without_a_face_and_a_voice_nothing_is_inferred(voice: Any) -> None:
    findings, interpreter = interpret(
        scene(LENGTH, lambda _: None, voice), include=["conversation_quality_overall"]
    )
    assert [f.data() for f in findings if f.type == "engagement.updated"] == [
        {"state": "neutral", "start": 0.0}
    ]
    assert interpreter.result().signals == ()
    assert set(interpreter.result().quality_overall.values()) == {50.0}


def test_noise_without_speech_says_nothing() -> None:
    noise = spoken(LENGTH, ())
    loud = type(noise)(noise.speech, (-12.0,) * len(noise.level), (180.0,) * len(noise.pitch), ())
    assert found(scene(LENGTH, None, loud)) == {}


def test_hesitant_and_confident_speech_are_told_apart_by_voice_alone() -> None:
    hesitant = found(scene(LENGTH, None, spoken(LENGTH, BROKEN, rate=3.0)))
    confident = found(scene(LENGTH, None, spoken(LENGTH, FLOWING, rate=5.2)))
    assert "hesitation" in hesitant
    assert "confidence" not in hesitant
    assert "confidence" in confident
    assert "hesitation" not in confident
    assert hesitant["hesitation"].rationale.startswith("3 pauses over 250 ms and slow speech")


def test_speech_of_a_quality_that_a_person_would_hear() -> None:
    hesitant = interpret(scene(LENGTH, None, spoken(LENGTH, BROKEN, rate=3.0)))[1].result()
    confident = interpret(scene(LENGTH, None, spoken(LENGTH, FLOWING, rate=5.2)))[1].result()
    for value in ("clarity", "authority", "quality_index"):
        assert hesitant.quality_overall[value] < 50 < confident.quality_overall[value]


def test_a_silent_listener_who_looks_at_the_screen_is_engaged() -> None:
    result = interpret(scene(LENGTH))[1].result()
    assert [(p.start, p.end, p.state) for p in result.engagement] == [(0.0, LENGTH, "engaged")]


def test_a_glance_aside_changes_no_state() -> None:
    findings, _ = interpret(scene(40.0, after(20.0, until=21.5, yaw=40.0)))
    assert sum(isinstance(finding, EngagementUpdated) for finding in findings) == 1


def test_until_the_baseline_stands_nothing_is_of_high_probability() -> None:
    look = after(2.0, browDown=0.6, mouthPress=0.6, expression="angry", mouthSmile=0.2)
    first = Interpreter()
    early = first.feed(0.0, scene(9.0, look, None, said("ugh ridiculous come on damn", 3.0, 1.0)))
    assert {"frustration"} <= {f.signal_type for f in early if isinstance(f, SignalDetected)}
    present = [f for f in early if isinstance(f, SignalDetected | SignalUpdated)]
    assert {f.probability for f in present} == {"low", "medium"}


def test_strong_evidence_after_the_baseline_is_of_high_probability() -> None:
    look = after(14.0, browDown=0.6, mouthPress=0.6, expression="angry")
    words = said("ugh ridiculous come on damn", 16.0)
    assert found(scene(LENGTH, look, None, words))["frustration"].probability == "high"


def test_a_probability_is_told_again_only_when_it_changed() -> None:
    for observations, _ in SCENES.values():
        last: dict[str, str] = {}
        for finding in interpret(observations)[0]:
            if isinstance(finding, SignalUpdated):
                assert finding.probability != last[finding.signal_type]
            if isinstance(finding, SignalDetected):
                last[finding.signal_type] = finding.probability


@pytest.mark.parametrize("purpose", ["work", "education"])
def test_at_work_and_in_education_face_and_voice_say_nothing(purpose: Any) -> None:
    switches = Switches.of(purpose)
    assert switches == Switches(face=False, voice=False, words=True)
    for observations, _ in SCENES.values():
        wordless = type(observations)(
            observations.duration,
            observations.sampled,
            observations.faces,
            observations.voice,
            None,
        )
        findings, interpreter = interpret(wordless, switches=switches)
        result = interpreter.result()
        assert {type(finding) for finding in findings} == {EngagementUpdated}
        assert [period.state for period in result.engagement] == ["neutral"]
        assert set(result.quality_overall.values()) == {50.0}


def test_words_may_speak_where_face_and_voice_may_not() -> None:
    words = said("yes exactly I agree absolutely right", 14.0)
    signals = found(scene(LENGTH, nodding, None, words), switches=Switches.of("work"))
    assert set(signals) == {"agreement"}
    assert signals["agreement"].cues == ("agreement_words",)


def test_with_everything_off_nothing_at_all_is_inferred() -> None:
    off = Switches(face=False, voice=False, words=False)
    for observations, _ in SCENES.values():
        findings, interpreter = interpret(
            observations, switches=off, include=["conversation_quality_timeline"]
        )
        assert {finding.type for finding in findings} == {"conversation_quality.updated"}
        assert interpreter.result().engagement == ()
        for period in interpreter.result().quality_timeline:
            assert set(period.values.values()) == {50.0}


@pytest.mark.parametrize(
    ("switch", "modality"), [("face", "face"), ("voice", "voice"), ("words", "words")]
)
def test_a_modality_that_is_off_leaves_no_trace(switch: str, modality: str) -> None:
    rules = default_rules()
    from plugins.stream.analysis.measures import MEASURES

    for observations, _ in SCENES.values():
        _, interpreter = interpret(observations, switches=Switches(**{switch: False}))
        used = {cue for signal in interpreter.result().signals for cue in signal.cues}
        assert modality not in {MEASURES[rules.cues[cue].measure].modality for cue in used}
