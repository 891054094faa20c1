"""Batches for training, over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH
from tests.clickstream.conftest import Site

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import MakeCaller

INTERNAL = "/api/v1/clickstream/internal"


@pytest.fixture
def site(app: Flask, client: FlaskClient, make_caller: MakeCaller) -> Site:
    return Site(client, make_caller(app, "clickstream", "admin").headers)


def release(site: Site, release_id: str = "r1") -> Any:
    response = site.post(f"{INTERNAL}/batch/release", {"release_id": release_id})
    assert response.status_code == 200, response.text
    return response.json


def page(site: Site, batch_id: str, **query: Any) -> Any:
    response = site.get(f"{INTERNAL}/batch/sessions", batch_id=batch_id, **query)
    assert response.status_code == 200, response.text
    return response.json


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_released_batch_holds_the_sessions_by_number(site: Site) -> None:
    for number in range(3):
        site.search(f"s{number}")
    site.click("s1", "a", "b", "c")
    released = release(site)
    assert set(released) == {"release_id", "batch_id", "released_at"}
    assert released["release_id"] == "r1"
    assert released["released_at"] > 1e12
    body = page(site, released["batch_id"])
    assert body["batch_id"] == released["batch_id"]
    numbers = [session["session_number"] for session in body["sessions"]]
    assert numbers == sorted(set(numbers))
    assert body["last_number"] == numbers[-1]
    assert [session["session_id"] for session in body["sessions"]] == ["s0", "s1", "s2"]
    assert body["sessions"][1] == site.session("s1") | {"session_number": numbers[1]}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_release_id_gives_the_same_batch_also_while_a_new_one_collects(site: Site) -> None:
    site.search("s1")
    first = release(site)
    assert release(site) == first
    site.search("s2")
    assert release(site) == first
    second = release(site, "r2")
    assert second["batch_id"] != first["batch_id"]
    assert [s["session_id"] for s in page(site, second["batch_id"])["sessions"]] == ["s2"]
    assert release(site) == first


def test_nothing_to_release_is_a_404(site: Site) -> None:
    response = site.post(f"{INTERNAL}/batch/release", {"release_id": "r1"})
    assert response.status_code == 404
    assert response.json == {"detail": "There is no collecting batch"}


def test_pages_are_strictly_past_a_number_and_zero_is_no_limit(site: Site) -> None:
    for number in range(13):
        site.search(f"s{number}")
    site.click("s0", "a", "b", "c")
    batch_id = release(site)["batch_id"]
    first = page(site, batch_id)
    assert len(first["sessions"]) == 10
    rest = page(site, batch_id, after_number=first["last_number"])
    assert [s["session_id"] for s in rest["sessions"]] == ["s10", "s11", "s12"]
    end = page(site, batch_id, after_number=rest["last_number"])
    assert (end["sessions"], end["last_number"]) == ([], None)
    assert len(page(site, batch_id, limit=0)["sessions"]) == 13
    assert len(page(site, batch_id, limit=1, events_limit=2)["sessions"][0]["events"]) == 2
    assert len(page(site, batch_id, limit=1, events_limit=0)["sessions"][0]["events"]) == 3


def test_no_limit_reads_on_past_a_page(site: Site) -> None:
    for number in range(203):
        site.search(f"s{number}", shown="a")
    batch_id = release(site)["batch_id"]
    assert len(page(site, batch_id, limit=0)["sessions"]) == 203
    assert len(page(site, batch_id, limit=201)["sessions"]) == 201


@pytest.mark.parametrize("batch_id", ["unknown", "", "nul\x00", "'"])
def test_an_unknown_batch_is_empty(site: Site, batch_id: str) -> None:
    assert page(site, batch_id) == {"batch_id": batch_id, "last_number": None, "sessions": []}


@pytest.mark.parametrize(
    "query", [{}, {"batch_id": "b", "limit": "x"}, {"batch_id": "b", "events_limit": -1}]
)
def test_bad_pages_are_refused(site: Site, query: dict[str, Any]) -> None:
    response = site.get(f"{INTERNAL}/batch/sessions", **query)
    assert response.status_code == 422
    assert response.json["detail"][0]["loc"][0] == "query"  # type: ignore[index]


def test_irrelevant_sessions_are_in_no_batch(site: Site) -> None:
    site.search("s1")
    site.search("s2")
    site.post("/session/irrelevant", {"session_id": "s1"})
    body = page(site, release(site)["batch_id"])
    assert [session["session_id"] for session in body["sessions"]] == ["s2"]


def test_an_account_releases_its_own_batch_only(
    app: Flask, site: Site, make_caller: MakeCaller
) -> None:
    site.search()
    stranger = Site(site.client, make_caller(app, "admin").headers)
    assert stranger.post(f"{INTERNAL}/batch/release", {"release_id": "r"}).status_code == 404
    batch_id = release(site)["batch_id"]
    assert page(stranger, batch_id)["sessions"] == []


def test_a_session_is_chosen_for_improvement(site: Site) -> None:
    site.search("s1")
    site.search("s2")
    path = f"{INTERNAL}/session/use-for-improvement"
    response = site.post(path, {"session_id": "s2"})
    assert (response.status_code, response.data) == (200, b"null")
    lines = site.get("/v1/search/exports/ubi-queries", improvement="true").text.splitlines()
    assert len(lines) == 1
    assert '"s2"' in lines[0]
    unknown = site.post(path, {"session_id": "nobody"})
    assert unknown.status_code == 404
    assert unknown.json == {"detail": "Session with id=nobody not found"}


def test_batches_are_for_administrators_keys(
    app: Flask, client: FlaskClient, make_caller: MakeCaller
) -> None:
    plain = Site(client, make_caller(app).headers)
    for site, status in ((plain, 403), (Site(client, {}), 401)):
        for response in (
            site.post(f"{INTERNAL}/batch/release", {"release_id": "r"}),
            site.get(f"{INTERNAL}/batch/sessions", batch_id="b"),
            site.post(f"{INTERNAL}/session/use-for-improvement", {"session_id": "s"}),
        ):
            assert response.status_code == status
            assert isinstance(response.json["detail"], str)  # type: ignore[index]


@pytest.mark.parametrize("body", [{}, {"release_id": 1}, {"release_id": ""}, []])
def test_a_release_needs_an_id(site: Site, body: Any) -> None:
    assert site.post(f"{INTERNAL}/batch/release", body).status_code == 422


@pytest.mark.parametrize("path", ["/batch/release", "/session/use-for-improvement"])
def test_a_trailing_slash_redirects_here_too(site: Site, path: str) -> None:
    response = site.post(f"{INTERNAL}{path}/", {})
    assert (response.status_code, response.headers["Location"]) == (307, INTERNAL + path)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_releases_that_race_agree_and_every_session_is_in_one_batch(app: Flask, site: Site) -> None:
    def work(number: int) -> tuple[str, str] | None:
        mine = Site(app.test_client(), site.headers)
        if number % 4:
            mine.search(f"s{number}", shown="a")
            return None
        release_id = f"r{number % 8}"
        response = mine.post(f"{INTERNAL}/batch/release", {"release_id": release_id})
        assert response.status_code in {200, 404}, response.text
        return (release_id, response.json["batch_id"]) if response.status_code == 200 else None  # type: ignore[index]

    site.search("first")
    with ThreadPoolExecutor(6) as pool:
        seen = {pair for pair in pool.map(work, range(32)) if pair}
    by_release = dict(seen)
    assert len(by_release) == len(seen), "one release gave two batches"
    site.search("last")
    batches = {*by_release.values(), release(site, "end")["batch_id"]}
    sessions: list[str] = []
    for batch_id in batches:
        found = page(site, batch_id, limit=0)["sessions"]
        numbers = [session["session_number"] for session in found]
        assert numbers == sorted(set(numbers))
        sessions += [session["session_id"] for session in found]
    expected = ["first", "last", *(f"s{number}" for number in range(32) if number % 4)]
    assert sorted(sessions) == sorted(expected)
