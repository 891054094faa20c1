"""Search metrics against brute force over the single searches, and by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.clickstream.judgments import ClickLog
from plugins.clickstream.metrics import SearchMetrics
from plugins.clickstream.searches import Event, Result, Search
from tests.clickstream.strategies import logs

if TYPE_CHECKING:
    from random import Random

    from plugins.clickstream.intervals import Estimate

CLICKS = {"click", "click_through", "item_click"}


def search(shown: str, *clicked: str, query: str = "q", kind: str = "click") -> Search:
    events = tuple(Event(f"e{i}", o, kind, at=i) for i, o in enumerate(clicked))
    return Search("s", query, 0, tuple(Result(o) for o in shown), events)


def clicks_of(one: Search) -> list[int]:
    """List the positions clicked, in the order of time."""
    ids = [result.object_id for result in one.results or ()]
    ordered = sorted(one.events, key=lambda event: event.at)
    return [
        ids.index(event.object_id) + 1
        for event in ordered
        if event.event_type in CLICKS and event.object_id in ids
    ]


def ndcg(one: Search, ratings: dict[str, float], k: int) -> float:
    ids = list(dict.fromkeys(result.object_id for result in one.results or ()))
    first = {o: [r.object_id for r in one.results or ()].index(o) + 1 for o in ids}
    gained = sum(ratings.get(o, 0.0) / math.log2(first[o] + 1) for o in ids if first[o] <= k)
    best = sorted(ratings.values(), reverse=True)[:k]
    ideal = sum(rating / math.log2(i + 2) for i, rating in enumerate(best))
    return gained / ideal if ideal else 0.0


@given(logs, st.integers(1, 9))
def test_metrics_equal_the_averages_over_single_searches(log: list[Search], k: int) -> None:
    report = SearchMetrics.of(log).report(k)
    known = [one for one in log if one.results is not None]
    shown = [one for one in known if one.results]
    clicked = [one for one in shown if clicks_of(one)]
    ratings: dict[str, dict[str, float]] = {}
    for judgment in ClickLog.of(log).judgments():
        if judgment.rating is not None:
            ratings.setdefault(judgment.query, {})[judgment.object_id] = judgment.rating
    engaging = CLICKS | {"add_to_cart", "purchase"}
    left = [one for one in shown if not any(e.event_type in engaging for e in one.events)]

    def check(estimate: Estimate, values: list[float]) -> None:
        assert estimate.n == len(values)
        if not values:
            assert estimate.value is None
            assert estimate.interval is None
            return
        assert estimate.value is not None
        assert estimate.value == pytest.approx(sum(values) / len(values))
        if estimate.interval is not None:
            low, high = estimate.interval
            assert low - 1e-12 <= estimate.value <= high + 1e-12

    assert report.searches == len(log)
    check(report.ctr_at_k, [float(min(clicks_of(one), default=99) <= k) for one in shown])
    check(report.mean_first_click_rank, [float(clicks_of(one)[0]) for one in clicked])
    check(report.mrr, [1 / min(clicks_of(one)) if clicks_of(one) else 0.0 for one in shown])
    check(report.ndcg_at_k, [ndcg(one, ratings.get(one.query, {}), k) for one in shown])
    check(report.zero_result_rate, [float(not one.results) for one in known])
    check(report.abandonment_rate, [float(one in left) for one in shown])


@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_the_searches_changes_nothing(log: list[Search], random: Random) -> None:
    shuffled = random.sample(log, len(log))
    given_order = SearchMetrics.of(log).report(5)
    other_order = SearchMetrics.of(shuffled).report(5)
    assert given_order == other_order


def test_two_searches_by_hand() -> None:
    """Shown `abc`: first `c`, then `b` is clicked. Shown `abc`: no click.

    CTR@1 0 of 2, CTR@2 1 of 2. First click at 3. MRR (1/2 + 0) / 2.
    CTR by position 0, 1/2, 1/2, so b and c are rated 1 / (2 · 1/2) = 1 and a is not rated.
    DCG@3 = 1/log2(3) + 1/log2(4) = 1.130930, ideal 1 + 1/log2(3) = 1.630930: 0.693426 for both.
    """
    metrics = SearchMetrics.of([search("abc", "c", "b"), search("abc")])
    report = metrics.report(3)
    assert metrics.report(1).ctr_at_k.value == 0
    assert metrics.report(2).ctr_at_k.value == 0.5
    assert report.mean_first_click_rank.value == 3
    assert report.mrr.value == 0.25
    assert report.ndcg_at_k.value == pytest.approx(0.693426, abs=1e-6)
    assert report.abandonment_rate.value == 0.5
    assert report.zero_result_rate.value == 0


def test_null_means_no_eligible_search() -> None:
    report = SearchMetrics.of([]).report().as_dict()
    nothing = {"value": None, "n": 0, "interval": None}
    assert report.pop("k") == 10
    assert report.pop("searches") == 0
    assert all(metric == nothing for metric in report.values())


def test_zero_means_searches_without_clicks() -> None:
    report = SearchMetrics.of([search("ab"), search("ba")]).report()
    for metric in (report.ctr_at_k, report.mrr, report.ndcg_at_k, report.zero_result_rate):
        assert metric.value == 0
        assert metric.n == 2
    assert report.abandonment_rate.value == 1
    assert report.mean_first_click_rank.value is None


def test_a_search_that_found_nothing_counts_for_the_zero_result_rate_alone() -> None:
    report = SearchMetrics.of([search(""), search("ab", "a")]).report()
    assert report.zero_result_rate.value == 0.5
    assert report.ctr_at_k.n == report.mrr.n == report.abandonment_rate.n == 1


def test_unknown_results_are_not_zero_results() -> None:
    report = SearchMetrics.of([Search("s", "q", 0, None)]).report()
    assert report.searches == 1
    assert report.zero_result_rate.n == 0


def test_a_purchase_without_a_click_is_no_abandonment_and_no_click() -> None:
    report = SearchMetrics.of([search("ab", "a", kind="purchase")]).report()
    assert report.abandonment_rate.value == 0
    assert report.ctr_at_k.value == 0


def test_a_cutoff_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SearchMetrics().report(0)
