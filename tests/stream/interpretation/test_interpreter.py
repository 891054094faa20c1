"""What the stream's process relies on: when findings come, what is asked for, what is kept, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from plugins.stream.analysis.findings import (
    INCLUDES,
    OVERALL,
    TIMELINE,
    QualityUpdated,
    SignalDetected,
    to_evidence,
)
from plugins.stream.analysis.interpretation import Interpreter
from plugins.stream.analysis.observations import FaceFrame, Observations
from plugins.stream.analysis.rules import SIGNAL_TYPES, default_rules
from plugins.stream.analysis.tracks import InvalidObservations, Tracks
from tests.stream.interpretation.scenes import after, cut, face, interpret, said, scene, spoken

FROWN = after(13.0, browDown=0.5, mouthPress=0.5, expression="angry")


def test_the_first_segment_of_three_seconds_tells_the_first_state() -> None:
    findings = Interpreter().feed(0.0, scene(3.0))
    assert [finding.data() for finding in findings] == [{"state": "engaged", "start": 0.0}]


def test_windows_wait_until_their_media_is_complete() -> None:
    interpreter = Interpreter()
    (first, start), (second, rest) = cut(scene(3.0), [2.9])
    assert interpreter.feed(first, start) == []
    assert interpreter.feed(second, rest)[0].type == "engagement.updated"


def test_quality_is_told_as_far_as_it_is_asked_for() -> None:
    interpreter = Interpreter()
    session = cut(scene(45.0), [12.0, 24.0, 33.0])
    assert not [f for f in interpreter.feed(*session[0]) if isinstance(f, QualityUpdated)]
    assert interpreter.configure([TIMELINE, "other", TIMELINE]) == (TIMELINE,)
    (only,) = [f for f in interpreter.feed(*session[1]) if isinstance(f, QualityUpdated)]
    assert [set(entry) for entry in only.data()["timeline"]] == [{"start", "end", "values"}]
    assert set(only.data()) == {"timeline"}
    assert only.data()["timeline"][0]["start"] == 10.0
    interpreter.configure([OVERALL])
    (only,) = [f for f in interpreter.feed(*session[2]) if isinstance(f, QualityUpdated)]
    assert set(only.data()) == {"overall"}
    interpreter.configure(())
    assert not [f for f in interpreter.feed(*session[3]) if isinstance(f, QualityUpdated)]


def test_the_quality_of_the_session_counts_what_came_before_it_was_asked_for() -> None:
    session = scene(40.0, FROWN, spoken(40.0, [(n * 1.5, n * 1.5 + 0.9) for n in range(20)]))
    late = Interpreter()
    pieces = cut(session, [30.0])
    late.feed(*pieces[0])
    late.configure([OVERALL])
    rest = late.feed(*pieces[1]) + late.finish()
    told = [f for f in rest if isinstance(f, QualityUpdated)]
    early = [f for f in interpret(session, include=[OVERALL])[0] if isinstance(f, QualityUpdated)]
    assert told[-1] == early[-1]


def test_an_upload_is_answered_as_the_contract_says() -> None:
    _, interpreter = interpret(scene(24.0, FROWN))
    result = interpreter.result()
    assert set(result.data()) == {"signals", "engagement_state"}
    assert set(result.data()["signals"][0]) == {"type", "start", "end", "probability", "rationale"}
    assert set(result.data()["engagement_state"][0]) == {"start", "end", "state"}
    assert set(result.data(frozenset({OVERALL}))["conversation_quality"]) == {"overall"}
    quality = result.data(frozenset({TIMELINE}))["conversation_quality"]
    assert set(quality) == {"overall", "timeline"}
    assert [(entry["start"], entry["end"]) for entry in quality["timeline"]] == [
        (0.0, 10.0),
        (10.0, 20.0),
        (20.0, 24.0),
    ]


def test_a_short_upload_has_a_state_and_a_quality() -> None:
    _, interpreter = interpret(scene(2.6, lambda _: {}), include=INCLUDES)
    assert [period.end for period in interpreter.result().quality_timeline] == [2.6]
    assert [period.state for period in interpreter.result().engagement] == ["engaged"]


def test_the_result_can_be_read_while_the_session_goes_on() -> None:
    interpreter = Interpreter()
    interpreter.feed(0.0, scene(21.0, FROWN))
    running = interpreter.result()
    assert running.duration == 21.0
    assert ("frustration", 21.0) in [(s.signal_type, s.end) for s in running.signals]
    interpreter.finish()
    assert interpreter.result() == running


def test_the_end_comes_once() -> None:
    interpreter = Interpreter()
    interpreter.feed(0.0, scene(21.0, FROWN))
    assert {finding.type for finding in interpreter.finish()} == {"signal.ended"}
    assert interpreter.finish() == []
    with pytest.raises(ValueError, match="finished"):
        interpreter.feed(21.0, scene(3.0))


def test_a_session_without_media_ends_without_a_word() -> None:
    interpreter = Interpreter(include=INCLUDES)
    assert interpreter.finish() == []
    assert interpreter.result().data(frozenset(INCLUDES)) == {
        "signals": [],
        "engagement_state": [],
        "conversation_quality": {
            "overall": dict.fromkeys(
                ["quality_index", "clarity", "authority", "energy", "rapport", "learning"], 50.0
            ),
            "timeline": [],
        },
    }


def test_media_that_was_lost_ends_signals_and_changes_no_state() -> None:
    interpreter = Interpreter()
    interpreter.feed(0.0, scene(21.0, FROWN))
    before = interpreter.result().engagement[-1].state
    found = interpreter.feed(51.0, scene(6.0))
    assert [finding.type for finding in found] == ["signal.ended"]
    assert interpreter.result().engagement[-1].state == before


def test_findings_are_the_same_after_the_journey_as_json() -> None:
    session = scene(24.0, FROWN, spoken(24.0, [(0.0, 24.0)]), said("ugh come on", 15.0))
    assert interpret(Observations.load(session.dump()))[0] == interpret(session)[0]


def test_an_hour_of_stream_keeps_only_what_the_next_windows_need() -> None:
    tracks = Tracks()
    segment = scene(30.0, lambda _: {}, spoken(30.0, [(0.0, 30.0)]), said("one two", 1.0))
    for number in range(120):
        tracks.extend(number * 30.0, segment, face=True, voice=True, words=True)
        tracks.forget(tracks.end - 10_000)
    kept = tracks.slice(0, tracks.end)
    assert len(kept.faces) == len(kept.sampled) == 100
    assert len(kept.voice) == 1000
    assert kept.words == ()
    assert tracks.end == 3_600_000


def test_the_seams_between_segments_are_no_pauses() -> None:
    interpreter = Interpreter()
    for number in range(8):
        segment = scene(3.0, lambda _: {}, spoken(3.0, [(0.0, 3.0)], rate=5.2))
        voice = segment.voice
        assert voice is not None
        # A track of voice ends a little before its segment: the last values have no whole window.
        short = replace(
            voice, speech=voice.speech[:-4], level=voice.level[:-4], pitch=voice.pitch[:-4]
        )
        interpreter.feed(number * 3.0, replace(segment, voice=short))
    interpreter.finish()
    found = {signal.signal_type: signal.rationale for signal in interpreter.result().signals}
    assert found["confidence"].startswith("No pauses over 250 ms while speaking")
    assert "hesitation" not in found


def test_segments_whose_lengths_were_rounded_lose_and_double_nothing() -> None:
    interpreter = Interpreter()
    for number in range(8):
        segment = scene(3.2, lambda _: {}, spoken(3.2, [(0.0, 3.2)], rate=5.2))
        interpreter.feed(number * 3.0, segment)
    tracks = interpreter._tracks.slice(0, interpreter._tracks.end)
    assert interpreter.result().duration == 24.2
    assert len(set(tracks.faces.times.tolist())) == len(tracks.faces)
    assert len(tracks.voice) * 10 == tracks.end - tracks.voice.start


def test_windows_can_be_set() -> None:
    rules = default_rules().with_windows(length=4.0, step=2.0)
    findings = Interpreter(rules=rules).feed(0.0, scene(2.0))
    assert [finding.type for finding in findings] == ["engagement.updated"]


def bad_face(**changes: Any) -> tuple[FaceFrame, ...]:
    return (replace(face(0.1), **changes),)


def bad(**changes: Any) -> Observations:
    return replace(scene(3.0, lambda _: {}, spoken(3.0, [(0.0, 3.0)])), **changes)


@pytest.mark.parametrize(
    ("offset", "observations"),
    [
        (math.nan, bad()),
        (-1.0, bad()),
        (math.inf, bad()),
        (0.0, bad(duration=math.nan)),
        (0.0, bad(duration=-3.0)),
        (0.0, bad(duration=1e12)),
        (0.0, bad(faces=bad_face(blendshapes=(0.5,) * 51))),
        (0.0, bad(faces=bad_face(blendshapes=("a",) * 52))),
        (0.0, bad(faces=bad_face(expression=(0.5,)))),
        (0.0, bad(faces=bad_face(gaze=()))),
        (0.0, bad(sampled=("soon",))),
    ],
    ids=range(11),
)
def test_observations_that_cannot_be_are_refused_and_change_nothing(
    offset: float, observations: Observations
) -> None:
    interpreter, untouched = Interpreter(), Interpreter()
    with pytest.raises(InvalidObservations):
        interpreter.feed(offset, observations)
    session = scene(9.0, lambda _: {}, spoken(9.0, [(0.0, 9.0)]))
    assert interpreter.feed(0.0, session) == untouched.feed(0.0, session)


def test_segments_that_come_out_of_order_are_refused() -> None:
    interpreter = Interpreter()
    interpreter.feed(0.0, scene(6.0))
    with pytest.raises(InvalidObservations, match=r"3\.0 s came after 6\.0 s"):
        interpreter.feed(3.0, scene(3.0))


def odd_frames() -> tuple[FaceFrame, ...]:
    good = face(0.0)
    return (
        replace(good, at=math.nan),
        replace(good, at=-5.0),
        replace(good, at=99.0),
        replace(good, at=1e300),
        replace(good, yaw=math.inf),
        replace(good, blendshapes=(math.nan,) * 52),
        replace(good, at=0.1, size=1e308),
        replace(good, at=0.1),
    )


def test_odd_numbers_in_observations_are_left_out_or_cut() -> None:
    plain = scene(21.0, FROWN, spoken(21.0, [(0.0, 21.0)]), ())
    voice = plain.voice
    assert voice is not None
    odd = replace(
        plain,
        faces=(*odd_frames(), *reversed(plain.faces)),
        sampled=(math.nan, *plain.sampled, 1e300, -1.0),
        voice=replace(
            voice,
            level=(math.nan, -math.inf, math.inf, *voice.level[3:]),
            pitch=(*voice.pitch, 1.0, 2.0),
            syllables=(math.nan, 1e300, -2.0, *voice.syllables),
        ),
        words=said("\x00 \ud800 \u2019 …", 1.0) + said("ugh", math.nan),
    )
    findings, _ = interpret_whole(odd)
    assert [f.signal_type for f in findings if isinstance(f, SignalDetected)] == [
        f.signal_type for f in interpret_whole(plain)[0] if isinstance(f, SignalDetected)
    ]


def interpret_whole(observations: Observations) -> tuple[list[Any], Interpreter]:
    interpreter = Interpreter()
    return interpreter.feed(0.0, observations) + interpreter.finish(), interpreter


def test_numbers_that_a_third_party_left_empty_are_left_out() -> None:
    plain = scene(6.0, lambda _: {}, spoken(6.0, [(0.0, 6.0)]))
    voice = plain.voice
    assert voice is not None
    pitch: tuple[Any, ...] = (None, *voice.pitch[1:])
    holes = replace(plain, voice=replace(voice, pitch=pitch))
    assert interpret_whole(holes)[0]


@pytest.mark.parametrize("signal", SIGNAL_TYPES)
def test_a_signal_is_evidence_for_the_mood_of_its_session(signal: str) -> None:
    finding = SignalDetected(signal, 12.345, "medium", "Because")
    evidence = to_evidence(finding, 1_700_000_000_000_000, "77")
    assert evidence == (
        1_700_000_012_345_000,
        "video",
        signal,
        0.7,
        f"77:{signal}:12345",
        None,
    )


def test_a_signal_is_the_same_evidence_when_it_is_found_and_when_it_is_kept() -> None:
    findings, interpreter = interpret(scene(24.0, FROWN))
    found = {to_evidence(f, 0, "1").reference for f in findings if type(f) is SignalDetected}
    assert found == {to_evidence(s, 0, "1").reference for s in interpreter.result().signals}
