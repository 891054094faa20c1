"""The mood depends on the set of observations: not on their order, their batches or a clock."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plugins.mood.engine import State, advance, assess, recompute
from plugins.mood.observations import EVENT_TYPES, NATIVE, Observation
from plugins.mood.rules import BUCKET, HORIZON_BUCKETS, SECOND, Rules
from plugins.mood.signals import MOODS, SIGNAL_RULES

START = 1_746_352_800 * SECOND
RULES = Rules()
COMMUTATIVE = ("rage_click", "input_pause", "backtrack", "back_nav", "idle", "hover")
EVIDENCE = sorted({(rule.modality, rule.kind) for rule in SIGNAL_RULES if rule.modality != NATIVE})

times = st.one_of(
    st.integers(0, 3 * SECOND),
    st.integers(0, 40 * SECOND),
    st.integers(0, 60 * 60 * SECOND),
).map(lambda offset: START + offset)
pixels = st.one_of(st.none(), st.sampled_from([0, 10, 25.5, 40, 600]))


@st.composite
def observations(draw: st.DrawFn, kinds: tuple[str, ...] = EVENT_TYPES) -> Observation:
    modality, kind = draw(
        st.one_of(
            st.sampled_from(kinds).map(lambda kind: (NATIVE, kind)), st.sampled_from(EVIDENCE)
        )
        if kinds is EVENT_TYPES
        else st.sampled_from(kinds).map(lambda kind: (NATIVE, kind))
    )
    return Observation(
        at=draw(times),
        kind=kind,
        modality=modality,
        strength=100 if modality == NATIVE else draw(st.integers(0, 100)),
        x=draw(pixels),
        y=draw(pixels),
        duration_ms=draw(st.one_of(st.none(), st.floats(0, 120_000))),
        speed=draw(st.sampled_from([None, 0, 300, 1999.9, 2000, 9000.5])),
        direction=draw(st.sampled_from([None, "up", "down"])),
        url=draw(st.sampled_from([None, "", "/a", "/b", "/c"])),
    )


def batches(seen: list[Observation], sizes: list[int]) -> list[list[Observation]]:
    cut: list[list[Observation]] = []
    while seen:
        size = sizes[len(cut) % len(sizes)]
        cut.append(seen[:size])
        seen = seen[size:]
    return cut


sizes = st.lists(st.integers(1, 7), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(observations(), max_size=40), st.randoms(use_true_random=False), sizes)
def test_any_order_and_any_batches_give_the_same_state_bit_for_bit(
    seen: list[Observation], random: object, cuts: list[int]
) -> None:
    expected = recompute(seen, RULES)
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    state = State(RULES.version)
    for number, batch in enumerate(batches(shuffled, cuts)):
        if not advance(State.load(state.dump()), batch, RULES):
            known = [each for before in batches(shuffled, cuts)[: number + 1] for each in before]
            state = recompute(known, RULES)
        else:
            state = State.load(state.dump())
            advance(state, batch, RULES)
    assert state.dump() == expected.dump()
    assert assess(state, RULES) == assess(expected, RULES)


@settings(deadline=None)
@given(st.lists(observations(), max_size=40), sizes)
def test_observations_in_time_order_are_never_late(
    seen: list[Observation], cuts: list[int]
) -> None:
    ordered = [each for at in sorted({each.at for each in seen}) for each in seen if each.at == at]
    state = State(RULES.version)
    for at in sorted({each.at for each in ordered}):
        assert advance(state, [each for each in ordered if each.at == at], RULES)
    assert state.dump() == recompute(seen, RULES).dump()


@settings(deadline=None)
@given(st.lists(observations(COMMUTATIVE), max_size=30), st.randoms(use_true_random=False))
def test_kinds_whose_order_says_nothing_are_never_late(
    seen: list[Observation], random: object
) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    state = State(RULES.version)
    assert all(advance(state, [each], RULES) for each in shuffled)
    assert state.dump() == recompute(seen, RULES).dump()


def test_a_late_click_is_reported_and_a_recomputation_finds_its_rage_click() -> None:
    clicks = [Observation(START + n * 300_000, "click", x=100, y=100) for n in range(3)]
    state = State(RULES.version)
    assert advance(state, [clicks[0], clicks[2]], RULES)
    assert not advance(state, [clicks[1]], RULES)
    assert not State.load(state.dump()).is_exact
    assert "rage_click_detected" in assess(recompute(clicks, RULES), RULES).signals


@settings(deadline=None)
@given(st.lists(observations(), max_size=30))
def test_the_state_survives_being_stored(seen: list[Observation]) -> None:
    state = recompute(seen, RULES)
    again = State.load(state.dump())
    assert again.dump() == state.dump()
    assert assess(again, RULES) == assess(state, RULES)


@settings(deadline=None)
@given(st.lists(observations(), max_size=40))
def test_every_answer_is_within_its_range(seen: list[Observation]) -> None:
    answer = assess(recompute(seen, RULES), RULES)
    assert 0 <= answer.confidence <= 1
    assert answer.mood in (*MOODS, "neutral")
    if answer.mood == "neutral":
        assert answer == answer.__class__("neutral", 0.0, (), "no_action")
    else:
        assert len(set(answer.signals)) == len(answer.signals)


MEMORY = (HORIZON_BUCKETS - 1) * BUCKET


# A click may complete a rage click, a page view a quick back: those speak for another mood.
ALONE = [rule for rule in SIGNAL_RULES if rule.kind not in {"click", "page_view"}]
BY_MOOD = {
    mood: [rule for rule in ALONE if max(rule.weights, key=rule.weights.__getitem__) == mood]
    for mood in MOODS
}


@settings(deadline=None)
@given(
    st.lists(observations(), min_size=4, max_size=30),
    st.integers(0, 10_000),
    st.integers(0, MEMORY // 2),
    st.integers(1, 100),
)
def test_evidence_for_the_current_mood_never_lowers_confidence_nor_changes_the_mood(
    seen: list[Observation], pick: int, later: int, strength: int
) -> None:
    seen = [each._replace(at=START + (each.at - START) % (MEMORY // 2)) for each in seen]
    before = assess(recompute(seen, RULES), RULES)
    assume(before.mood in BY_MOOD)
    rules = BY_MOOD[before.mood]
    rule = rules[pick % len(rules)]
    more = Observation(
        START + later, rule.kind, rule.modality, strength, duration_ms=strength * 600.0
    )
    after = assess(recompute([*seen, more], RULES), RULES)
    assert after.mood == before.mood
    assert after.confidence >= before.confidence - 1e-9


@settings(deadline=None)
@given(st.lists(observations(), min_size=3, max_size=20), st.integers(0, 30))
def test_time_that_passes_for_all_alike_changes_no_mood(
    seen: list[Observation], buckets: int
) -> None:
    seen = [each._replace(at=START + (each.at - START) % (5 * 60 * SECOND)) for each in seen]
    now = assess(recompute(seen, RULES), RULES)
    silent = Observation(START + buckets * BUCKET, "idle", duration_ms=0)
    later = assess(recompute([*seen, silent], RULES), RULES)
    assert later.mood == now.mood


def test_memory_is_bounded_whatever_the_length_of_the_session() -> None:
    kinds = [*EVENT_TYPES, "rapid_click"]

    def session(hours: int) -> State:
        state = State(RULES.version)
        for second in range(0, hours * 3600, 5):
            kind = kinds[second // 5 % len(EVENT_TYPES)]
            advance(state, [Observation(START + second * SECOND, kind, url="/a")], RULES)
        return state

    short, long = session(1), session(6)
    assert len(long.dump()) < len(short.dump()) * 1.1
    assert all(len(sums) <= 2 * HORIZON_BUCKETS for sums in long.buckets.values())


def test_an_observation_from_1970_counts_and_disturbs_nothing() -> None:
    seen = [Observation(START + n * SECOND, "error") for n in range(6)]
    before = assess(recompute(seen, RULES), RULES)
    state = recompute([Observation(0, "idle", duration_ms=9e9), *seen], RULES)
    after = assess(state, RULES)
    assert (after.mood, after.signals) == (before.mood, before.signals)
    assert state.events == 7
    assert state.latest == seen[-1].at


def test_a_state_of_other_rules_is_told_apart_by_its_version() -> None:
    assert Rules().version == RULES.version
    assert replace(RULES, rage_click_radius_px=31).version != RULES.version
    assert Rules(modality_weights={"facial": 0.5}).version != RULES.version
    assert replace(RULES, signal_rules=SIGNAL_RULES[:-1]).version != RULES.version
