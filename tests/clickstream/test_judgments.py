"""Judgments from clicks: COEC against a brute force and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.clickstream.judgments import ClickLog
from plugins.clickstream.searches import Event, Result, Search
from tests.clickstream.strategies import logs

if TYPE_CHECKING:
    from random import Random


def search(query: str, shown: str, *clicked: str, ranks: list[float] | None = None) -> Search:
    results = tuple(
        Result(object_id, ranks[i] if ranks else None) for i, object_id in enumerate(shown)
    )
    events = tuple(Event(f"e{i}", object_id, at=i) for i, object_id in enumerate(clicked))
    return Search("s", query, 0, results, events)


def impressions(log: list[Search]) -> list[tuple[str, str, int, bool]]:
    """List every impression as (query, object, position, clicked)."""
    rows = []
    for one in log:
        shown: list[str] = []
        for position, result in enumerate(one.results or (), start=1):
            if result.object_id in shown:
                continue
            shown.append(result.object_id)
            clicked = any(
                event.object_id == result.object_id
                and event.event_type in {"click", "click_through", "item_click"}
                for event in one.events
            )
            rows.append((one.query, result.object_id, position, clicked))
    return rows


@given(logs)
def test_ratings_are_clicks_over_the_clicks_that_the_positions_promise(log: list[Search]) -> None:
    rows = impressions(log)
    judged = {(j.query, j.object_id): j for j in ClickLog.of(log).judgments()}
    assert set(judged) == {(query, object_id) for query, object_id, _, _ in rows}
    for (query, object_id), judgment in judged.items():
        mine = [row for row in rows if row[:2] == (query, object_id)]
        expected = 0.0
        for _, _, position, _ in mine:
            there = [clicked for _, _, at, clicked in rows if at == position]
            expected += sum(there) / len(there)
        assert judgment.impressions == len(mine)
        assert judgment.clicks == sum(clicked for *_, clicked in mine)
        assert judgment.expected_clicks == pytest.approx(expected)
        if expected:
            assert judgment.rating == pytest.approx(judgment.clicks / expected)
        else:
            assert judgment.rating is None


@given(logs)
def test_the_expected_clicks_of_all_results_add_up_to_the_clicks(log: list[Search]) -> None:
    judgments = list(ClickLog.of(log).judgments())
    clicks = sum(judgment.clicks for judgment in judgments)
    assert sum(judgment.expected_clicks for judgment in judgments) == pytest.approx(clicks)


@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_the_searches_changes_no_judgment(log: list[Search], random: Random) -> None:
    shuffled = random.sample(log, len(log))
    assert list(ClickLog.of(log).judgments()) == list(ClickLog.of(shuffled).judgments())


def test_a_click_far_down_is_worth_more_than_one_on_top() -> None:
    """Clicks at position 1: 3 of 4, at position 2: 1 of 4.

    For `boots`, `a` stood first twice and was clicked twice: 2 / (2 · 3/4) = 4/3. `b` stood second
    twice and was clicked once: 1 / (2 · 1/4) = 2. For `hats`, `c`: 1 / (2 · 3/4), `d`: 0.
    """
    log = [
        search("boots", "ab", "a", "b"),
        search("boots", "ab", "a"),
        search("hats", "cd", "c"),
        search("hats", "cd"),
    ]
    rated = [(j.query, j.object_id, j.rating) for j in ClickLog.of(log).judgments()]
    assert rated == [
        ("boots", "b", 2.0),
        ("boots", "a", pytest.approx(4 / 3)),
        ("hats", "c", pytest.approx(2 / 3)),
        ("hats", "d", 0.0),
    ]


def test_a_second_click_on_the_same_result_is_no_second_opinion() -> None:
    once, twice = search("q", "ab", "b"), search("q", "ab", "b", "b", "b")
    assert list(ClickLog.of([once]).judgments()) == list(ClickLog.of([twice]).judgments())


def test_a_rank_that_is_a_distance_does_not_move_a_result() -> None:
    distances = search("q", "ab", "b", ranks=[0.9, 0.1])
    plain = search("q", "ab", "b", ranks=[1, 2])
    assert list(ClickLog.of([distances]).judgments()) == list(ClickLog.of([plain]).judgments())


def test_results_where_nobody_ever_clicked_have_no_rating() -> None:
    judged = {j.object_id: j.rating for j in ClickLog.of([search("q", "abc", "b")]).judgments()}
    assert judged == {"b": 1.0, "a": None, "c": None}


def test_searches_whose_results_are_unknown_judge_nothing() -> None:
    unknown = Search("s", "q", 0, None, (Event("e", "a"),))
    assert list(ClickLog.of([unknown]).judgments()) == []


def test_clicks_on_objects_that_were_not_shown_judge_nothing() -> None:
    judged = list(ClickLog.of([search("q", "ab", "z")]).judgments())
    assert {j.object_id for j in judged} == {"a", "b"}
    assert all(j.clicks == 0 for j in judged)
