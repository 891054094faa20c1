"""Intervals, checked against other ways of computing them."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.clickstream.intervals import Z_95, mean, ratio, share, student_95


def student_cdf(t: float, degrees: int) -> float:
    """Integrate the density of Student's t from 0 with Simpson's rule."""
    steps = 20_000
    scale: float = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    scale /= math.sqrt(degrees * math.pi)
    density: list[float] = [
        scale * (1 + (t * i / steps) ** 2 / degrees) ** (-(degrees + 1) / 2)
        for i in range(steps + 1)
    ]
    odd, even = sum(density[1:-1:2]), sum(density[2:-1:2])
    return 0.5 + t / steps / 3 * (density[0] + density[-1] + 4 * odd + 2 * even)


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 10, 11, 15, 30, 200])
def test_students_quantile_leaves_two_and_a_half_percent_above_it(degrees: int) -> None:
    assert student_cdf(student_95(degrees), degrees) == pytest.approx(0.975, abs=1e-6)


def test_students_quantile_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="one degree"):
        student_95(0)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_of_a_share_are_where_its_score_test_just_rejects(case: tuple[int, int]) -> None:
    """Wilson: |p - bound| = z · sqrt(bound · (1 - bound) / n)."""
    hits, n = case
    estimate = share(hits, n)
    assert estimate.interval is not None
    low, high = estimate.interval
    assert 0 <= low <= hits / n <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            error = Z_95 * math.sqrt(bound * (1 - bound) / n)
            assert abs(hits / n - bound) == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_a_share_of_nothing_is_null_and_a_share_of_none_is_zero() -> None:
    assert share(0, 0).as_dict() == {"value": None, "n": 0, "interval": None}
    nothing = share(0, 10)
    assert nothing.value == 0
    assert nothing.interval == pytest.approx((0, 0.27753), abs=1e-4)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=60))
def test_a_mean_from_counts_is_the_mean_of_the_values(values: list[int]) -> None:
    estimate = mean({value: values.count(value) for value in values})
    half = student_95(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    assert estimate.n == len(values)
    assert estimate.value == pytest.approx(fmean(values))
    assert estimate.interval == pytest.approx((fmean(values) - half, fmean(values) + half))


def test_a_single_value_has_a_mean_and_no_interval() -> None:
    assert mean({3: 1}).as_dict() == {"value": 3.0, "n": 1, "interval": None}
    assert ratio([(1.5, 3)]).as_dict() == {"value": 0.5, "n": 3, "interval": None}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_clusters_of_one_member_give_the_plain_mean(values: list[float]) -> None:
    clustered = ratio([(value, 1) for value in values])
    plain = mean({value: values.count(value) for value in values})
    assert clustered.value == pytest.approx(plain.value)
    assert clustered.interval == pytest.approx(plain.interval, abs=1e-7)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 9)), min_size=2, max_size=30))
def test_intervals_of_clusters_hold_the_value_and_respect_the_bounds(
    cases: list[tuple[float, int]],
) -> None:
    estimate = ratio([(share * size, size) for share, size in cases], lowest=0, highest=1)
    assert estimate.interval is not None
    assert estimate.value is not None
    assert 0 <= estimate.interval[0] <= estimate.value <= estimate.interval[1] <= 1
