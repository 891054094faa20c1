from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from core.testing import MakeApp

SHOP = "https://shop.example"
LOCAL = "http://localhost:3000"


@pytest.fixture
def client(make_core: MakeApp) -> FlaskClient:
    return make_core(SUBTEXT_CORS_ORIGINS=(SHOP, LOCAL)).test_client()


def preflight(client: FlaskClient, origin: str, path: str = "/v1/tokens") -> dict[str, str]:
    answer = client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, x-api-key, x-evil",
        },
    )
    return {
        name.removeprefix("Access-Control-"): value
        for name, value in answer.headers
        if name.startswith("Access-Control-")
    }


@pytest.mark.parametrize("origin", [SHOP, LOCAL])
def test_a_listed_origin_may_call(origin: str, client: FlaskClient) -> None:
    allowed = preflight(client, origin)

    assert allowed["Allow-Origin"] == origin
    assert "POST" in allowed["Allow-Methods"]
    assert allowed["Max-Age"] == "600"
    headers = {name.strip().lower() for name in allowed["Allow-Headers"].split(",")}
    assert headers == {"authorization", "content-type", "x-api-key"}
    assert "Allow-Credentials" not in allowed


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example.evil.example",
        "https://evil-shop.example",
        "https://shopXexample",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example/",
        "http://localhost:3001",
        "null",
        "",
        "*",
    ],
)
def test_any_other_origin_may_not(origin: str, client: FlaskClient) -> None:
    assert preflight(client, origin) == {}


@pytest.mark.parametrize("path", ["/livez", "/v1/sessions/s/timeline", "/none"])
def test_answers_and_errors_alike_can_be_read_by_a_listed_origin(
    path: str, client: FlaskClient
) -> None:
    answer = client.get(path, headers={"Origin": SHOP})

    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Origin" in answer.headers["Vary"]
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"X-Request-Id", "Retry-After", "RateLimit-Remaining"} <= exposed


def test_without_a_list_no_browser_may_call(make_core: MakeApp) -> None:
    client = make_core().test_client()

    assert preflight(client, SHOP) == {}
    assert (
        "Access-Control-Allow-Origin" not in client.get("/livez", headers={"Origin": SHOP}).headers
    )


def test_a_request_without_an_origin_learns_of_none(client: FlaskClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.get("/livez").headers


def test_a_star_lets_any_origin_call(make_core: MakeApp) -> None:
    client = make_core(SUBTEXT_CORS_ORIGINS=("*",)).test_client()

    assert preflight(client, "https://anywhere.example")["Allow-Origin"] == "*"
