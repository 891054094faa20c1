"""Stored searches as the metrics and exports read them: streamed, and never an irrelevant one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from core import current, fetch_all
from plugins.clickstream.judgments import ClickLog
from plugins.clickstream.metrics import DEFAULT_K, SearchMetrics
from plugins.clickstream.payload_filters import fields_of
from plugins.clickstream.payloads import from_text
from plugins.clickstream.searches import Event, Result, Search
from plugins.clickstream.services import count_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugins.clickstream.hookspecs import Exporter

PAGE = 200
"""Searches read at a time."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Choose searches of an account; `start` (inclusive) and `end` (exclusive) in microseconds UTC."""

    account_id: int
    start: int | None = None
    end: int | None = None
    query: str | None = None
    user_id: str | None = None
    filter_field: str | None = None
    improvement: bool = False

    def __iter__(self) -> Iterator[Search]:
        """Read the searches by time, a page at a time; every iteration reads anew."""
        where, parameters = self._conditions()
        after: tuple[Any, ...] = ()
        while True:
            place = " AND (at, session_key) > (?, ?)" if after else ""
            rows = fetch_all(
                f"SELECT {_COLUMNS} FROM clickstream_search WHERE {where}{place}"  # noqa: S608
                " ORDER BY at, session_key LIMIT ?",
                (*parameters, *after, PAGE),
            )
            events = _events_of([row[0] for row in rows])
            for row in rows:
                search = _search(row, events.get(row[0], ()))
                if self._fits(search):
                    yield search
            if len(rows) < PAGE:
                return
            after = (rows[-1][1], rows[-1][0])

    def _conditions(self) -> tuple[str, list[Any]]:
        conditions = ["account_id = ?", "NOT is_irrelevant"]
        parameters: list[Any] = [self.account_id]
        for condition, value in (
            ("at >= ?", self.start),
            ("at < ?", self.end),
            ("query = ?", self.query),
            ("user_id = ?", self.user_id),
        ):
            if value is not None:
                conditions.append(condition)
                # A store holds no NUL, so nothing is found by one.
                parameters.append(
                    value.replace("\x00", "\ufffd") if isinstance(value, str) else value
                )
        if self.improvement:
            conditions.append("for_improvement")
        return " AND ".join(conditions), parameters

    def _fits(self, search: Search) -> bool:
        if self.filter_field is None:
            return True
        return self.filter_field in (fields_of(search.payload_filter) or ())


def measure(selection: Selection, k: int = DEFAULT_K) -> dict[str, Any]:
    """Give the search metrics of a selection, and how many events of the account wait for a session."""
    report = SearchMetrics.of(selection).report(k).as_dict()
    return report | {"orphan_events": count_orphans(selection.account_id)}


def judge(selection: Selection) -> ClickLog:
    """Give the click log of a selection, from which judgments come."""
    return ClickLog.of(selection)


def exporters() -> dict[str, Exporter]:
    """Give all exporters by name, the plugin's own and those of others; ValueError when two share a name."""
    found: dict[str, Exporter] = {}
    for given in current().plugins.hook.register_exporters():
        for exporter in given:
            if exporter.name in found:
                raise ValueError(f"two exporters are named {exporter.name}")
            found[exporter.name] = exporter
    return found


_COLUMNS = "session_key, at, session_id, query, results, results_known, user_id, search_meta, payload_filter, sort_by"


def _events_of(keys: Sequence[int]) -> dict[int, list[Event]]:
    if not keys:
        return {}
    marks = ", ".join("?" * len(keys))
    rows = fetch_all(
        "SELECT session_key, event_id, object_id, event_type, at, meta FROM clickstream_event"  # noqa: S608
        f" WHERE session_key IN ({marks}) ORDER BY id",
        tuple(keys),
    )
    found: dict[int, list[Event]] = {}
    for key, event_id, object_id, event_type, at, meta in rows:
        event = Event(event_id, object_id, event_type, at, from_text(meta))
        found.setdefault(key, []).append(event)
    return found


def _search(row: Sequence[Any], events: Sequence[Event]) -> Search:
    _key, at, session_id, query, results, known, user_id, search_meta, payload_filter, sort_by = row
    return Search(
        session_id=session_id,
        query=query,
        at=at,
        results=tuple(Result(**result) for result in orjson.loads(results)) if known else None,
        events=tuple(events),
        user_id=user_id,
        search_meta=from_text(search_meta),
        payload_filter=from_text(payload_filter),
        sort_by=from_text(sort_by),
    )
