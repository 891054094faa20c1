"""The metrics of the `web-vitals` library, and when a value is good or poor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """State one metric: its unit, the largest good value, the largest that is not poor, and what a poor one shows.

    `evidence` is the kind of evidence that a poor value is; empty for metrics that only help to find the cause.
    """

    unit: str
    good: float
    poor: float
    evidence: str = ""


#: Thresholds: web.dev/articles/vitals (LCP, INP, CLS), /fcp and /ttfb. CLS is a score without unit.
METRICS = {
    "LCP": Metric("ms", good=2_500, poor=4_000, evidence="slow_page"),
    "INP": Metric("ms", good=200, poor=500, evidence="slow_reaction"),
    "CLS": Metric("", good=0.1, poor=0.25, evidence="moving_layout"),
    "FCP": Metric("ms", good=1_800, poor=3_000),
    "TTFB": Metric("ms", good=800, poor=1_800),
}

#: Times the poor threshold at which evidence is as strong as it gets.
FULL_STRENGTH_AT = 2.0


def rate(name: str, value: float) -> str:
    """Return `good`, `needs-improvement` or `poor`, the words of the `web-vitals` library."""
    metric = METRICS[name]
    if value <= metric.good:
        return "good"
    return "needs-improvement" if value <= metric.poor else "poor"


def strength(name: str, value: float) -> float:
    """Return how strong the evidence of a value is: 0.5 at the poor threshold, 1 from twice of it."""
    return min(1.0, value / (FULL_STRENGTH_AT * METRICS[name].poor))
