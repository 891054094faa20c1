"""UBI logs become searches; nothing is lost without being counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.clickstream.metrics import SearchMetrics
from plugins.clickstream.ubi import Reading, read_ubi
from tests.clickstream.ubi_log import Log, generate

if TYPE_CHECKING:
    from plugins.clickstream.searches import Search

NOW = 1_800_000_000_000_000


def read(*records: Any) -> tuple[list[Search], Reading]:
    reading = Reading()
    lines = [r if isinstance(r, str | bytes) else json.dumps(r) for r in records]
    return list(read_ubi(lines, reading, now=NOW)), reading


def query(text: str = "boots", query_id: str = "q", **more: Any) -> dict[str, Any]:
    return {"query_id": query_id, "user_query": text, "timestamp": "2025-01-22T14:00:00Z"} | more


def event(
    name: str, product: str | None = None, ordinal: Any = None, **more: Any
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "action_name": name,
        "query_id": "q",
        "timestamp": "2025-01-22T14:00:01Z",
    }
    if product is not None:
        record["event_attributes"] = {
            "object": {"object_id": product},
            "position": {"ordinal": ordinal},
        }
    return record | more


def shown(search: Search) -> list[str] | None:
    return None if search.results is None else [r.object_id for r in search.results]


def accounted(reading: Reading) -> int:
    parts = (
        reading.actions,
        reading.blank,
        reading.queries,
        reading.impressions,
        reading.events,
        reading.repeats,
    )
    return sum(parts) + reading.unusable.total()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", ["bulk", "plain"])
def test_a_log_gives_back_what_its_users_saw_and_clicked(seed: int, form: str) -> None:
    log: Log = generate(seed)
    reading = Reading()
    searches = {s.session_id: s for s in read_ubi(getattr(log, form), reading, now=NOW)}
    assert set(searches) == {truth.query_id for truth in log.searches}
    for truth in log.searches:
        search = searches[truth.query_id]
        assert search.query == truth.query
        assert shown(search) == truth.shown
        assert [e.object_id for e in search.events if e.is_click] == truth.clicked
    assert accounted(reading) == reading.lines
    assert not reading.problems


@pytest.mark.parametrize("seed", range(4))
def test_metrics_and_judgments_of_a_log_are_those_of_its_truth(seed: int) -> None:
    log = generate(seed, size=150)
    metrics = SearchMetrics.of(read_ubi(log.bulk, Reading(), now=NOW))
    report = metrics.report(3)
    known = [truth for truth in log.searches if truth.shown is not None]
    full = [truth for truth in known if truth.shown]
    places = [[(t.shown or []).index(c) + 1 for c in t.clicked] for t in full]
    assert report.searches == 150
    assert report.zero_result_rate.value == pytest.approx(1 - len(full) / len(known))
    assert report.ctr_at_k.value == pytest.approx(
        sum(any(place <= 3 for place in mine) for mine in places) / len(full)
    )
    assert report.mrr.value == pytest.approx(
        sum(max((1 / place for place in mine), default=0) for mine in places) / len(full)
    )
    left = sum(not mine for mine in places)
    assert report.abandonment_rate.value == pytest.approx(left / len(full))

    rates: dict[int, list[bool]] = {}
    for truth in full:
        for place, product in enumerate(truth.shown or [], start=1):
            rates.setdefault(place, []).append(product in truth.clicked)
    for judgment in metrics.log.judgments():
        mine = [t for t in full if t.query == judgment.query and judgment.object_id in t.shown]  # type: ignore[operator]
        expected = 0.0
        for truth in mine:
            there = rates[(truth.shown or []).index(judgment.object_id) + 1]
            expected += sum(there) / len(there)
        clicks = sum(judgment.object_id in t.clicked for t in mine)
        assert judgment.clicks == clicks
        assert judgment.impressions == len(mine)
        assert judgment.rating == (pytest.approx(clicks / expected) if expected else None)


@pytest.mark.parametrize("seed", range(3))
def test_reading_a_log_twice_gives_the_same_searches(seed: int) -> None:
    log = generate(seed)
    once = list(read_ubi(log.plain, Reading(), now=NOW))
    assert list(read_ubi(log.plain, Reading(), now=NOW)) == once
    reading = Reading()
    assert [
        (s.session_id, s.results, s.events)
        for s in read_ubi([*log.plain, *log.plain], reading, now=NOW)
    ] == [(s.session_id, s.results, s.events) for s in once]
    assert reading.repeats == sum(
        json.loads(line).get("action_name") is not None for line in log.plain
    )


def test_results_stand_in_the_order_of_their_ordinals_from_0_or_from_1() -> None:
    for base in (0, 1):
        (search,), _ = read(
            query(), event("impression", "b", base + 1), event("impression", "a", base)
        )
        assert shown(search) == ["a", "b"]


def test_a_click_proves_that_a_result_without_impression_was_shown() -> None:
    (search,), _ = read(
        query(),
        event("impression", "a", 1),
        event("impression", "c", 3),
        event("click", "b", 2),
    )
    assert shown(search) == ["a", "b", "c"]


def test_hits_are_the_results_where_no_impression_was_logged() -> None:
    (search,), _ = read(query(query_response_hit_ids=["x", 7, "x"]), event("click", "7", 2))
    assert shown(search) == ["x", "7"]


def test_a_request_without_hits_is_a_search_that_found_nothing() -> None:
    (search,), _ = read(query(query_response_hit_ids=[]))
    assert search.results == ()


def test_a_facet_request_of_size_0_says_nothing_about_the_results() -> None:
    facets = query(query_response_hit_ids=[], query=json.dumps({"size": 0, "aggs": {}}))
    (search,), reading = read(facets)
    assert search.results is None
    assert reading.searches_with_unknown_results == 1


def test_an_event_that_counted_no_result_is_a_search_that_found_nothing() -> None:
    counted = event("on_search", event_attributes={"result_count": 0})
    (search,), _ = read(counted | {"message": "lamp", "message_type": "QUERY"})
    assert (search.query, search.results) == ("lamp", ())
    (found,), _ = read(counted, event("on_search", event_attributes={"result_count": 22}))
    assert found.results is None


def test_events_without_their_query_still_make_a_search() -> None:
    (search,), reading = read(
        event("search", message="boo", message_type="QUERY"),
        event("search", message="boots", message_type="QUERY", timestamp="2025-01-22T14:00:03Z"),
        event("impression", "a", 1),
    )
    assert (search.query, shown(search)) == ("boots", ["a"])
    assert reading.searches_without_query == 1


def test_a_query_id_that_is_used_for_two_texts_makes_two_searches() -> None:
    later = "2025-01-22T14:01:00Z"
    records = [
        query("boots", query_response_hit_ids=["a"]),
        query("hats", query_response_hit_ids=["b"], timestamp=later),
        event("click", "a", 1),
        event("click", "b", 1, timestamp="2025-01-22T14:01:09Z"),
        event("hover", "a", 1, user_query="boots", timestamp="2025-01-22T14:02:00Z"),
    ]
    (boots, hats), _ = read(*records)
    assert boots.session_id == "q"
    assert hats.session_id.startswith("q~")
    assert [e.event_type for e in boots.events] == ["click", "hover"]
    assert [e.object_id for e in hats.events] == ["b"]
    assert [s.session_id for s in read(*records)[0]] == ["q", hats.session_id]


def test_an_emptied_search_box_beside_a_query_is_counted_and_is_no_search() -> None:
    searches, reading = read(query("boots"), query("", query_response_hit_ids=[]))
    assert [search.query for search in searches] == ["boots"]
    assert reading.unusable == {"a blank query beside a written one": 1}
    assert accounted(reading) == reading.lines


def test_a_bad_line_is_named_with_its_number_and_the_rest_goes_on() -> None:
    (search,), reading = read(
        "{not json",
        "[1, 2]",
        "",
        query(),
        {"user_query": "no id"},
        event("impression"),
        event(""),
        query(query_id="q" * 257),
        query(query_response_hit_ids="a"),
        query("nul \x00"),
        b'{"query_id": "\xff"}',
        r'{"query_id": "\ud800", "user_query": "x"}',
        event("click", "a", 1, query_id=True),
        "[" * 100_000,
        event("impression", "a", 0),
    )
    assert shown(search) == ["a"]
    assert [problem.line for problem in reading.problems] == [1, 2, *range(5, 15)]
    assert all(problem.reason for problem in reading.problems)
    assert accounted(reading) == reading.lines == 15


def test_bulk_actions_that_are_no_ubi_record_are_refused_with_a_reason() -> None:
    searches, reading = read(
        {"index": {"_index": "products"}},
        {"title": "boots"},
        {"delete": {"_index": "ubi_events", "_id": "1"}},
        {"create": {"_index": "ubi_queries", "_id": "2"}},
        query(),
    )
    assert [search.query for search in searches] == ["boots"]
    assert [problem.line for problem in reading.problems] == [2, 3]


@pytest.mark.parametrize(
    "stamp", ["2025-01-22T15:00:01+01:00", "2025-01-22T14:00:01", 1737554401, 1737554401000]
)
def test_times_are_read_in_every_form_that_ubi_logs_have(stamp: Any) -> None:
    (search,), _ = read(query(timestamp=stamp))
    assert search.at == 1_737_554_401_000_000


@pytest.mark.parametrize("stamp", [None, "yesterday", True, 1e300, 10**30, {}, "", -(10**12)])
def test_an_event_without_a_readable_time_takes_that_of_its_search(stamp: Any) -> None:
    (search,), reading = read(query(), event("click", "a", 0, timestamp=stamp))
    assert search.events[0].at == search.at
    assert reading.assumed_times == 1


@pytest.mark.parametrize("ordinal", [None, True, "1", 1.5, [], {"a": 1}])
def test_an_impression_without_a_usable_ordinal_stands_last(ordinal: Any) -> None:
    (search,), _ = read(query(), event("impression", "x", ordinal), event("impression", "a", 9))
    assert shown(search) == ["a", "x"]


@given(st.lists(st.one_of(st.binary(max_size=40), st.text(max_size=40)), max_size=20))
def test_no_line_is_lost_or_fatal_whatever_it_holds(lines: list[bytes | str]) -> None:
    reading = Reading()
    list(read_ubi(lines, reading, now=NOW))
    assert accounted(reading) == reading.lines == len(lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "query_id": st.just("q") | json_values,
                "user_query": st.text(max_size=5) | json_values,
                "action_name": st.sampled_from(["impression", "click"]) | json_values,
                "timestamp": json_values,
                "event_attributes": json_values
                | st.fixed_dictionaries({"object": json_values, "position": json_values}),
                "query_response_hit_ids": json_values,
                "query": json_values,
                "message": json_values,
                "index": json_values,
            },
        ),
        max_size=12,
    )
)
def test_no_record_is_lost_or_fatal_whatever_its_fields_hold(records: list[dict[str, Any]]) -> None:
    _, reading = read(*records)
    assert accounted(reading) == reading.lines == len(records)
