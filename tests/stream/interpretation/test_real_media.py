"""Real faces and voices, from bytes to what a person would say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugins.stream.analysis.interpretation import Interpreter, Switches
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from plugins.stream.analysis.perception import Perception
from tests.stream.interpretation.scenes import look_at
from tests.stream.media import encode, looped, needs_faces, noise, real, silence, smiling, speech

if TYPE_CHECKING:
    from plugins.stream.analysis.findings import Result
    from plugins.stream.analysis.observations import Observations

pytestmark = [
    pytest.mark.skipif(
        not is_installed(FACE_LANDMARKER), reason=f"no face model: {FACE_LANDMARKER.install}"
    ),
    needs_faces,
]


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(words=False)


def interpret(*segments: Observations, switches: Switches | None = None) -> Result:
    interpreter, clock = Interpreter(switches=switches), 0.0
    for segment in segments:
        interpreter.feed(clock, segment)
        clock += segment.duration
    interpreter.finish()
    return interpreter.result()


def hesitant(seconds: float) -> np.ndarray:
    parts = [
        part
        for seed in range(round(seconds / 1.5))
        for part in (speech(0.8, syllables=3.0, seed=seed), silence(0.7))
    ]
    return np.concatenate(parts)


def test_a_smiling_face_smiles_looks_at_the_screen_and_says_nothing_more(
    perception: Perception,
) -> None:
    seen = perception.observe(encode("mp4", looped(smiling(), 6)))
    cues = look_at(seen).cues
    assert cues["smile"].strength == cues["gaze_held"].strength == 1
    assert cues["negative_expression"].strength == 0
    result = interpret(seen)
    assert result.signals == ()
    assert [period.state for period in result.engagement] == ["engaged"]


def test_a_face_that_leaves_is_missed_from_then_on(perception: Perception) -> None:
    result = interpret(perception.observe(real("face_noface.mov")))
    (left,) = result.signals
    assert left.signal_type == "disengagement"
    assert left.cues[0] == "face_absent"
    assert 2 < left.start < 3
    assert left.rationale.startswith("No face in the picture for 3.")


def test_a_face_that_comes_was_not_missed_before(perception: Perception) -> None:
    assert interpret(perception.observe(real("noface_face.mov"))).signals == ()


def test_a_room_without_anybody_says_nothing(perception: Perception) -> None:
    result = interpret(perception.observe(real("no_face.mp4")))
    assert result.signals == ()
    assert [period.state for period in result.engagement] == ["neutral"]
    assert set(result.quality_overall.values()) == {50.0}


def test_halting_speech_is_hesitant_and_flowing_speech_is_not(perception: Perception) -> None:
    picture = list(looped(smiling(), 9, 10))
    halting = perception.observe(encode("mkv", picture, hesitant(9), fps=10))
    flowing = perception.observe(encode("mkv", picture, speech(9, syllables=5.0), fps=10))
    halts, flows = look_at(halting).cues, look_at(flowing).cues
    assert halts["pauses"].strength > 0.7
    assert halts["slow_speech"].strength > 0.7
    assert flows["pauses"].strength < 0.3
    found = {signal.signal_type: signal for signal in interpret(halting).signals}
    assert set(found["hesitation"].cues) >= {"pauses", "slow_speech"}
    assert "confidence" not in found
    assert "hesitation" not in {signal.signal_type for signal in interpret(flowing).signals}
    quality = (interpret(halting).quality_overall, interpret(flowing).quality_overall)
    assert quality[0]["clarity"] < 50 < quality[1]["clarity"]


@pytest.mark.parametrize("sound", [silence(6), noise(6)], ids=["silence", "noise"])
def test_silence_and_noise_are_no_speech(perception: Perception, sound: np.ndarray) -> None:
    seen = perception.observe(encode("webm", looped(smiling(), 6, 10), sound, fps=10))
    cues = look_at(seen).cues
    assert cues["speaking"].strength == 0
    assert cues["silence"].strength == 1
    assert not {"pauses", "few_pauses", "speech_rate", "pitch_shift"} & set(cues)
    assert interpret(seen).signals == ()


def test_a_session_in_segments_says_what_it_says_whole(perception: Perception) -> None:
    picture, sound = list(looped(smiling(), 9, 10)), hesitant(9)
    whole = interpret(perception.observe(encode("webm", picture, sound, fps=10)))
    parts = interpret(
        *(
            perception.observe(
                encode(
                    "webm",
                    picture[start * 10 : start * 10 + 30],
                    sound[start * 16_000 : (start + 3) * 16_000],
                    fps=10,
                )
            )
            for start in (0, 3, 6)
        )
    )
    assert {s.signal_type for s in parts.signals} == {s.signal_type for s in whole.signals}
    assert [p.state for p in parts.engagement] == [p.state for p in whole.engagement]
    for name, value in whole.quality_overall.items():
        assert parts.quality_overall[name] == pytest.approx(value, abs=8)


def test_in_education_a_face_and_a_voice_say_nothing() -> None:
    switches = Switches.of("education")
    restricted = Perception(face=switches.face, voice=switches.voice, words=False)
    seen = restricted.observe(encode("mp4", looped(smiling(), 6), hesitant(6)))
    assert seen.faces == ()
    assert seen.voice is None
    result = interpret(seen, switches=switches)
    assert result.signals == ()
    assert set(result.quality_overall.values()) == {50.0}
