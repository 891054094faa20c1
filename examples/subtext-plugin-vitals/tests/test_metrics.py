"""The thresholds, as web.dev publishes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subtext_plugin_vitals.metrics import METRICS, rate, strength


@pytest.mark.parametrize(
    ("name", "good", "poor"),
    [
        ("LCP", 2500, 4000),
        ("INP", 200, 500),
        ("CLS", 0.1, 0.25),
        ("FCP", 1800, 3000),
        ("TTFB", 800, 1800),
    ],
)
def test_a_value_on_a_threshold_has_the_better_rating(name: str, good: float, poor: float) -> None:
    assert rate(name, good) == "good"
    assert rate(name, good * 1.001) == "needs-improvement"
    assert rate(name, poor) == "needs-improvement"
    assert rate(name, poor * 1.001) == "poor"


@given(st.sampled_from(sorted(METRICS)), st.floats(0, 3_600_000))
def test_a_poor_value_is_strong_evidence_and_never_more_than_full(name: str, value: float) -> None:
    if rate(name, value) == "poor":
        assert 0.5 < strength(name, value) <= 1
