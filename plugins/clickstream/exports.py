"""Write searches and judgments in the forms that search tools load.

Every function streams: it takes an iterable and gives lines or pieces of bytes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from plugins.clickstream.moments import MILLISECOND, to_text
from plugins.clickstream.searches import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from plugins.clickstream.judgments import ClickLog, Judgment
    from plugins.clickstream.searches import Event, Search

APPLICATION = "subtext"
"""What UBI calls the source of the searches."""

OUTSIDE_RESULTS = "OUTSIDE_RESULTS"
"""`message_type` of a UBI event on an object that was not shown; `message` is the object."""

UBI_NAME_LENGTH = 100
"""Characters of ids and names in the UBI 1.3 schemas."""

UBI_MESSAGE_LENGTH = 1024
"""Characters of `message` in the UBI 1.3 event schema."""

MAX_FEATURES = 64
"""Features of a learning-to-rank line; the ones that most results have."""


def ndjson(records: Iterable[Any]) -> Iterator[bytes]:
    """Write one JSON document a line."""
    for record in records:
        yield orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def bulk(records: Iterable[tuple[str, Mapping[str, Any]]], index: str) -> Iterator[bytes]:
    """Write (id, record) pairs as OpenSearch bulk NDJSON: an action line, then the record."""
    for document_id, record in records:
        action = {"index": {"_index": index, "_id": document_id}}
        yield orjson.dumps(action, option=orjson.OPT_APPEND_NEWLINE)
        yield orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def ubi_queries(searches: Iterable[Search]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (id, UBI 1.3 query) of every search.

    Schema: https://o19s.github.io/ubi/schema/1.3.0/query.request.schema.json. The session id is the
    `query_id`. `query_response_hit_ids` is missing where nobody knows what was shown. A session id
    longer than the 100 characters of the schema is replaced by its SHA-256.
    """
    for search in searches:
        query_id = ubi_id(search.session_id)
        attributes = {
            "search_meta": search.search_meta,
            "payload_filter": search.payload_filter,
            "sort_by": search.sort_by,
        }
        record: dict[str, Any] = {
            "application": APPLICATION,
            "query_id": query_id,
            "user_query": search.query,
            "query_attributes": {k: v for k, v in attributes.items() if v is not None},
            "timestamp": to_text(search.at),
        }
        if search.user_id:
            record["client_id"] = ubi_id(search.user_id)
        if search.results is not None:
            record["query_response_hit_ids"] = [result.object_id for result in search.results]
        yield query_id, record


def ubi_events(searches: Iterable[Search]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (id, UBI 1.3 event) of every impression and of every event.

    Schema: https://o19s.github.io/ubi/schema/1.3.0/event.schema.json. `position.ordinal` is the
    index plus one. The schema wants a position wherever it has an object, so an event on an object
    that was not shown has its id in `message` and `OUTSIDE_RESULTS` in `message_type`.
    """
    for search in searches:
        query_id = ubi_id(search.session_id)
        base: dict[str, Any] = {
            "application": APPLICATION,
            "query_id": query_id,
            "session_id": query_id,
            "user_query": search.query,
        }
        if search.user_id:
            base["user_id"] = base["client_id"] = ubi_id(search.user_id)
        positions = positions_of(search.results or ())
        for object_id, position in positions.items():
            impression = {
                **base,
                "action_name": "impression",
                "timestamp": to_text(search.at),
                "event_attributes": _attributes(object_id, position, None),
            }
            yield f"{query_id}:impression:{position}", impression
        for event in search.events:
            yield f"{query_id}:{event.event_id}", base | _ubi_event(event, positions)


def workbench(judgments: Iterable[Judgment], *, name: str, description: str) -> Iterator[bytes]:
    """Write the judgment import of the OpenSearch Search Relevance Workbench.

    The pieces make one JSON document, the body of `PUT _plugins/_search_relevance/judgments`:
    `{name, description, type: "IMPORT_JUDGMENT", judgmentRatings: [{query, ratings: [{docId,
    rating}]}]}`. A rating is a string with three decimals. `judgments` must come grouped by query;
    results without a rating are left out.
    """
    head = orjson.dumps({"name": name, "description": description, "type": "IMPORT_JUDGMENT"})
    yield head[:-1] + b',"judgmentRatings":['
    separator = b""
    for entry in workbench_entries(judgments):
        yield separator + orjson.dumps(entry)
        separator = b","
    yield b"]}\n"


def workbench_entries(judgments: Iterable[Judgment]) -> Iterator[dict[str, Any]]:
    """Give `{query, ratings: [{docId, rating}]}` of every query with a rating."""
    query: str | None = None
    ratings: list[dict[str, str]] = []
    for judgment in judgments:
        if judgment.query != query:
            if ratings:
                yield {"query": query, "ratings": ratings}
            query, ratings = judgment.query, []
        if judgment.rating is not None:
            ratings.append({"docId": judgment.object_id, "rating": f"{judgment.rating:.3f}"})
    if ratings:
        yield {"query": query, "ratings": ratings}


def judgment_records(judgments: Iterable[Judgment]) -> Iterator[dict[str, Any]]:
    """Give every judgment with the counts behind it."""
    for judgment in judgments:
        yield {
            "query": judgment.query,
            "object_id": judgment.object_id,
            "clicks": judgment.clicks,
            "impressions": judgment.impressions,
            "expected_clicks": judgment.expected_clicks,
            "rating": judgment.rating,
        }


def feature_names(searches: Iterable[Search]) -> list[str]:
    """Find the features of the results: `rank`, then the numbers in `meta` by name.

    At most `MAX_FEATURES` of them, those that most results have.
    """
    counts: Counter[str] = Counter()
    for search in searches:
        for result in search.results or ():
            counts.update(name for name, value in (result.meta or {}).items() if _is_number(value))
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[: MAX_FEATURES - 1]
    return ["rank", *sorted(f"meta.{name}" for name in frequent)]


def letor(searches: Iterable[Search], log: ClickLog, features: list[str]) -> Iterator[bytes]:
    """Write SVMrank/LETOR lines: `<rating> qid:<n> <feature>:<value> … # {"query", "docId"}`.

    One `qid` per search, one line per result that was shown and has a rating (COEC). Features
    are those of `feature_names`, numbered from 1 in their order; a missing one is left out, which
    the format reads as 0. The first lines are comments that name them.
    Format: https://www.cs.cornell.edu/people/tj/svm_light/svm_rank.html
    """
    for number, name in enumerate(features, start=1):
        yield b"# feature %d: %s\n" % (number, orjson.dumps(name))
    qid = 0
    known: dict[str, dict[str, float]] = {}
    for search in searches:
        if not search.results:
            continue
        if search.query not in known:
            known[search.query] = log.ratings(search.query)
        unseen = dict(known[search.query])
        lines = []
        for result in search.results:
            rating = unseen.pop(result.object_id, None)
            if rating is None:
                continue
            values = {f"meta.{name}": value for name, value in (result.meta or {}).items()}
            values["rank"] = result.rank
            given = " ".join(
                f"{number}:{float(values[name]):.9g}"
                for number, name in enumerate(features, start=1)
                if _is_number(values.get(name))
            )
            note = orjson.dumps({"query": search.query, "docId": result.object_id}).decode()
            lines.append(f"{rating:.6f} qid:{qid + 1} {given}{' ' if given else ''}# {note}\n")
        if lines:
            qid += 1
            yield "".join(lines).encode()


def fine_tuning(searches: Iterable[Search]) -> Iterator[dict[str, Any]]:
    """Give `{query, results, events, ranks, timestamp, items}` of every search with results.

    `results` are the different objects shown, `events` those of them that were clicked, both in the
    order they were shown; `ranks` has every result: the rank that was sent, or the position where
    the search had no ranks at all; `timestamp` is in milliseconds; `items` are `{object_id, meta}`.
    """
    for search in searches:
        if not search.results:
            continue
        shown = {result.object_id: result for result in reversed(search.results)}
        positions = positions_of(search.results)
        clicked = {event.object_id for event in search.events if event.is_click}
        ranked = any(result.rank is not None for result in search.results)
        yield {
            "query": search.query,
            "results": list(positions),
            "events": [object_id for object_id in positions if object_id in clicked],
            "ranks": {
                object_id: shown[object_id].rank if ranked else float(position)
                for object_id, position in positions.items()
            },
            "timestamp": search.at // MILLISECOND,
            "items": [
                {"object_id": object_id, "meta": shown[object_id].meta or {}}
                for object_id in positions
            ],
        }


def ubi_id(identifier: str) -> str:
    """Give an id that fits the UBI schema: itself, or its SHA-256 when it is too long."""
    if len(identifier) <= UBI_NAME_LENGTH:
        return identifier
    return hashlib.sha256(identifier.encode()).hexdigest()


def _ubi_event(event: Event, positions: Mapping[str, int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "action_name": event.event_type[:UBI_NAME_LENGTH],
        "event_id": event.event_id,
        "timestamp": to_text(event.at),
    }
    position = positions.get(event.object_id)
    if position is not None:
        record["event_attributes"] = _attributes(event.object_id, position, event.meta)
    elif event.object_id:
        record["message_type"] = OUTSIDE_RESULTS
        record["message"] = event.object_id[:UBI_MESSAGE_LENGTH]
    return record


def _attributes(object_id: str, position: int, meta: Mapping[str, Any] | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "object": {"object_id": object_id},
        "position": {"ordinal": position},
    }
    if meta:
        attributes["meta"] = meta
    return attributes


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
