from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from core import Blueprint, hookimpl, json_response, limit_by_address, require
from core.factory import build_app

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Response
    from werkzeug.test import TestResponse

    from core.testing import MakeApp, MakeCaller
    from core.valkey import EmbeddedValkey


class Gate:
    @hookimpl
    def register_blueprints(self) -> Iterable[Any]:
        blueprint = Blueprint("gate", __name__)
        blueprint.before_request(require("mood"))
        public = Blueprint("gate_public", __name__)

        @blueprint.route("/gate", methods=["GET"])
        def enter() -> Response:
            return json_response({})

        @public.route("/bell", methods=["GET"])
        @limit_by_address("2/hour")
        def ring() -> Response:
            return json_response({})

        return [blueprint, public]


@pytest.fixture
def make_gate(make_core: MakeApp) -> MakeApp:
    def build(**settings: Any) -> Any:
        return make_core(
            **{
                "plugins": {"gate": Gate()},
                "SUBTEXT_RATE_LIMITS": True,
                "SUBTEXT_RATE_LIMIT": "3/hour",
                "SUBTEXT_RATE_LIMIT_ADDRESS": "2/hour",
                **settings,
            }
        )

    return build


def allowance(answer: TestResponse) -> tuple[int, str, str]:
    headers = answer.headers
    return answer.status_code, headers["RateLimit-Limit"], headers["RateLimit-Remaining"]


def test_answers_say_what_is_left_and_when_to_come_back(
    make_gate: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_gate()
    headers, client = make_caller(app).headers, app.test_client()

    answers = [client.get("/gate", headers=headers) for _ in range(4)]

    assert [allowance(answer) for answer in answers] == [
        (200, "3", "2"),
        (200, "3", "1"),
        (200, "3", "0"),
        (429, "3", "0"),
    ]
    assert answers[3].json == {"error": "Rate limit exceeded"}
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 3_600
    assert answers[3].headers["Retry-After"] == answers[3].headers["RateLimit-Reset"]


def test_each_account_has_its_own_limit_whatever_its_key(
    make_gate: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_gate()
    one, two, client = make_caller(app), make_caller(app), app.test_client()

    for _ in range(3):
        client.get("/gate", headers=one.headers)

    assert client.get("/gate", headers=one.headers).status_code == 429
    assert client.get("/gate", headers=two.headers).status_code == 200


def test_guessing_credentials_is_limited_by_address(
    make_gate: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_gate()
    client = app.test_client()

    guesses = [client.get("/gate", headers={"X-Api-Key": f"sm_{n:048x}"}) for n in range(3)]
    elsewhere = client.get("/gate", environ_base={"REMOTE_ADDR": "192.0.2.9"})

    assert [guess.status_code for guess in guesses] == [401, 401, 429]
    assert guesses[2].json == {"error": "Too many requests without a valid credential"}
    assert "Retry-After" in guesses[2].headers
    assert elsewhere.status_code == 401
    assert client.get("/gate", headers=make_caller(app).headers).status_code == 200


def test_a_view_can_be_limited_by_address(make_gate: MakeApp) -> None:
    client = make_gate().test_client()

    answers = [client.get("/bell") for _ in range(3)]
    elsewhere = client.get("/bell", environ_base={"REMOTE_ADDR": "2001:db8::1"})

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert elsewhere.status_code == 200
    assert client.options("/bell").status_code == 200


def test_an_address_is_the_one_the_proxy_names(make_gate: MakeApp) -> None:
    client = make_gate(SUBTEXT_PROXIES=1).test_client()

    def ring(forwarded: str) -> int:
        return client.get("/bell", headers={"X-Forwarded-For": forwarded}).status_code

    assert [ring("203.0.113.1"), ring("203.0.113.1"), ring("203.0.113.1")] == [200, 200, 429]
    assert ring("203.0.113.2") == 200
    # Only the last address is the proxy's word; what stands before it a client can make up.
    assert ring("198.51.100.7, 203.0.113.1") == 429


def test_without_a_proxy_in_front_nobody_can_name_an_address_of_their_own(
    make_gate: MakeApp,
) -> None:
    client = make_gate().test_client()

    answers = [
        client.get("/bell", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code
        for n in range(3)
    ]

    assert answers == [200, 200, 429]


def test_limits_can_be_switched_off(make_gate: MakeApp, make_caller: MakeCaller) -> None:
    app = make_gate(SUBTEXT_RATE_LIMITS=False)
    headers, client = make_caller(app).headers, app.test_client()

    answers = [client.get("/gate", headers=headers) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0].headers


def test_processes_share_one_count_through_redis(
    make_gate: MakeApp, make_caller: MakeCaller, valkey: EmbeddedValkey
) -> None:
    one, two = make_gate(REDIS_URL=valkey.url), make_gate(REDIS_URL=valkey.url)
    headers = make_caller(one).headers

    answers = [app.test_client().get("/gate", headers=headers) for app in (one, two, one, two)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///no/such/socket"])
def test_without_redis_each_process_counts_alone_and_nobody_is_turned_away(
    url: str, make_gate: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_gate(REDIS_URL=url)
    headers, client = make_caller(app).headers, app.test_client()

    statuses = [client.get("/gate", headers=headers).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


def test_building_an_app_starts_no_thread() -> None:
    before = set(threading.enumerate())

    build_app({}, {}, discover=False)

    assert set(threading.enumerate()) <= before
