from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core import (
    Blueprint,
    Identity,
    Setting,
    caller,
    check_session_binding,
    demand,
    flag,
    hookimpl,
    json_response,
    require,
)
from core.testing import bearer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask, Request, Response

    from core.testing import MakeApp, MakeCaller


class Doors:
    """Has a door for keys, one for tokens, one for anybody, and one key of its own."""

    @hookimpl
    def register_settings(self) -> Iterable[Setting]:
        return [Setting("SUBTEXT_DOORS_ANONYMOUS", False, "Whether anybody may enter.", flag)]

    @hookimpl
    def register_blueprints(self) -> Iterable[Any]:
        return [
            door("doors_key", require("mood")),
            door("doors_token", require("ingest", credentials=("token",), message="No token")),
            door("doors_open", require("read", anonymous_setting="SUBTEXT_DOORS_ANONYMOUS")),
        ]

    @hookimpl
    def authenticate(self, request: Request) -> Identity | None:
        if request.headers.get("X-Badge") != "gold":
            return None
        return Identity(7, "badge", "starter", frozenset({"mood"}), "badge", "only-this")


def door(name: str, guard: Any) -> Blueprint:
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(guard)

    @blueprint.route(f"/{name}", methods=["GET", "POST"])
    def enter() -> Response:
        identity = caller()
        return json_response({"tenant": identity.tenant, "credential": identity.credential})

    @blueprint.route(f"/{name}/sessions/<session_id>", methods=["GET"])
    def enter_session(session_id: str) -> Response:
        check_session_binding(session_id)
        return json_response({})

    @blueprint.route(f"/{name}/office", methods=["GET"])
    def enter_office() -> Response:
        demand("admin")
        return json_response({})

    return blueprint


@pytest.fixture
def doors(make_core: MakeApp) -> Flask:
    return make_core(plugins={"doors": Doors()})


@pytest.mark.parametrize(
    "form", ["X-Api-Key: {}", "Authorization: Bearer {}", "authorization: bEaReR  {} "]
)
def test_a_key_may_come_in_either_header(form: str, doors: Flask, make_caller: MakeCaller) -> None:
    someone = make_caller(doors)
    name, _, value = form.format(someone.key).partition(": ")

    answer = doors.test_client().get("/doors_key", headers={name: value})

    assert (answer.status_code, answer.json) == (
        200,
        {"tenant": someone.tenant, "credential": "key"},
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": ""},
        {"X-Api-Key": "   "},
        {"X-Api-Key": "sm_nonsense"},
        {"X-Api-Key": "sm_" + "0" * 48},
        {"X-Api-Key": "\xff\xfe"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic c21fOng="},
        {"Authorization": "sm_" + "0" * 48},
        {"Authorization": "Bearer sm_" + "0" * 48},
        {"Authorization": "Bearer \xe9.\xe9.\xe9"},
    ],
)
@pytest.mark.parametrize("path", ["/doors_key", "/doors_token", "/doors_open"])
def test_without_a_credential_that_holds_nobody_gets_in(
    headers: dict[str, str], path: str, doors: Flask
) -> None:
    answer = doors.test_client().get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_credential_without_the_scope_is_told_so(doors: Flask, make_caller: MakeCaller) -> None:
    answer = doors.test_client().get("/doors_key", headers=make_caller(doors, "ingest").headers)

    assert answer.status_code == 403
    assert answer.json == {"error": "The credential lacks the scope mood"}


def test_a_view_may_ask_for_more(doors: Flask, make_caller: MakeCaller) -> None:
    client = doors.test_client()

    plain = client.get("/doors_key/office", headers=make_caller(doors).headers)
    admin = client.get("/doors_key/office", headers=make_caller(doors, "admin").headers)

    assert (plain.status_code, admin.status_code) == (403, 200)


def test_keys_and_tokens_do_not_stand_in_for_one_another(
    doors: Flask, make_caller: MakeCaller
) -> None:
    someone = make_caller(doors)
    client = doors.test_client()

    assert client.get("/doors_token", headers=someone.headers).status_code == 401
    assert client.get("/doors_key", headers=bearer(doors, someone.tenant)).status_code == 401
    assert client.get("/doors_token", headers=bearer(doors, someone.tenant)).status_code == 200


def test_the_message_for_strangers_is_the_plugins_own(doors: Flask) -> None:
    assert doors.test_client().get("/doors_token").json == {"error": "No token"}


def test_a_token_bound_to_a_session_opens_no_other(doors: Flask) -> None:
    headers = bearer(doors, "acme", session_id="mine")
    client = doors.test_client()

    assert client.get("/doors_token/sessions/mine", headers=headers).status_code == 200
    assert client.get("/doors_token/sessions/yours", headers=headers).status_code == 403
    free = bearer(doors, "acme")
    assert client.get("/doors_token/sessions/yours", headers=free).status_code == 200


def test_anybody_gets_in_where_a_setting_says_so(make_core: MakeApp) -> None:
    client = make_core(plugins={"doors": Doors()}, SUBTEXT_DOORS_ANONYMOUS=True).test_client()

    assert client.get("/doors_key").status_code == 401
    assert client.get("/doors_open", headers={"X-Api-Key": "sm_wrong"}).status_code == 401
    # Anonymous callers get the plugin's own scope, and this door asks for another one.
    assert client.get("/doors_open").status_code == 403


def test_a_plugin_knows_credentials_of_its_own(doors: Flask) -> None:
    client = doors.test_client()

    assert client.get("/doors_key", headers={"X-Badge": "gold"}).json == {
        "tenant": "badge",
        "credential": "badge",
    }
    assert client.get("/doors_key", headers={"X-Badge": "tin"}).status_code == 401


def test_who_is_bound_to_a_session_reads_no_other_timeline_and_buys_no_wider_token(
    make_core: MakeApp,
) -> None:
    class Bound:
        @hookimpl
        def authenticate(self, request: Request) -> Identity:
            return Identity(1, "x", "x", frozenset({"read", "ingest"}), "bound", "mine")

    client = make_core(plugins={"bound": Bound()}).test_client()

    assert client.get("/v1/sessions/yours/timeline").status_code == 403
    assert client.get("/v1/sessions/mine/timeline").status_code == 404
    assert client.post("/v1/tokens", json={}).status_code == 403
    assert client.post("/v1/tokens", json={"session_id": "yours"}).status_code == 403
    assert client.post("/v1/tokens", json={"session_id": "mine"}).status_code == 201


def test_options_need_no_credential(doors: Flask) -> None:
    assert doors.test_client().options("/doors_key").status_code == 200
