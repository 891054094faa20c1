"""Each cue is there when a person would see or hear it, and not otherwise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from plugins.stream.analysis.measures import MEASURES
from plugins.stream.analysis.rules import default_rules
from plugins.stream.analysis.tracks import CHANNELS
from tests.stream.interpretation.scenes import (
    after,
    look_at,
    said,
    scene,
    spoken,
)

if TYPE_CHECKING:
    from plugins.stream.analysis.observations import Observations

LENGTH = 20.0
FLOWING = ((0.0, LENGTH),)
BROKEN = tuple((start * 1.5, start * 1.5 + 0.9) for start in range(13))


def seen(**look: Any) -> Observations:
    """Return a face at rest for 14 s, and then different for 6 s."""
    return scene(LENGTH, after(14.0, **look))


def heard(phrases: Any = FLOWING, **how: Any) -> Observations:
    return scene(LENGTH, None, spoken(LENGTH, phrases, **how))


def told(text: str) -> Observations:
    return scene(LENGTH, None, None, said(text, 13.0))


def swinging(axis: str, hertz: float, degrees: float) -> Observations:
    def look(at: float) -> dict[str, Any]:
        return {axis: degrees * math.sin(2 * math.pi * hertz * at)} if 14 <= at < 17 else {}

    return scene(LENGTH, look)


def blinking(at: float) -> dict[str, Any]:
    return {"eyeBlink": 0.9} if at >= 12 and round(at * 10) % 10 == 0 else {}


def shivering(at: float) -> dict[str, Any]:
    return {"yaw": 2.5 * (round(at * 10) % 2)} if at >= 12 else {}


def lively(at: float) -> dict[str, Any]:
    return {"browInnerUp": 0.3 * (round(at) % 2), "jawOpen": 0.3 * (round(at * 2) % 2)}


def rising(at: float) -> float:
    return 120 * 2 ** (((at % 1.5) / 0.9) ** 4 / 2)


def moved(at: float) -> float:
    return 120 * 2 ** (math.sin(at * 5) * (0.1 if at < 12 else 0.45))


REST = seen()
CALM = heard(((0.0, 3.0), (3.5, 7.5), (8.0, 12.0), (12.4, 16.0), (16.6, 20.0)))

#: For each cue a scene in which it is there, and one in which it is not.
SCENES: dict[str, tuple[Observations, Observations]] = {
    "smile": (seen(mouthSmile=0.8), REST),
    "frowning_smile": (seen(mouthSmile=0.8, browDown=0.5), seen(mouthSmile=0.8)),
    "brow_lowering": (seen(browDown=0.5), scene(LENGTH, lambda _: {"browDown": 0.7})),
    "brow_raise": (seen(browInnerUp=0.5), REST),
    "brow_one_sided": (seen(browOuterUpLeft=0.6), seen(browOuterUp=0.6)),
    "eyes_wide": (seen(eyeWide=0.4), REST),
    "eye_squint": (seen(eyeSquint=0.5), seen(eyeSquint=0.5, mouthSmile=0.8)),
    "mouth_press": (seen(mouthPress=0.5), REST),
    "mouth_stretch": (seen(mouthStretch=0.5), REST),
    "chin_raise": (seen(mouthShrugLower=0.5), REST),
    "lips_parted": (
        scene(
            LENGTH,
            lambda at: {"jawOpen": 0.4 if at % 1.5 > 0.9 else 0.02},
            spoken(LENGTH, BROKEN),
        ),
        scene(LENGTH, lambda _: {}, spoken(LENGTH, BROKEN)),
    ),
    "eyes_closed": (seen(eyeBlink=0.9), scene(LENGTH, blinking)),
    "blink_rate": (scene(LENGTH, blinking), REST),
    "negative_expression": (seen(expression="angry"), seen(expression="happy")),
    "expressive": (scene(LENGTH, lively), REST),
    "still_face": (REST, scene(LENGTH, lively)),
    "face_absent": (
        scene(LENGTH, lambda at: {} if at < 14 else None),
        scene(LENGTH, lambda _: None),
    ),
    "gaze_away": (seen(yaw=35.0), scene(LENGTH, lambda _: {"yaw": 15.0})),
    "gaze_held": (REST, seen(gaze=(0.3, 0.0))),
    "head_turned": (seen(yaw=-35.0), seen(pitch=-25.0)),
    "head_tilt": (seen(roll=18.0), REST),
    "lean_in": (seen(size=0.32), REST),
    "lean_back": (seen(size=0.2), REST),
    "nods": (swinging("pitch", 2.0, 7.0), swinging("yaw", 2.0, 7.0)),
    "shakes": (swinging("yaw", 1.8, 8.0), swinging("pitch", 1.8, 8.0)),
    "head_motion": (scene(LENGTH, shivering), REST),
    "steady_head": (REST, scene(LENGTH, shivering)),
    "speaking": (CALM, heard(())),
    "silence": (heard(()), CALM),
    "pauses": (heard(BROKEN), heard()),
    "few_pauses": (heard(), heard(BROKEN)),
    "fluent_speech": (heard(), heard(BROKEN)),
    "slow_speech": (heard(rate=2.0), heard(rate=4.0)),
    "fast_speech": (heard(rate=5.6), heard(rate=4.0)),
    "pitch_high": (heard(pitch=lambda at: 120.0 if at < 12 else 150.0), heard()),
    "pitch_low": (heard(pitch=lambda at: 120.0 if at < 12 else 95.0), heard()),
    "pitch_lively": (heard(pitch=moved), heard()),
    "monotone": (heard(pitch=lambda _: 120.0), heard()),
    "pitch_rise": (heard(BROKEN, pitch=rising), heard(BROKEN, pitch=lambda _: 120.0)),
    "louder": (heard(level=lambda at: -30.0 if at < 12 else -20.0), heard()),
    "quieter": (heard(level=lambda at: -20.0 if at < 12 else -30.0), heard()),
    "hedges": (told("maybe I guess it kind of works"), told("it works")),
    "fillers": (told("um it uh works um"), told("the umbrella")),
    "repeats": (told("the the thing is is"), told("the thing is the")),
    "agreement_words": (told("Yes, exactly. I agree!"), told("I don't agree")),
    "disagreement_words": (told("No, I disagree, not really."), told("I know")),
    "confusion_words": (told("Huh? What? I don\u2019t understand"), told("I understand")),
    "doubt_words": (told("Really? I doubt it, seriously"), told("no doubt about it")),
    "frustration_words": (told("ugh come on this is not working"), told("this is working")),
    "certainty_words": (told("definitely yes of course no doubt"), told("not definitely")),
    "interest_words": (told("wow interesting tell me more"), told("not interesting")),
}


def strength(cue: str, observations: Observations) -> float:
    cues = look_at(observations).cues
    return cues[cue].strength if cue in cues else 0.0


def test_every_cue_of_the_table_has_its_scenes() -> None:
    assert set(SCENES) == set(default_rules().cues)


@pytest.mark.parametrize("cue", SCENES)
def test_a_cue_is_there_when_a_person_would_say_so(cue: str) -> None:
    assert strength(cue, SCENES[cue][0]) >= 0.5


@pytest.mark.parametrize("cue", SCENES)
def test_a_cue_is_not_there_when_it_only_looks_alike(cue: str) -> None:
    assert strength(cue, SCENES[cue][1]) < 0.35


@pytest.mark.parametrize("cue", SCENES)
def test_a_cue_says_when_it_began_within_its_window(cue: str) -> None:
    window = look_at(SCENES[cue][0])
    assert window.seen.start <= window.cues[cue].reading.since < window.seen.end


def test_a_cue_tells_its_number_and_its_seconds() -> None:
    window = look_at(seen(yaw=35.0))
    assert window.cues["gaze_away"].tell(8.0) == "gaze off the screen for 6.0 s of 8 s"
    assert window.cues["gaze_away"].reading.since == 14_000
    window = look_at(told("maybe I guess"))
    assert window.cues["hedges"].tell(8.0) == "hedging words (“maybe” at 13.0 s, “guess” at 13.8 s)"


def test_a_smile_of_somebody_who_cries_is_none() -> None:
    crying = seen(mouthSmile=0.8, expression="sad")
    assert strength("smile", crying) == 0
    assert strength("negative_expression", crying) >= 0.5


def test_ordinary_movement_while_talking_is_no_nod_and_no_shake() -> None:
    def talking(at: float) -> dict[str, Any]:
        return {"pitch": 3 * math.sin(at * 9), "yaw": 3 * math.sin(at * 8 + 1)}

    cues = look_at(scene(LENGTH, talking)).cues
    assert cues["nods"].strength == cues["shakes"].strength == 0


def test_a_slow_bow_is_no_nod() -> None:
    assert strength("nods", swinging("pitch", 0.4, 12.0)) == 0


def test_a_face_in_a_few_frames_is_nobody() -> None:
    flicker = scene(LENGTH, lambda at: {"mouthSmile": 0.9} if round(at * 10) % 5 == 0 else None)
    assert not {name for name, cue in look_at(flicker).cues.items() if cue.strength}


def test_who_has_not_come_yet_has_not_left() -> None:
    arriving = scene(8.0, lambda at: None if at < 5 else {})
    assert strength("face_absent", arriving) == 0


def test_without_a_sound_track_there_is_no_silence() -> None:
    cues = look_at(REST).cues
    assert {cues[name].rule.measure for name in cues} <= {
        name for name, measure in MEASURES.items() if measure.modality == "face"
    }


def test_words_that_the_recogniser_doubts_do_not_count() -> None:
    observations = told("maybe I guess it kind of works")
    doubted = tuple(
        type(word)(word.start, word.end, word.text, 0.3) for word in observations.words or ()
    )
    assert strength("hedges", scene(LENGTH, None, None, doubted)) == 0


def test_blendshapes_that_are_dead_in_the_model_are_not_used() -> None:
    dead = ("noseSneer", "cheekPuff", "cheekSquint", "jawForward", "jawRight", "mouthRight")
    weak = ("mouthClose", "mouthDimple", "mouthFunnel", "mouthRollUpper")
    used = {shape for shapes in CHANNELS.values() for shape in shapes}
    assert not [shape for shape in used if shape.startswith((*dead, *weak))]


def test_the_baseline_follows_a_person_who_moves_the_chair() -> None:
    near = scene(600.0, lambda at: {"size": 0.25 if at < 30 else 0.32})
    assert strength("lean_in", scene(45.0, lambda at: {"size": 0.25 if at < 30 else 0.32})) == 1
    assert strength("lean_in", near) == 0
