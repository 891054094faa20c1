"""How well the search works, as far as clicks can tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugins.clickstream.intervals import Estimate, mean, ratio, share
from plugins.clickstream.judgments import ClickLog
from plugins.clickstream.searches import Search, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_K = 10
"""Results on the customary first page."""


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the metrics of a set of searches; every one says how many searches were eligible."""

    k: int
    searches: int
    ctr_at_k: Estimate
    mean_first_click_rank: Estimate
    mrr: Estimate
    ndcg_at_k: Estimate
    zero_result_rate: Estimate
    abandonment_rate: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Give the form that goes over the wire."""
        return {
            "k": self.k,
            "searches": self.searches,
            "ctr_at_k": self.ctr_at_k.as_dict(),
            "mean_first_click_rank": self.mean_first_click_rank.as_dict(),
            "mrr": self.mrr.as_dict(),
            "ndcg_at_k": self.ndcg_at_k.as_dict(),
            "zero_result_rate": self.zero_result_rate.as_dict(),
            "abandonment_rate": self.abandonment_rate.as_dict(),
        }


class SearchMetrics:
    """Measure a stream of searches in one pass, for any k afterwards.

    Only counts by position, query and result are kept, all of them integers, so the order of the
    searches changes nothing.
    """

    def __init__(self) -> None:
        self.log = ClickLog()
        self._searches = 0
        self._known = 0
        self._empty = 0
        self._abandoned = 0
        self._first: Counter[int] = Counter()
        self._highest: Counter[int] = Counter()

    @classmethod
    def of(cls, searches: Iterable[Search]) -> SearchMetrics:
        """Measure a stream of searches."""
        metrics = cls()
        for search in searches:
            metrics.add(search)
        return metrics

    def add(self, search: Search) -> None:
        """Count one search."""
        self._searches += 1
        outcome = outcome_of(search)
        if outcome is None:
            return
        self._known += 1
        if not outcome.positions:
            self._empty += 1
            return
        self.log.add(search.query, outcome)
        self._abandoned += not outcome.engaged
        if outcome.first_clicked is not None:
            self._first[outcome.first_clicked] += 1
        if outcome.highest_clicked is not None:
            self._highest[outcome.highest_clicked] += 1

    def report(self, k: int = DEFAULT_K) -> Report:
        """Give the metrics at cut-off `k` (at least 1).

        CTR@k: share of the searches with results that had a click at position 1 to k.
        Mean first-click rank: mean position of the click that came first in time, over searches
        with a click. MRR: mean of 1 / position of the highest result clicked, 0 without a click
        (Voorhees 1999). nDCG@k: see `ClickLog.ndcg`. Zero-result rate: share of the searches whose
        result list was empty. Abandonment: share of the searches with results that got
        neither a click nor a conversion.
        """
        if k < 1:
            raise ValueError("k must be at least 1")
        shown = self._known - self._empty
        clicked = self._highest.total()
        reciprocal = {1 / position: count for position, count in self._highest.items()}
        reciprocal[0.0] = shown - clicked
        return Report(
            k=k,
            searches=self._searches,
            ctr_at_k=share(sum(n for at, n in self._highest.items() if at <= k), shown),
            mean_first_click_rank=mean(self._first, lowest=1.0),
            mrr=mean(reciprocal, lowest=0.0, highest=1.0),
            ndcg_at_k=ratio(self.log.ndcg(k), lowest=0.0, highest=1.0),
            zero_result_rate=share(self._empty, self._known),
            abandonment_rate=share(self._abandoned, shown),
        )
