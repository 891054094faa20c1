"""95 % confidence intervals for shares and means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Z_95 = NormalDist().inv_cdf(0.975)
"""Two-sided 95 % quantile of the normal distribution, about 1.96."""

_STUDENT_95 = (
    12.706204736,
    4.302652730,
    3.182446305,
    2.776445105,
    2.570581836,
    2.446911851,
    2.364624252,
    2.306004135,
    2.262157163,
    2.228138852,
)
"""Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom, where the series of
`student_95` is still coarse."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold a value, the number of cases behind it and its 95 % interval.

    `value` is None when no case was eligible. `interval` is None when the cases cannot tell how
    far they spread: none at all, or a mean of a single one.
    """

    value: float | None
    n: int
    interval: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Give the form that goes over the wire: `{value, n, interval: [low, high]}`."""
        interval = None if self.interval is None else list(self.interval)
        return {"value": self.value, "n": self.n, "interval": interval}


def student_95(degrees: int) -> float:
    """Give the two-sided 95 % quantile of Student's t.

    Exact to nine decimals up to 10 degrees of freedom, then the Cornish-Fisher expansion
    (Abramowitz & Stegun 1964, 26.7.5), whose error there is below 1e-5.
    """
    if degrees < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if degrees <= len(_STUDENT_95):
        return _STUDENT_95[degrees - 1]
    z, v = Z_95, float(degrees)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def share(hits: int, n: int) -> Estimate:
    """Estimate a share with Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001).

    Unlike the normal interval it stays inside [0, 1] and keeps its width at 0 and at 1.
    """
    if n == 0:
        return Estimate(None, 0, None)
    p, z2 = hits / n, Z_95 * Z_95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return Estimate(p, n, (low, high))


def mean(
    counts: Mapping[int, int] | Mapping[float, int],
    *,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Estimate:
    """Estimate the mean of the values in `counts` (value to how often) with Student's interval.

    The interval is cut at `lowest` and `highest`, the bounds of the values themselves.
    """
    n = sum(counts.values())
    if n == 0:
        return Estimate(None, 0, None)
    value = math.fsum(x * count for x, count in counts.items()) / n
    if n == 1:
        return Estimate(value, 1, None)
    squares = math.fsum(count * (x - value) ** 2 for x, count in counts.items())
    half = student_95(n - 1) * math.sqrt(squares / (n - 1) / n)
    return Estimate(value, n, (max(value - half, lowest), min(value + half, highest)))


def ratio(
    clusters: Iterable[tuple[float, int]],
    *,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Estimate:
    """Estimate the mean over the members of clusters, given each one's (sum, size).

    Members of a cluster are not independent, so the variance is that of the ratio estimator with
    clusters as units (Cochran 1977, Sampling Techniques, 2.11) and Student's t has one
    degree of freedom less than there are clusters. `n` counts members.
    """
    known = [(total, size) for total, size in clusters if size > 0]
    n = sum(size for _, size in known)
    if n == 0:
        return Estimate(None, 0, None)
    value = min(max(math.fsum(total for total, _ in known) / n, lowest), highest)
    m = len(known)
    if m == 1:
        return Estimate(value, n, None)
    squares = math.fsum((total - value * size) ** 2 for total, size in known)
    half = student_95(m - 1) * math.sqrt(m / (m - 1) * squares) / n
    return Estimate(value, n, (max(value - half, lowest), min(value + half, highest)))
