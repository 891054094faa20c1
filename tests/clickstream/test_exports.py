"""Exports load into the tools they are for."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
from hypothesis import given

from plugins.clickstream import exports
from plugins.clickstream.judgments import ClickLog
from plugins.clickstream.searches import Event, Result, Search
from plugins.clickstream.ubi import Reading, read_ubi
from tests.clickstream.strategies import logs

AT = 1_701_012_345_678_000
SEARCH = Search(
    session_id="sess-123",
    query="transformer optimization",
    at=AT,
    results=(
        Result("obj-1", 0.25, {"source": "hf_models", "score": 0.92}),
        Result("obj-2", 0.5, {"score": 0.4, "new": True}),
        Result("obj-1", 0.75),
    ),
    events=(
        Event("evt-1", "obj-2", at=AT + 1_000_000, meta={"rank_position": 2}),
        Event("evt-2", "elsewhere", at=AT + 2_000_000),
        Event("evt-3", "", "scroll", at=AT + 3_000_000),
    ),
    user_id="user-456",
    search_meta={"latency_ms": 450},
    payload_filter={"task": "text-classification"},
    sort_by={"field": "downloads", "order": "desc"},
)


def assert_matches_the_event_schema(record: dict[str, object]) -> None:
    """Check what the UBI 1.3 event schema demands of the fields that are written here."""
    assert {"action_name", "timestamp"} <= set(record)
    datetime.fromisoformat(str(record["timestamp"]))
    for name in ("application", "action_name", "query_id", "session_id", "client_id", "user_id"):
        if name in record:
            assert isinstance(record[name], str)
            assert len(str(record[name])) <= 100
    assert len(str(record.get("message", ""))) <= 1024
    if "event_attributes" in record:
        attributes = record["event_attributes"]
        assert isinstance(attributes, dict)
        assert isinstance(attributes["position"]["ordinal"], int)
        assert isinstance(attributes["object"]["object_id"], str)


def test_a_ubi_query_carries_the_search_and_its_hits_in_order() -> None:
    ((document_id, record),) = exports.ubi_queries([SEARCH])
    assert document_id == "sess-123"
    assert record == {
        "application": "subtext",
        "query_id": "sess-123",
        "client_id": "user-456",
        "user_query": "transformer optimization",
        "query_attributes": {
            "search_meta": {"latency_ms": 450},
            "payload_filter": {"task": "text-classification"},
            "sort_by": {"field": "downloads", "order": "desc"},
        },
        "timestamp": "2023-11-26T15:25:45.678Z",
        "query_response_hit_ids": ["obj-1", "obj-2", "obj-1"],
    }


def test_ubi_events_are_the_impressions_and_then_what_the_user_did() -> None:
    records = [record for _, record in exports.ubi_events([SEARCH])]
    assert [record["action_name"] for record in records] == [
        "impression",
        "impression",
        "click",
        "click",
        "scroll",
    ]
    assert records[2]["event_attributes"] == {
        "object": {"object_id": "obj-2"},
        "position": {"ordinal": 2},
        "meta": {"rank_position": 2},
    }
    assert records[3]["message"] == "elsewhere"
    assert "event_attributes" not in records[4]


@given(logs)
def test_ubi_events_match_their_schema_and_have_ids_of_their_own(log: list[Search]) -> None:
    pairs = list(exports.ubi_events(log))
    assert len({document_id for document_id, _ in pairs}) == len(pairs)
    for _, record in pairs:
        assert_matches_the_event_schema(record)


@given(logs)
def test_what_was_exported_as_ubi_is_read_back_as_the_same_searches(log: list[Search]) -> None:
    written = [search for search in log if search.query.strip()]
    lines = [
        *exports.bulk(exports.ubi_events(written), "ubi_events"),
        *exports.bulk(exports.ubi_queries(written), "ubi_queries"),
    ]
    reading = Reading()
    back = {search.session_id: search for search in read_ubi(lines, reading, now=0)}
    assert not reading.problems
    assert set(back) == {search.session_id for search in written}
    for search in written:
        mine = back[search.session_id]
        assert (mine.query, mine.at) == (search.query, search.at)
        shown = list(dict.fromkeys(result.object_id for result in search.results or ()))
        if shown:
            assert [result.object_id for result in mine.results or ()][: len(shown)] == shown
        events = {(e.event_id, e.object_id, e.event_type, e.at) for e in search.events}
        assert {(e.event_id, e.object_id, e.event_type, e.at) for e in mine.events} == events


def test_ids_too_long_for_the_schema_stay_joined() -> None:
    long = Search("s" * 256, "q", AT, (Result("a"),), (Event("e", "a", at=AT),), user_id="u" * 300)
    (_, query), *_ = exports.ubi_queries([long])
    events = [record for _, record in exports.ubi_events([long])]
    assert {record["query_id"] for record in events} == {query["query_id"]}
    for record in events:
        assert_matches_the_event_schema(record)


def test_the_workbench_import_is_one_document_with_ratings_as_strings() -> None:
    log = ClickLog.of([SEARCH, Search("s2", "boots", AT, (Result("x"),), (Event("e", "x"),))])
    body = b"".join(exports.workbench(log.judgments(), name="clicks", description="COEC"))
    assert json.loads(body) == {
        "name": "clicks",
        "description": "COEC",
        "type": "IMPORT_JUDGMENT",
        "judgmentRatings": [
            {"query": "boots", "ratings": [{"docId": "x", "rating": "2.000"}]},
            {
                "query": "transformer optimization",
                "ratings": [
                    {"docId": "obj-2", "rating": "1.000"},
                    {"docId": "obj-1", "rating": "0.000"},
                ],
            },
        ],
    }


def test_a_workbench_import_of_nothing_is_still_a_document() -> None:
    body = b"".join(exports.workbench([], name="n", description=""))
    assert json.loads(body)["judgmentRatings"] == []


@given(logs)
def test_the_workbench_import_names_each_query_once(log: list[Search]) -> None:
    body = b"".join(exports.workbench(ClickLog.of(log).judgments(), name="n", description=""))
    ratings = json.loads(body)["judgmentRatings"]
    assert len({entry["query"] for entry in ratings}) == len(ratings)
    for entry in ratings:
        assert all(re.fullmatch(r"\d+\.\d{3}", rating["rating"]) for rating in entry["ratings"])


def test_letor_lines_have_a_rating_a_query_and_numbered_features() -> None:
    clicked_first = Search("s2", "t", AT, (Result("y"),), (Event("e", "y"),))
    searches = [clicked_first, SEARCH]
    features = exports.feature_names(searches)
    assert features == ["rank", "meta.score"]
    text = b"".join(exports.letor(searches, ClickLog.of(searches), features)).decode()
    assert text.splitlines() == [
        '# feature 1: "rank"',
        '# feature 2: "meta.score"',
        '2.000000 qid:1 # {"query":"t","docId":"y"}',
        '0.000000 qid:2 1:0.25 2:0.92 # {"query":"transformer optimization","docId":"obj-1"}',
        '1.000000 qid:2 1:0.5 2:0.4 # {"query":"transformer optimization","docId":"obj-2"}',
    ]


@given(logs)
def test_every_letor_line_parses_and_query_numbers_never_fall(log: list[Search]) -> None:
    text = b"".join(exports.letor(log, ClickLog.of(log), exports.feature_names(log))).decode()
    last = 0
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            continue
        found = re.fullmatch(r"(\d+\.\d{6}) qid:(\d+) ((?:\d+:\S+ )*)# \{.*\}", line)
        assert found is not None
        assert int(found[2]) in {last, last + 1}
        last = int(found[2])
        numbers = [int(pair.split(":")[0]) for pair in found[3].split()]
        assert numbers == sorted(set(numbers))


def test_features_are_the_most_frequent_numbers_and_never_too_many() -> None:
    wide = Search("s", "q", AT, (Result("a", 1, {f"f{i:03d}": i for i in range(200)}),))
    narrow = Search("s", "q", AT, (Result("b", 1, {"f199": 1}),))
    names = exports.feature_names([wide, narrow])
    assert len(names) == exports.MAX_FEATURES
    assert "meta.f199" in names


def test_fine_tuning_lines_have_a_rank_for_every_result() -> None:
    (line,) = exports.fine_tuning([SEARCH])
    assert line == {
        "query": "transformer optimization",
        "results": ["obj-1", "obj-2"],
        "events": ["obj-2"],
        "ranks": {"obj-1": 0.25, "obj-2": 0.5},
        "timestamp": 1_701_012_345_678,
        "items": [
            {"object_id": "obj-1", "meta": {"source": "hf_models", "score": 0.92}},
            {"object_id": "obj-2", "meta": {"score": 0.4, "new": True}},
        ],
    }


def test_without_ranks_the_positions_are_the_ranks() -> None:
    bare = Search("s", "q", AT, (Result("a"), Result("b")))
    (line,) = exports.fine_tuning([bare])
    assert line["ranks"] == {"a": 1.0, "b": 2.0}


@given(logs)
def test_fine_tuning_lines_keep_the_promises_of_their_fields(log: list[Search]) -> None:
    for line in exports.fine_tuning(log):
        assert len(set(line["results"])) == len(line["results"]) > 0
        assert list(line["ranks"]) == line["results"]
        assert set(line["events"]) <= set(line["results"])
        assert [item["object_id"] for item in line["items"]] == line["results"]


@pytest.mark.parametrize("rest", [None, ()])
def test_fine_tuning_leaves_out_searches_without_results(rest: tuple[()] | None) -> None:
    assert list(exports.fine_tuning([Search("s", "q", AT, rest)])) == []
