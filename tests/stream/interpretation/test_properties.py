"""What holds for every session, whatever is seen in it and however its media was cut."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.stream.analysis.findings import (
    INCLUDES,
    EngagementUpdated,
    QualityUpdated,
    SignalDetected,
    SignalEnded,
    SignalUpdated,
)
from plugins.stream.analysis.interpretation import Interpreter
from plugins.stream.analysis.observations import FaceFrame, Observations, Voice, Word
from plugins.stream.analysis.rules import QUALITY_VALUES, default_rules
from plugins.stream.analysis.tracks import InvalidObservations
from tests.stream.interpretation.scenes import cut, interpret, said, scene, spoken

ACTS: dict[str, Any] = {
    "rest": lambda _: {},
    "gone": lambda _: None,
    "smile": lambda _: {"mouthSmile": 0.8, "expression": "happy"},
    "frown": lambda _: {"browDown": 0.6, "mouthPress": 0.5, "expression": "angry"},
    "doubt": lambda _: {"browOuterUpLeft": 0.7, "eyeSquint": 0.5},
    "lean": lambda _: {"size": 0.35, "browInnerUp": 0.5},
    "away": lambda _: {"yaw": 40.0},
    "tilt": lambda _: {"roll": 20.0, "browDown": 0.5},
    "nod": lambda at: {"pitch": 7 * math.sin(at * 4 * math.pi)},
    "shake": lambda at: {"yaw": 8 * math.sin(at * 3.6 * math.pi), "browDown": 0.4},
    "doze": lambda _: {"eyeBlink": 0.9},
}
TALK: dict[str, Any] = {
    "silent": (),
    "flowing": ((0.0, 4.0),),
    "broken": ((0.0, 0.8), (1.3, 1.9), (2.6, 3.2)),
}
SENTENCES = ("", "yes exactly I agree", "um maybe I I guess", "what I don't understand", "ugh no")
ACT = 4.0

RANKS = {
    SignalEnded: 0,
    SignalDetected: 1,
    SignalUpdated: 2,
    EngagementUpdated: 3,
    QualityUpdated: 4,
}

acts = st.tuples(
    st.sampled_from(sorted(ACTS)), st.sampled_from(sorted(TALK)), st.sampled_from(SENTENCES)
)


@st.composite
def sessions(draw: st.DrawFn) -> Observations:
    """Draw a session of acts, one after the other, with or without sound and words."""
    played = draw(st.lists(acts, min_size=1, max_size=9))
    seconds = len(played) * ACT - draw(st.integers(0, 95)) / 100
    phrases = [
        (number * ACT + start, number * ACT + end)
        for number, (_, talk, _) in enumerate(played)
        for start, end in TALK[talk]
    ]
    words = [
        word
        for number, (_, _, text) in enumerate(played)
        for word in said(text, number * ACT, 0.5)
        if word.start < seconds
    ]
    return scene(
        seconds,
        lambda at: ACTS[played[int(at // ACT)][0]](at),
        spoken(seconds, phrases) if draw(st.booleans()) else None,
        tuple(words) if draw(st.booleans()) else None,
    )


cuts = st.lists(st.integers(1, 3600), max_size=12, unique=True)
many = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@many
@given(sessions(), cuts)
def test_what_is_found_does_not_depend_on_how_the_media_was_cut(
    session: Observations, edges: list[int]
) -> None:
    inside = [edge / 100 for edge in edges if edge / 100 < session.duration]
    whole, cut_up = (
        interpret(session, include=INCLUDES),
        interpret(session, inside, include=INCLUDES),
    )
    assert cut_up[0] == whole[0]
    assert cut_up[1].result() == whole[1].result()


@many
@given(sessions())
def test_the_findings_of_a_window_come_in_the_order_of_the_contract(session: Observations) -> None:
    interpreter = Interpreter(include=INCLUDES)
    step = default_rules().window.step
    edges = [number * step for number in range(1, math.ceil(session.duration / step))]
    for offset, piece in cut(session, edges):
        ranks = [RANKS[type(finding)] for finding in interpreter.feed(offset, piece)]
        assert ranks == sorted(ranks)


@many
@given(sessions())
def test_instances_of_a_signal_never_overlap_and_end_after_they_start(
    session: Observations,
) -> None:
    findings, interpreter = interpret(session)
    whole = round(session.duration, 6)  # findings are told to the microsecond
    open_at: dict[str, float] = {}
    ended_at: dict[str, float] = {}
    for finding in findings:
        if isinstance(finding, SignalUpdated):
            assert finding.start == open_at[finding.signal_type]
        elif isinstance(finding, SignalDetected):
            assert finding.signal_type not in open_at
            assert finding.start >= ended_at.get(finding.signal_type, 0.0)
            assert finding.rationale
            open_at[finding.signal_type] = finding.start
        elif isinstance(finding, SignalEnded):
            assert open_at.pop(finding.signal_type) < finding.end <= whole
            ended_at[finding.signal_type] = finding.end
    assert not open_at
    told = sorted((f.start, f.signal_type) for f in findings if type(f) is SignalDetected)
    assert told == [(s.start, s.signal_type) for s in interpreter.result().signals]


@many
@given(sessions())
def test_engagement_changes_only_when_it_differs_and_covers_the_session(
    session: Observations,
) -> None:
    findings, interpreter = interpret(session)
    told = [finding for finding in findings if isinstance(finding, EngagementUpdated)]
    assert told[0].start == 0.0
    assert all(left.state != right.state for left, right in pairwise(told))
    periods = interpreter.result().engagement
    assert [(p.start, p.state) for p in periods] == [(f.start, f.state) for f in told]
    assert all(p.start < p.end for p in periods)
    assert all(left.end == right.start for left, right in pairwise(periods))
    assert periods[-1].end == interpreter.result().duration


@many
@given(sessions())
def test_quality_comes_every_period_with_six_values(session: Observations) -> None:
    findings, interpreter = interpret(session, include=INCLUDES)
    told = [finding.data() for finding in findings if isinstance(finding, QualityUpdated)]
    timeline = interpreter.result().quality_timeline
    assert [data["timeline"] for data in told] == [[period.data()] for period in timeline]
    assert [period.start for period in timeline] == [10.0 * n for n in range(len(timeline))]
    assert len(timeline) >= session.duration // 10
    assert told[-1]["overall"] == interpreter.result().quality_overall
    for values in [data["overall"] for data in told] + [period.values for period in timeline]:
        assert list(values) == ["quality_index", *QUALITY_VALUES]
        assert all(type(value) is float and 0 <= value <= 100 for value in values.values())
        mean = sum(values[name] for name in QUALITY_VALUES) / 5
        assert abs(values["quality_index"] - mean) <= 0.005 + 1e-9


@many
@given(
    sessions(),
    st.lists(
        st.one_of(
            st.text(max_size=5), st.sampled_from(INCLUDES), st.none(), st.lists(st.integers())
        )
    ),
)
def test_unknown_includes_are_ignored(session: Observations, include: list[Any]) -> None:
    known = [name for name in INCLUDES if name in include]
    findings, interpreter = interpret(session, include=include)
    assert interpreter.configure(include) == tuple(known)
    assert findings == interpret(session, include=known)[0]


numbers = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.none())
small = st.floats(-1, 10)
shapes = st.lists(numbers, min_size=52, max_size=52).map(tuple)
frames = st.builds(
    FaceFrame,
    at=st.one_of(small, numbers),
    blendshapes=st.one_of(st.just((0.5,) * 52), shapes, st.just(())),
    yaw=numbers,
    pitch=small,
    roll=small,
    gaze=st.tuples(small, numbers),
    size=numbers,
    center=st.just((0.5, 0.5)),
    expression=st.one_of(st.none(), st.lists(numbers, min_size=7, max_size=7).map(tuple)),
)
voices = st.builds(
    Voice,
    speech=st.lists(st.integers(-1, 2), max_size=900).map(tuple),
    level=st.lists(numbers, max_size=900).map(tuple),
    pitch=st.lists(numbers, max_size=900).map(tuple),
    syllables=st.lists(numbers, max_size=20).map(tuple),
)
spoken_words = st.builds(
    Word, start=numbers, end=numbers, text=st.one_of(st.text(), st.none()), probability=numbers
)
anything = st.builds(
    Observations,
    duration=st.one_of(st.floats(3, 12), numbers),
    sampled=st.lists(st.one_of(small, numbers), max_size=60).map(tuple),
    faces=st.lists(frames, max_size=60).map(tuple),
    voice=st.one_of(st.none(), voices),
    words=st.one_of(st.none(), st.lists(spoken_words, max_size=10).map(tuple)),
)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(anything, max_size=3))
def test_whatever_an_analyzer_returns_is_interpreted_or_refused(segments: list[Any]) -> None:
    interpreter = Interpreter(include=INCLUDES)
    found = []
    for segment in segments:
        try:
            found += interpreter.feed(interpreter.result().duration, segment)
        except InvalidObservations:
            continue
    found += interpreter.finish()
    whole = interpreter.result().data(frozenset(INCLUDES))
    assert json.dumps([[f.data() for f in found], whole], allow_nan=False)
