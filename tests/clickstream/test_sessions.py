"""Sessions over HTTP: create, read, mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH
from tests.clickstream.conftest import ALONE, Site

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller, MakeApp, MakeCaller

PREFIXES = ("", "/api/v1/clickstream")

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
EVENTS: dict[str, Any] = {
    "session_id": "sess-123",
    "events": [
        {
            "event_id": "evt-1",
            "object_id": "obj-1",
            "event_type": "click",
            "created_at": 1701012350000,
            "meta": {"rank_position": 1},
        }
    ],
}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_documents_examples_work_as_written(
    site: Site, client: FlaskClient, prefix: str
) -> None:
    site.prefix = prefix
    for path, body in (("/session", CREATE), ("/session/events", EVENTS)):
        response = site.post(path, body)
        assert (response.status_code, response.data) == (200, b"null")
    assert site.session("sess-123") == {
        "session_id": "sess-123",
        "search_query": "transformer optimization",
        "search_results": [
            {"object_id": "obj-1", "rank": 1.0, "meta": {"source": "hf_models", "score": 0.92}}
        ],
        "search_meta": {"latency_ms": 450},
        "payload_filter": {"task": "text-classification"},
        "sort_by": {"field": "downloads", "order": "desc"},
        "user_id": "user-456",
        "created_at": 1701012345678,
        "is_irrelevant": False,
        "events": EVENTS["events"],
    }
    response = site.post("/session/irrelevant", {"session_id": "sess-123"})
    assert (response.status_code, response.data) == (200, b"null")
    assert site.session("sess-123")["is_irrelevant"] is True


def test_what_was_not_given_comes_back_as_null(site: Site) -> None:
    site.post(
        "/session",
        {
            "session_id": "s",
            "search_query": "",
            "search_results": [{"object_id": "a", "colour": "red"}],
            "unknown": [1],
        },
    )
    session = site.session("s")
    assert session.pop("created_at") > 1e12
    assert session == {
        "session_id": "s",
        "search_query": "",
        "search_results": [{"object_id": "a", "rank": None, "meta": None}],
        "search_meta": None,
        "payload_filter": None,
        "sort_by": None,
        "user_id": None,
        "is_irrelevant": False,
        "events": [],
    }


@pytest.mark.parametrize("created_at", [1701012345678, 1701012345, 0, 99_999_999_999 // 30])
def test_a_time_is_answered_in_the_unit_it_came_in(site: Site, created_at: int) -> None:
    site.search(created_at=created_at)
    site.click("s1", "a", created_at=created_at + 1)
    session = site.session()
    assert session["created_at"] == created_at
    assert session["events"][0]["created_at"] == created_at + 1


def test_a_session_in_milliseconds_may_have_events_in_seconds(site: Site) -> None:
    site.search(created_at=1701012345678)
    site.click("s1", "a", created_at=1701012350)
    session = site.session()
    assert (session["created_at"], session["events"][0]["created_at"]) == (
        1701012345678,
        1701012350,
    )


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_creating_a_session_again_keeps_the_first_body(site: Site) -> None:
    site.search(shown="ab")
    site.search(shown="xyz", search_query="other")
    session = site.session()
    assert session["search_query"] == "boots"
    assert [result["object_id"] for result in session["search_results"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("rank", "answered"), [("0.25", 0.25), (7, 7.0), (-1.5, -1.5), ("1e3", 1000.0), (None, None)]
)
def test_a_rank_is_a_number_or_a_numeric_string_and_comes_back_as_a_float(
    site: Site, rank: Any, answered: float | None
) -> None:
    site.search(search_results=[{"object_id": "a", "rank": rank}])
    back = site.session()["search_results"][0]["rank"]
    assert back == answered
    assert back is None or isinstance(back, float)


@pytest.mark.parametrize(
    "payload_filter",
    [
        {"task": "text-classification"},
        {},
        {"query": {"match": {"field": "a", "value": "b"}}},
        {"query": {"bool": {"must": [{"term": {"field": "a", "value": 1}}], "x": [None, {}]}}},
        {"query": "anything", "deep": {"er": [1, 2.5, None, True, "é", "\x00"]}},
    ],
)
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_payload_filter_of_any_form_comes_back_as_it_was_sent(
    site: Site, payload_filter: dict[str, Any]
) -> None:
    site.search(payload_filter=payload_filter)
    assert site.session()["payload_filter"] == payload_filter


def test_sort_by_has_a_default_order(site: Site) -> None:
    site.search(sort_by={"field": "price"})
    assert site.session()["sort_by"] == {"field": "price", "order": "asc"}
    site.search("s2", sort_by={"field": "price", "order": "desc", "force_not_payload": True})
    assert site.session("s2")["sort_by"]["force_not_payload"] is True


@pytest.mark.parametrize("path", ["/session/irrelevant"])
def test_marking_an_unknown_session_is_a_404_that_names_it(site: Site, path: str) -> None:
    response = site.post(path, {"session_id": "nobody"})
    assert response.status_code == 404
    assert response.json == {"detail": "Session with id=nobody not found"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("session_id", ["nobody", "", "nul\x00", "x" * 5000, "é/💥"])
def test_reading_an_unknown_session_is_a_404_that_names_it(site: Site, session_id: str) -> None:
    response = site.get("/session", session_id=session_id)
    assert response.status_code == 404
    assert response.json == {"detail": f"Session with id={session_id} not found"}


def test_nobody_reads_the_session_of_another_account(
    app: Flask, site: Site, make_caller: MakeCaller
) -> None:
    site.search()
    stranger = Site(site.client, make_caller(app).headers)
    assert stranger.get("/session", session_id="s1").status_code == 404
    assert stranger.post("/session/irrelevant", {"session_id": "s1"}).status_code == 404
    stranger.search(shown="z")
    assert len(site.session()["search_results"]) == 3


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_trailing_slash_redirects_with_307_so_that_the_body_survives(
    site: Site, prefix: str
) -> None:
    site.prefix = prefix
    for path in ("/session", "/session/events", "/session/irrelevant"):
        response = site.post(f"{path}/", CREATE)
        assert response.status_code == 307
        assert response.headers["Location"] == prefix + path
    response = site.get("/session/", session_id="s 1")
    assert response.status_code == 307
    assert response.headers["Location"] == f"{prefix}/session?session_id=s+1"
    followed = site.client.post(
        f"{prefix}/session/", json=CREATE, headers=site.headers, follow_redirects=True
    )
    assert followed.status_code == 200
    assert site.session("sess-123")["search_query"] == CREATE["search_query"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_without_a_key_production_answers_401(client: FlaskClient, prefix: str) -> None:
    for response in (
        client.post(f"{prefix}/session", json=CREATE),
        client.get(f"{prefix}/session?session_id=a"),
        client.post(f"{prefix}/session/events", json=EVENTS),
        client.post(f"{prefix}/session/irrelevant", json={"session_id": "a"}),
        client.get("/v1/search/metrics"),
        client.get("/v1/search/exports/ubi-queries"),
    ):
        assert response.status_code == 401
        assert response.json is not None
        assert isinstance(response.json["detail"], str)


def test_without_a_key_development_has_an_anonymous_account(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=ALONE, SUBTEXT_CLICKSTREAM_ANONYMOUS=True)
    nobody = Site(app.test_client(), {})
    nobody.search()
    assert nobody.session()["search_query"] == "boots"
    somebody = Site(app.test_client(), make_caller(app).headers)
    assert somebody.get("/session", session_id="s1").status_code == 404
    wrong = Site(app.test_client(), {"X-Api-Key": "sm_" + "0" * 48})
    assert wrong.get("/session", session_id="s1").status_code == 401


def test_a_bearer_key_is_as_good(client: FlaskClient, caller: Caller) -> None:
    Site(client, {"Authorization": f"Bearer {caller.key}"}).search()
    assert Site(client, caller.headers).session()["session_id"] == "s1"


def test_a_time_outside_of_the_window_is_a_400(make_app: MakeApp, make_caller: MakeCaller) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=ALONE, SUBTEXT_CLICKSTREAM_WINDOW=(-43200.0, 300.0))
    site = Site(app.test_client(), make_caller(app).headers)
    response = site.post("/session", CREATE)
    assert response.status_code == 400
    assert response.json == {"detail": "Invalid utc timestamp: 1701012345678"}
    site.search()
    late = EVENTS | {"session_id": "s1"}
    late["events"] = [{"event_id": "ok", "object_id": "a"}, *EVENTS["events"]]
    assert site.post("/session/events", late).json == {
        "detail": "Invalid utc timestamp: 1701012350000"
    }
    assert site.session()["events"] == []


@pytest.mark.parametrize(
    ("text", "value"), [("-43200,300", (-43200, 300)), ("", None), (" 0 , 1.5", (0, 1.5))]
)
def test_the_window_is_read_from_two_numbers(text: str, value: Any) -> None:
    from plugins.clickstream.plugin import window

    assert window(text) == value


@pytest.mark.parametrize("text", ["1", "5,1", "a,b", "1,2,3", "nan,1"])
def test_a_window_that_is_none_stops_the_start(text: str) -> None:
    from plugins.clickstream.plugin import window

    with pytest.raises(ValueError, match=r"two numbers|unpack|convert"):
        window(text)


def test_an_erased_session_stays_erased(app: Flask, site: Site, caller: Caller) -> None:
    from core import erase_session

    site.search()
    site.click("s1", "a")
    with app.app_context():
        assert erase_session(caller.account_id, "s1") >= 3
    assert site.get("/session", session_id="s1").status_code == 404
    response = site.post("/session", CREATE | {"session_id": "s1"})
    assert response.status_code == 410
    assert isinstance(response.json["detail"], str)  # type: ignore[index]
    assert site.get("/v1/search/metrics").json["searches"] == 0  # type: ignore[index]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_timeline_has_the_search_and_its_events_in_time_order(site: Site) -> None:
    site.search(created_at=1701012345678)
    site.click("s1", "b", created_at=1701012350000)
    site.click("s1", "c", created_at=1701012340000)
    entries = site.get("/v1/sessions/s1/timeline").json["entries"]  # type: ignore[index]
    assert [(e["at"][11:19], e["kind"], e["data"].get("object_id")) for e in entries] == [
        ("15:25:40", "event", "c"),
        ("15:25:45", "search", None),
        ("15:25:50", "event", "b"),
    ]
    assert entries[1]["data"]["query"] == "boots"
    assert {entry["source"] for entry in entries} == {"clickstream"}


def test_an_idempotency_key_replays_the_answer_and_refuses_another_body(site: Site) -> None:
    first = site.post("/session", CREATE, **{"Idempotency-Key": "k1"})
    again = site.post("/session", CREATE, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code, again.data) == (200, 200, b"null")
    other = site.post("/session", CREATE | {"user_id": "x"}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 422
