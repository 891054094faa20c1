"""Events over HTTP: order, repeats, strangers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH
from tests.clickstream.conftest import ALONE, Site

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp, MakeCaller


def event(event_id: str, object_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "object_id": object_id} | more


def push(site: Site, *events: Any, session_id: str = "s1") -> Any:
    return site.post("/session/events", {"session_id": session_id, "events": list(events)})


def stored(site: Site, session_id: str = "s1") -> list[str]:
    return [one["event_id"] for one in site.session(session_id)["events"]]


def metrics(site: Site) -> Any:
    return site.get("/v1/search/metrics").json


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_an_event_is_a_click_unless_it_says_otherwise(site: Site) -> None:
    site.search()
    push(site, event("e1"), event("e2", "elsewhere", event_type="dwell", meta={"s": [1, {}]}))
    first, second = site.session()["events"]
    assert first.pop("created_at") > 1e12
    assert first == {"event_id": "e1", "object_id": "a", "event_type": "click", "meta": None}
    assert (second["event_type"], second["meta"]) == ("dwell", {"s": [1, {}]})
    assert set(second) == {"event_id", "object_id", "event_type", "created_at", "meta"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_repeated_event_is_skipped_and_the_others_are_stored(site: Site) -> None:
    site.search()
    push(site, event("e2", "b"), event("e1"))
    push(site, event("e1", "changed"), event("e3"), event("e3", "changed"))
    assert stored(site) == ["e2", "e1", "e3"]
    assert [one["object_id"] for one in site.session()["events"]] == ["b", "a", "a"]


def test_the_same_event_id_in_two_sessions_is_two_events(site: Site) -> None:
    for session_id in ("s1", "s2"):
        site.search(session_id)
        push(site, event("e"), session_id=session_id)
    assert stored(site, "s1") == stored(site, "s2") == ["e"]


@pytest.mark.parametrize(
    "bad",
    [
        {"object_id": "a"},
        {"event_id": "e"},
        event(""),
        event("x" * 257),
        event("e", 7),  # type: ignore[arg-type]
        event("e", event_type=None),
        event("e", created_at="soon"),
        event("e", created_at=False),
        event("e", meta=[]),
        event("nul\x00"),
        None,
        "e",
        [],
    ],
)
def test_one_invalid_event_rejects_the_whole_request(site: Site, bad: Any) -> None:
    site.search()
    response = push(site, event("good"), bad)
    assert response.status_code == 422
    assert response.json["detail"][0]["loc"][:3] == ["body", "events", 1]
    assert stored(site) == []


def test_no_events_are_a_200_that_does_nothing(site: Site) -> None:
    response = push(site, session_id="unknown")
    assert (response.status_code, response.data) == (200, b"null")
    assert metrics(site)["orphan_events"] == 0


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_events_that_came_first_appear_when_their_session_is_created(site: Site) -> None:
    push(site, event("e1"), event("e2", "b"))
    assert site.get("/session", session_id="s1").status_code == 404
    assert metrics(site)["orphan_events"] == 2
    site.search()
    assert stored(site) == ["e1", "e2"]
    report = metrics(site)
    assert report["orphan_events"] == 0
    assert report["ctr_at_k"]["value"] == 1


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_events_wait_a_day_for_their_session(
    app: Flask, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import now

    jobs = app.extensions["subtext"].jobs
    push(site, event("e1"), event("e2"))
    with app.app_context():
        assert jobs.run("clickstream.expire_orphans") == 0
        tomorrow = now() + 86_401_000_000
        monkeypatch.setattr("plugins.clickstream.services.now", lambda: tomorrow)
        assert jobs.run("clickstream.expire_orphans") == 2
    site.search()
    assert stored(site) == []


def test_strict_servers_answer_404_for_a_session_that_does_not_exist(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=ALONE, SUBTEXT_CLICKSTREAM_STRICT=True)
    site = Site(app.test_client(), make_caller(app).headers)
    response = push(site, event("e1"))
    assert response.status_code == 404
    assert response.json == {"detail": "Session with id=s1 not found"}
    site.search()
    push(site, event("e1"))
    assert stored(site) == ["e1"]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_ten_thousand_events_come_at_once_and_the_rest_by_the_page(site: Site) -> None:
    site.search()
    ids = [f"e{number:05d}" for number in range(10_003)]
    for start in range(0, len(ids), 5_001):
        assert push(site, *map(event, ids[start : start + 5_001])).status_code == 200
    first = site.get("/session", session_id="s1")
    assert [one["event_id"] for one in first.json["events"]] == ids[:10_000]  # type: ignore[index]
    assert "e09999" in first.headers["Link"]
    address = first.headers["Link"].partition(">")[0][1:]
    rest = site.client.get(address, headers=site.headers)
    assert [one["event_id"] for one in rest.json["events"]] == ids[10_000:]  # type: ignore[index]
    assert "Link" not in rest.headers
    assert site.session(events_after="e10001")["events"][0]["event_id"] == "e10002"


def test_a_page_after_an_event_that_is_not_there_is_refused(site: Site) -> None:
    site.search()
    for unknown in ("nothing", "nul\x00"):
        response = site.get("/session", session_id="s1", events_after=unknown)
        assert response.status_code == 422
        assert response.json["detail"][0]["loc"] == ["query", "events_after"]  # type: ignore[index]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_requests_that_race_lose_and_double_nothing(app: Flask, site: Site) -> None:
    def work(number: int) -> int:
        mine = Site(app.test_client(), site.headers)
        if number % 3 == 0:
            return mine.search().status_code
        return int(push(mine, event("same"), event(f"e{number}")).status_code)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(work, range(18))) == {200}
    expected = {"same", *(f"e{number}" for number in range(18) if number % 3)}
    assert sorted(stored(site)) == sorted(expected)
    assert metrics(site)["orphan_events"] == 0


def test_operators_see_how_many_items_were_stored_repeated_or_early(site: Site) -> None:
    push(site, event("early"))
    site.search()
    site.search()
    push(site, event("early"), event("e1"), event("e2"))
    text = site.client.get("/metrics").text
    for kind, outcome, number in (
        ("search", "accepted", 1),
        ("search", "repeated", 1),
        ("search_event", "orphaned", 1),
        ("search_event", "accepted", 2),
        ("search_event", "repeated", 1),
    ):
        assert f'subtext_items_total{{kind="{kind}",outcome="{outcome}"}} {number}.0' in text


@pytest.mark.parametrize("path", ["/session", "/api/v1/clickstream/session/events", "/v1/search/x"])
def test_a_wrong_method_or_address_is_told_in_the_shape_of_the_api(site: Site, path: str) -> None:
    response = site.client.delete(path, headers=site.headers)
    assert response.status_code in {404, 405}
    assert isinstance(response.json["detail"], str)  # type: ignore[index]
