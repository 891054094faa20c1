"""Read User Behavior Insights (UBI) logs: queries and events become searches.

UBI (https://github.com/o19s/ubi, 1.3.0) keeps one record per request to the search engine and one
per thing that happened in the browser, joined by `query_id`. An impression is a result that was
shown; every other event is something the user did.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from plugins.clickstream import moments
from plugins.clickstream.exports import OUTSIDE_RESULTS
from plugins.clickstream.ubi_queries import Action, QueryGroup, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from plugins.clickstream.searches import Search

MAX_PROBLEMS = 1_000
"""Problems a report names one by one; the rest is counted."""

MAX_ID_LENGTH = 256
"""Characters of a session id, as everywhere in Subtext."""

MAX_DEPTH = 250
"""Levels of a record; the JSON writer goes 254 deep."""

_ACTIONS = frozenset({"index", "create"})
_QUERIES, _EVENTS = "ubi_queries", "ubi_events"


class _UnusableError(ValueError):
    """Say why a line cannot be used."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Name a line (from 1) and why it could not be used."""

    line: int
    reason: str


@dataclass(slots=True)
class Reading:
    """Count what became of every line.

    `lines` = `actions` + `blank` + `queries` + `impressions` + `events` + `repeats` + the sum of
    `unusable` (by reason). `problems` names the first unusable lines. `assumed_times` of the
    events had no readable time and took that of their search.
    """

    lines: int = 0
    actions: int = 0
    blank: int = 0
    queries: int = 0
    impressions: int = 0
    events: int = 0
    repeats: int = 0
    assumed_times: int = 0
    searches: int = 0
    searches_without_query: int = 0
    searches_with_unknown_results: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Count a line that could not be used."""
        self.unusable[reason] += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(line, reason))

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain data."""
        return {
            "lines": self.lines,
            "actions": self.actions,
            "blank": self.blank,
            "queries": self.queries,
            "impressions": self.impressions,
            "events": self.events,
            "repeats": self.repeats,
            "assumed_times": self.assumed_times,
            "searches": self.searches,
            "searches_without_query": self.searches_without_query,
            "searches_with_unknown_results": self.searches_with_unknown_results,
            "unusable": dict(sorted(self.unusable.items())),
            "problems": [{"line": p.line, "reason": p.reason} for p in self.problems],
        }


def read_ubi(lines: Iterable[bytes | str], reading: Reading, *, now: int) -> Iterator[Search]:
    """Read bulk or plain NDJSON and give the searches in the order they first appear.

    Bulk: an action line (`{"index": {"_index": "ubi_queries", "_id": …}}`, also `create`), then the
    record. Plain: records alone, told apart by `action_name`. Queries and events may come in any
    order, so all lines are read before the first search is given. `now` (microseconds UTC) stands
    for the time of a search that has none. Lines that cannot be used are counted in `reading`.
    """
    filing = _Filing(reading)
    pending: Mapping[str, Any] | None = None
    for number, line in enumerate(lines, start=1):
        reading.lines += 1
        if not line.strip():
            reading.blank += 1
            continue
        try:
            record = _parse(line)
            action = _action_of(record)
            if action is not None:
                reading.actions += 1
                pending = action
                continue
            target, pending = pending or {}, None
            filing.add(record, target, number)
        except _UnusableError as error:
            pending = None
            reading.refuse(number, str(error))
    yield from filing.searches(now)


def _parse(line: bytes | str) -> Mapping[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _UnusableError("the line is not valid JSON") from None
    if not isinstance(record, dict):
        raise _UnusableError("the line is not a JSON object")
    _check_values(record)
    return record


def _action_of(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if len(record) != 1:
        return None
    name, target = next(iter(record.items()))
    if name in {"update", "delete"} and isinstance(target, dict):
        raise _UnusableError(f"the bulk action {name!r} is not supported")
    return target if name in _ACTIONS and isinstance(target, dict) else None


class _Filing:
    """File records under their `query_id`."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._groups: dict[str, QueryGroup] = {}
        self._seen: set[tuple[str, str]] = set()

    def add(self, record: Mapping[str, Any], target: Mapping[str, Any], line: int) -> None:
        """File one record; `target` is what its action line said, if there was one."""
        index = str(target.get("_index", ""))
        if index and _QUERIES not in index and _EVENTS not in index:
            raise _UnusableError("the index is neither ubi_queries nor ubi_events")
        query_id = _identifier(record.get("query_id"), "query_id")
        if _EVENTS in index or (not index and "action_name" in record):
            self._add_event(query_id, _event(record, target, line))
        else:
            request = _request(record, line)
            self._groups.setdefault(query_id, QueryGroup()).requests.append(request)
            self._reading.queries += 1

    def searches(self, now: int) -> Iterator[Search]:
        """Give the searches of everything filed."""
        reading = self._reading
        for query_id, group in self._groups.items():
            for blank in group.take_blank_requests():
                reading.queries -= 1
                reading.refuse(blank.line, "a blank query beside a written one")
            for search in group.searches(query_id, now):
                reading.searches += 1
                reading.searches_without_query += not group.requests
                reading.searches_with_unknown_results += search.results is None
                yield search

    def _add_event(self, query_id: str, action: Action) -> None:
        reading = self._reading
        shown = action.name == "impression"
        if shown and not action.object_id:
            raise _UnusableError("the impression names no object")
        if (query_id, action.event_id) in self._seen:
            reading.repeats += 1
            return
        self._seen.add((query_id, action.event_id))
        group = self._groups.setdefault(query_id, QueryGroup())
        (group.impressions if shown else group.actions).append(action)
        reading.impressions += shown
        reading.events += not shown
        reading.assumed_times += action.at is None


def _request(record: Mapping[str, Any], number: int) -> Request:
    text = record.get("user_query")
    if text is not None and not isinstance(text, str):
        raise _UnusableError("user_query is not a string")
    hits = record.get("query_response_hit_ids")
    if hits is not None:
        if not isinstance(hits, list):
            raise _UnusableError("query_response_hit_ids is not a list")
        hits = tuple(_identifier(hit, "query_response_hit_ids") for hit in hits)
    rest = {
        name: value
        for name, value in record.items()
        if name not in {"user_query", "query_id", "timestamp", "query_response_hit_ids"}
        and value is not None
    }
    return Request(number, text or "", _time_of(record), hits, rest)


def _event(record: Mapping[str, Any], target: Mapping[str, Any], number: int) -> Action:
    name = record.get("action_name")
    if not isinstance(name, str) or not name:
        raise _UnusableError("action_name is not a non-empty string")
    attributes = record.get("event_attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    thing = attributes.get("object")
    thing = thing if isinstance(thing, dict) else {}
    place = attributes.get("position")
    place = place if isinstance(place, dict) else {}
    raw_id = thing.get("object_id")
    if raw_id is None and record.get("message_type") == OUTSIDE_RESULTS:
        raw_id = record.get("message")
    event_id = record.get("event_id") or target.get("_id")
    return Action(
        line=number,
        event_id=event_id if isinstance(event_id, str) and event_id else _digest(record),
        name=name,
        object_id="" if raw_id is None else _identifier(raw_id, "object_id"),
        ordinal=_ordinal(place.get("ordinal")),
        at=_time_of(record),
        text=_text(record.get("user_query")),
        message=_text(record.get("message")),
        user_id=_text(record.get("user_id")) or _text(record.get("client_id")),
        details={
            key: value
            for key, value in record.items()
            if key not in {"action_name", "query_id", "timestamp", "event_id"} and value is not None
        },
    )


def _identifier(value: object, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise _UnusableError(f"{name} is missing or neither a string nor an integer")
    if name == "query_id" and len(value) > MAX_ID_LENGTH:
        raise _UnusableError(f"query_id has more than {MAX_ID_LENGTH} characters")
    return value


def _time_of(record: Mapping[str, Any]) -> int | None:
    value = record.get("timestamp")
    try:
        if isinstance(value, str):
            return moments.from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return moments.from_number(value)
    except (ValueError, OverflowError):
        return None
    return None


def _ordinal(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _digest(record: Mapping[str, Any]) -> str:
    canonical = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:32]


def _check_values(record: Mapping[str, Any]) -> None:
    """Look into nested values without recursion, which a hostile line could exhaust."""
    stack: list[tuple[object, int]] = [(record, 1)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str) and "\x00" in item:
            raise _UnusableError("the record contains a NUL character")
        if not isinstance(item, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise _UnusableError(f"the record is nested more than {MAX_DEPTH} levels deep")
        parts = [*item, *item.values()] if isinstance(item, dict) else item
        stack.extend((part, depth + 1) for part in parts)
