"""What a browser sends, and what it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH, bearer

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller, MakeCaller

LCP = {"id": "v5-1", "name": "LCP", "value": 6200.5}


def report(*metrics: dict[str, Any], session_id: str = "s", page: str = "/pay") -> dict[str, Any]:
    """Return the body of a report."""
    return {"session_id": session_id, "page": page, "metrics": list(metrics or (LCP,))}


def pages(client: FlaskClient, caller: Caller) -> list[dict[str, Any]]:
    """Return the summary of the last week."""
    answer = client.get("/v1/vitals/pages", headers=caller.headers)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.get_json()["pages"]
    return found


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_report_is_in_the_summary(client: FlaskClient, caller: Caller) -> None:
    answer = client.post("/v1/vitals", json=report(), headers=caller.headers)

    assert (answer.status_code, answer.get_json()) == (202, {"stored": 1})
    assert pages(client, caller) == [
        {
            "page": "/pay",
            "metric": "LCP",
            "p75": 6200.5,
            "unit": "ms",
            "rating": "poor",
            "views": 1,
        }
    ]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_worst_value_of_a_page_view_stands_in_whatever_order_reports_come(
    client: FlaskClient, caller: Caller
) -> None:
    stored = [
        client.post(
            "/v1/vitals",
            json=report({"id": "v5-2", "name": "CLS", "value": value}),
            headers=caller.headers,
        ).get_json()["stored"]
        for value in (0.1, 0.3, 0.2, 0.3)
    ]

    assert stored == [1, 1, 0, 0]
    assert [(page["p75"], page["views"]) for page in pages(client, caller)] == [(0.3, 1)]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_page_is_judged_by_its_75th_percentile_and_the_worst_comes_first(
    client: FlaskClient, caller: Caller
) -> None:
    for number, value in enumerate((100, 200, 300, 400)):
        metric = {"id": f"v5-{number}", "name": "INP", "value": value}
        client.post("/v1/vitals", json=report(metric, page="/a"), headers=caller.headers)
    client.post("/v1/vitals", json=report(page="/b?card=4111"), headers=caller.headers)

    assert [(page["page"], page["p75"], page["rating"]) for page in pages(client, caller)] == [
        ("/b", 6200.5, "poor"),
        ("/a", 300, "needs-improvement"),
    ]


def test_what_visitors_typed_into_an_address_is_not_stored(
    client: FlaskClient, caller: Caller
) -> None:
    client.post("/v1/vitals", json=report(page="/find?q=gout#top"), headers=caller.headers)

    assert [page["page"] for page in pages(client, caller)] == ["/find"]


def test_fields_of_the_library_that_are_not_needed_are_ignored(
    client: FlaskClient, caller: Caller
) -> None:
    metric = {**LCP, "delta": 12, "entries": [{}], "rating": "good", "navigationType": "reload"}

    answer = client.post("/v1/vitals", json=report(metric), headers=caller.headers)

    assert answer.status_code == 202


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"session_id": ""}, "session_id"),
    ({"session_id": "x" * 257}, "session_id"),
    ({"session_id": None}, "session_id"),
    ({"page": "\x00"}, "page"),
    ({"page": 7}, "page"),
    ({"metrics": []}, "metrics"),
    ({"metrics": {}}, "metrics"),
    ({"metrics": [LCP] * 51}, "metrics"),
    ({"metrics": ["LCP"]}, "metrics"),
    ({"metrics": [{**LCP, "name": "FID"}]}, "metrics"),
    ({"metrics": [{**LCP, "name": ["LCP"]}]}, "metrics"),
    ({"metrics": [{**LCP, "value": True}]}, "metrics"),
    ({"metrics": [{**LCP, "value": "12"}]}, "metrics"),
    ({"metrics": [{**LCP, "value": -1}]}, "metrics"),
    ({"metrics": [{**LCP, "value": 10**17}]}, "metrics"),
    ({"metrics": [{**LCP, "id": ""}]}, "metrics"),
]
NO_REPORTS = (b"", b"[]", b"7", b'"x"', b"{", b"NaN", b"[" * 5_000, b"\xff")


def test_a_report_that_breaks_the_contract_is_answered_with_where(
    client: FlaskClient, caller: Caller
) -> None:
    for change, field in FAULTS:
        answer = client.post("/v1/vitals", json={**report(), **change}, headers=caller.headers)

        assert answer.status_code == 422, change
        assert list(answer.get_json()["errors"]["json"]) == [field], change
    assert pages(client, caller) == []


def test_a_body_that_is_no_report_is_a_fault_of_the_caller(
    client: FlaskClient, caller: Caller
) -> None:
    headers = {**caller.headers, "Content-Type": "application/json"}
    for body in NO_REPORTS:
        answer = client.post("/v1/vitals", data=body, headers=headers)

        assert answer.status_code in {400, 422}, body


def test_days_outside_of_a_year_are_refused(client: FlaskClient, caller: Caller) -> None:
    for days in ("0", "367", "x", "1.5", "9" * 40):
        answer = client.get(f"/v1/vitals/pages?days={days}", headers=caller.headers)

        assert answer.status_code == 422, days


def test_a_browser_reports_with_a_token_for_its_session_and_reads_nothing(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    token = bearer(app, caller.tenant, session_id="s")

    assert client.post("/v1/vitals", json=report(), headers=token).status_code == 202
    other = client.post("/v1/vitals", json=report(session_id="t"), headers=token)
    assert other.status_code == 403
    assert client.get("/v1/vitals/pages", headers=token).status_code == 403


def test_without_a_credential_nothing_is_told_or_taken(client: FlaskClient) -> None:
    assert client.post("/v1/vitals", json=report()).status_code == 401
    assert client.get("/v1/vitals/pages").status_code == 401


def test_an_account_does_not_see_the_pages_of_another(
    app: Flask, client: FlaskClient, caller: Caller, make_caller: MakeCaller
) -> None:
    client.post("/v1/vitals", json=report(), headers=caller.headers)

    assert pages(client, make_caller(app)) == []


def test_a_repeat_with_the_same_idempotency_key_gets_the_same_answer(
    client: FlaskClient, caller: Caller
) -> None:
    headers = {**caller.headers, "Idempotency-Key": "a1"}

    first = client.post("/v1/vitals", json=report(), headers=headers)
    again = client.post("/v1/vitals", json=report(), headers=headers)

    assert (again.status_code, again.data) == (first.status_code, first.data)


def test_the_routes_are_in_the_api_document(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()

    assert "post" in document["paths"]["/v1/vitals"]
    assert "get" in document["paths"]["/v1/vitals/pages"]
