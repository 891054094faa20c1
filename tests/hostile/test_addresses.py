"""Ids and addresses that nobody would choose."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from core.testing import BOTH, bearer

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller

EVENT = {"eventType": "click", "targetSelector": "#b", "timestamp": "2026-03-16T10:14:32.120Z"}
IDS = (
    "a\nb",
    "\n",
    "/a",
    "a/",
    "//",
    " ",
    "a?b#c%d",
    "..",
    "a/mood",
    "a/events",
    "é\u2028",
    "😀" * 256,
)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_whatever_id_a_session_has_it_is_read_and_erased_by_its_address(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    token = bearer(app, caller.tenant)
    for session_id in IDS:
        body = {"sessionId": session_id, "batch": [EVENT]}
        assert client.post("/api/data/events", json=body, headers=token).status_code == 200
        address = f"/v1/sessions/{quote(session_id, safe='')}"
        events = {"events": [{"type": "click"}]}
        once = caller.headers | {"Idempotency-Key": "k" * 255}
        for _ in range(2):
            answer = client.post(f"{address}/events", json=events, headers=once)
        assert (answer.status_code, answer.get_json()["session_id"]) == (200, session_id)
        for view in ("mood", "timeline"):
            answer = client.get(f"{address}/{view}", headers=caller.headers)
            assert (answer.status_code, answer.get_json()["session_id"]) == (200, session_id)
        assert client.delete(address, headers=caller.headers).get_json() == {
            "session_id": session_id,
            "deleted": True,
            "message": "Session data permanently erased.",
        }
        assert client.get(f"{address}/mood", headers=caller.headers).status_code == 404


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("odd", ["%00", "%ED%A0%80", "%FF%FE", "a" * 5000])
def test_an_id_that_no_session_can_have_is_not_found(
    client: FlaskClient, caller: Caller, odd: str
) -> None:
    for method, path in (
        ("GET", f"/v1/sessions/{odd}/mood"),
        ("GET", f"/v1/sessions/{odd}/timeline"),
        ("DELETE", f"/v1/sessions/{odd}"),
        ("GET", f"/session?session_id={odd}"),
        ("GET", f"/v1/search/exports/{odd}"),
    ):
        answer = client.open(path, method=method, headers=caller.headers)
        assert answer.status_code == 404, path
        assert answer.is_json


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("odd", ["%00", "%ED%A0%80", "%FF%FE", "a" * 5000, "%0D%0A"])
def test_queries_for_impossible_text_find_nothing(
    client: FlaskClient, caller: Caller, odd: str
) -> None:
    query = f"query={odd}&user_id={odd}&filter_field={odd}"
    metrics = client.get(f"/v1/search/metrics?{query}", headers=caller.headers)
    assert (metrics.status_code, metrics.get_json()["searches"]) == (200, 0)
    with client.get(f"/v1/search/exports/ubi-queries?{query}", headers=caller.headers) as export:
        assert (export.status_code, export.data) == (200, b"")


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01T00:00:00%2B23:59&to=9999-12-31T23:59:59-23:59",
        "from=0001-01-01&to=9999-12-31",
        "from=0&to=99999999999999",
    ],
)
def test_the_edges_of_the_calendar_are_times_too(
    client: FlaskClient, caller: Caller, query: str
) -> None:
    for path in ("metrics", "judgments", "exports/ubi-events"):
        with client.get(f"/v1/search/{path}?{query}", headers=caller.headers) as answer:
            assert answer.status_code == 200
            assert answer.get_data() is not None


@pytest.mark.parametrize("prefix", ["", "/api/v1/clickstream"])
def test_a_redirect_stays_on_this_server(client: FlaskClient, prefix: str) -> None:
    answer = client.get(
        f"{prefix}/session/?session_id=a%0d%0aX-Evil:%20y", headers={"Host": "evil.example"}
    )
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{prefix}/session?session_id=a%0d%0aX-Evil:%20y"
    assert "X-Evil" not in answer.headers
