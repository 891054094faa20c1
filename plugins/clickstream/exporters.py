"""The built-in exporters: the forms of `exports.py`, named and described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.clickstream import exports
from plugins.clickstream.judgments import ClickLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from plugins.clickstream.searches import Search

NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class BuiltinExporter:
    """Pair a form with its name."""

    name: str
    description: str
    media_type: str
    suffix: str
    form: Callable[[Iterable[Search]], Iterator[bytes]]

    def write(self, searches: Iterable[Search]) -> Iterator[bytes]:
        """Write the searches piece by piece."""
        return self.form(searches)


def _ubi_queries(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.ndjson(record for _, record in exports.ubi_queries(searches))


def _ubi_events(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.ndjson(record for _, record in exports.ubi_events(searches))


def _ubi_bulk(searches: Iterable[Search]) -> Iterator[bytes]:
    for search in searches:
        yield from exports.bulk(exports.ubi_queries([search]), "ubi_queries")
        yield from exports.bulk(exports.ubi_events([search]), "ubi_events")


def _judgments(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.ndjson(exports.judgment_records(ClickLog.of(searches).judgments()))


def _workbench(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.workbench(
        ClickLog.of(searches).judgments(),
        name="Subtext click judgments",
        description="COEC: clicks over the clicks expected at the positions shown",
    )


def _letor(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.letor(searches, ClickLog.of(searches), exports.feature_names(searches))


def _fine_tuning(searches: Iterable[Search]) -> Iterator[bytes]:
    return exports.ndjson(exports.fine_tuning(searches))


BUILTIN = (
    BuiltinExporter("ubi-queries", "UBI 1.3 queries, one a line.", NDJSON, ".ndjson", _ubi_queries),
    BuiltinExporter(
        "ubi-events",
        "UBI 1.3 events, impressions included, one a line.",
        NDJSON,
        ".ndjson",
        _ubi_events,
    ),
    BuiltinExporter(
        "ubi-bulk",
        "UBI 1.3 queries and events for the `_bulk` address of OpenSearch.",
        NDJSON,
        ".ndjson",
        _ubi_bulk,
    ),
    BuiltinExporter(
        "judgments",
        "Click judgments (COEC) with the counts behind them, one a line.",
        NDJSON,
        ".ndjson",
        _judgments,
    ),
    BuiltinExporter(
        "workbench",
        "Judgment import of the OpenSearch Search Relevance Workbench.",
        "application/json",
        ".json",
        _workbench,
    ),
    BuiltinExporter("letor", "SVMrank/LETOR lines, rated with COEC.", "text/plain", ".txt", _letor),
    BuiltinExporter(
        "fine-tuning",
        "Queries, results, events and ranks for the fine-tuning of embeddings, one search a line.",
        NDJSON,
        ".jsonl",
        _fine_tuning,
    ),
)
