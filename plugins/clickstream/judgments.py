"""Relevance judgments from clicks, with the position where a result stood taken out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.clickstream.searches import Outcome, Search, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Judgment:
    """Hold what the clicks say about one result of one query.

    `rating` is COEC, clicks over expected clicks: 1 is a result that is clicked as often as any
    result at its positions. It is None where nothing was expected, because nobody ever clicked at
    the positions where it stood.
    """

    query: str
    object_id: str
    clicks: int
    impressions: int
    expected_clicks: float
    rating: float | None


class ClickLog:
    """Count impressions and clicks by query, result and position.

    One pass over the searches in any order; what is kept grows with the different queries, results
    and positions, never with the number of searches.

    COEC = clicks / Σ over impressions of CTR(position), where CTR(position) is the share of all
    impressions at that position that were clicked (Zhang & Jones 2007, "Comparing Click Logs
    and Editorial Labels for Training Query Rewriting"). An impression is clicked or not: repeated
    clicks in one search count once. Queries are compared as they were written.
    """

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, Counter[int]]] = defaultdict(dict)
        self._clicks: Counter[tuple[str, str]] = Counter()
        self._shown_at: Counter[int] = Counter()
        self._clicked_at: Counter[int] = Counter()
        self._searches: Counter[str] = Counter()

    @classmethod
    def of(cls, searches: Iterable[Search]) -> ClickLog:
        """Count a stream of searches."""
        log = cls()
        for search in searches:
            outcome = outcome_of(search)
            if outcome is not None:
                log.add(search.query, outcome)
        return log

    def add(self, query: str, outcome: Outcome) -> None:
        """Count one search."""
        if not outcome.positions:
            return
        self._searches[query] += 1
        results = self._shown[query]
        for object_id, position in outcome.positions.items():
            results.setdefault(object_id, Counter())[position] += 1
            self._shown_at[position] += 1
        for object_id, position in outcome.clicked.items():
            self._clicks[query, object_id] += 1
            self._clicked_at[position] += 1

    def ctr(self, position: int) -> float:
        """Give the share of the impressions at a position that were clicked, 0 without any."""
        shown = self._shown_at[position]
        return self._clicked_at[position] / shown if shown else 0.0

    def judgments(self) -> Iterator[Judgment]:
        """Judge every result of every query: by query, best rating first, the unrated last."""
        for query in sorted(self._shown):
            yield from sorted(self._judge(query), key=_best_first)

    def ratings(self, query: str) -> dict[str, float]:
        """Give the ratings of the results of one query; results without one are left out."""
        return {
            judgment.object_id: judgment.rating
            for judgment in self._judge(query)
            if judgment.rating is not None
        }

    def ndcg(self, k: int) -> Iterator[tuple[float, int]]:
        """Give (sum of nDCG@k over its searches, number of searches) for every query.

        The gain is the rating itself, the discount 1 / log2(position + 1), the ideal order that of
        all the query's judged results (Järvelin & Kekäläinen 2002). The sum is linear in how
        often a result stood at a position, which is why one pass is enough. A query without a
        click has no ideal order and counts 0, as in trec_eval.
        """
        for query, results in self._shown.items():
            gains = self.ratings(query)
            best = sorted(gains.values(), reverse=True)[:k]
            ideal = math.fsum(gain * _discount(i) for i, gain in enumerate(best, start=1))
            total = math.fsum(
                gains[object_id] * _discount(position) * count
                for object_id, positions in results.items()
                if object_id in gains
                for position, count in positions.items()
                if position <= k
            )
            yield (total / ideal if ideal else 0.0), self._searches[query]

    def _judge(self, query: str) -> Iterator[Judgment]:
        results: Mapping[str, Counter[int]] = self._shown.get(query, {})
        for object_id, positions in results.items():
            expected = math.fsum(count * self.ctr(at) for at, count in sorted(positions.items()))
            clicks = self._clicks[query, object_id]
            rating = clicks / expected if expected else None
            yield Judgment(query, object_id, clicks, positions.total(), expected, rating)


def _discount(position: int) -> float:
    return 1 / math.log2(position + 1)


def _best_first(judgment: Judgment) -> tuple[bool, float, str]:
    return judgment.rating is None, -(judgment.rating or 0.0), judgment.object_id
