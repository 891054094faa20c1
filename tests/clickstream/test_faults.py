"""Bodies that break the contract, and how that is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.clickstream.conftest import Site

CREATE: dict[str, Any] = {
    "session_id": "sess-123",
    "search_query": "transformer optimization",
    "search_results": [
        {"object_id": "obj-1", "rank": 1, "meta": {"source": "hf_models", "score": 0.92}}
    ],
    "search_meta": {"latency_ms": 450},
    "payload_filter": {"task": "text-classification"},
    "sort_by": {"field": "downloads", "order": "desc"},
    "user_id": "user-456",
    "created_at": 1701012345678,
}


def problems(response: Any) -> list[tuple[str, list[Any], Any]]:
    assert response.status_code == 422
    for problem in response.json["detail"]:
        assert set(problem) >= {"type", "loc", "msg", "input"}
        assert problem["msg"]
    return [(p["type"], p["loc"], p["input"]) for p in response.json["detail"]]


def test_missing_fields_are_named_with_what_was_sent(site: Site) -> None:
    sent = {"search_results": [{"rank": 1}], "session_id": "s"}
    assert problems(site.post("/session", sent)) == [
        ("missing", ["body", "search_query"], sent),
        ("missing", ["body", "search_results", 0, "object_id"], {"rank": 1}),
    ]
    assert problems(site.get("/session")) == [("missing", ["query", "session_id"], None)]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("session_id", 7, "string_type"),
        ("session_id", None, "string_type"),
        ("session_id", "", "value_error"),
        ("session_id", "x" * 257, "value_error"),
        ("session_id", "a\x00b", "value_error"),
        ("search_query", ["a"], "string_type"),
        ("search_query", "a\x00b", "value_error"),
        ("search_results", None, "list_type"),
        ("search_results", {}, "list_type"),
        ("search_meta", [], "dict_type"),
        ("search_meta", "text", "dict_type"),
        ("payload_filter", 1, "dict_type"),
        ("user_id", True, "string_type"),
        ("created_at", True, "int_type"),
        ("created_at", "1701012345678", "int_type"),
        ("created_at", 1.5, "int_type"),
        ("created_at", -1, "value_error"),
        ("created_at", 2**63, "value_error"),
        ("created_at", 10**15, "value_error"),
        ("created_at", 99_999_999_999, "value_error"),
        ("sort_by", [], "model_attributes_type"),
        ("sort_by", "price", "model_attributes_type"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(site: Site, field: str, value: Any, kind: str) -> None:
    assert problems(site.post("/session", CREATE | {field: value}))[0] == (
        kind,
        ["body", field],
        value,
    )
    assert site.get("/session", session_id="sess-123").status_code == 404


@pytest.mark.parametrize(
    ("sort_by", "kind", "loc"),
    [
        ({"field": "a", "order": "up"}, "literal_error", "order"),
        ({"field": "a", "order": None}, "literal_error", "order"),
        ({"field": "a", "order": 1}, "literal_error", "order"),
        ({"order": "asc"}, "missing", "field"),
        ({"field": "a", "force_not_payload": "yes"}, "bool_type", "force_not_payload"),
    ],
)
def test_sort_by_is_checked(site: Site, sort_by: Any, kind: str, loc: str) -> None:
    found = problems(site.post("/session", CREATE | {"sort_by": sort_by}))
    assert found[0][:2] == (kind, ["body", "sort_by", loc])


@pytest.mark.parametrize(
    ("rank", "kind"),
    [
        (True, "float_type"),
        ([], "float_type"),
        ("high", "float_parsing"),
        ("", "float_parsing"),
        ("nan", "finite_number"),
        ("-inf", "finite_number"),
        ("1e999", "finite_number"),
    ],
)
def test_a_rank_that_is_no_number_is_refused(site: Site, rank: Any, kind: str) -> None:
    body = CREATE | {"search_results": [{"object_id": "a"}, {"object_id": "b", "rank": rank}]}
    assert problems(site.post("/session", body)) == [
        (kind, ["body", "search_results", 1, "rank"], rank)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[1,]",
        b"NaN",
        b'{"a": NaN}',
        b'{"session_id": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 3000,
        b'{"session_id": 1e999}',
    ],
)
def test_a_body_that_is_no_json_is_a_422(site: Site, body: bytes) -> None:
    headers = site.headers | {"Content-Type": "application/json"}
    response = site.client.post("/session", data=body, headers=headers)
    ((kind, loc, _),) = problems(response)
    assert kind in {"json_invalid", "missing"}
    assert loc[0] == "body"


@pytest.mark.parametrize("body", [None, 1, "text", [], True, [CREATE]])
def test_a_body_that_is_no_object_is_a_422(site: Site, body: Any) -> None:
    headers = site.headers | {"Content-Type": "application/json"}
    response = site.client.post("/session", data=json.dumps(body), headers=headers)
    assert problems(response) == [("model_attributes_type", ["body"], body)]


def test_objects_nested_too_deeply_are_refused_and_not_fatal(site: Site) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    text = json.dumps(CREATE).replace('{"latency_ms": 450}', deep)
    headers = site.headers | {"Content-Type": "application/json"}
    response = site.client.post("/session", data=text, headers=headers)
    assert problems(response) == [("value_error", ["body", "search_meta"], None)]
