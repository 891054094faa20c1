from __future__ import annotations

import gzip
import logging
import re
from typing import TYPE_CHECKING, Any

import peewee
import pytest
from marshmallow import Schema, fields

from core import (
    AppError,
    Blueprint,
    BodyLimits,
    Invalid,
    NotFound,
    Unavailable,
    hookimpl,
    json_response,
    request_id,
    request_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask, Response
    from flask.testing import FlaskClient

    from core.testing import MakeApp


class NoteSchema(Schema):
    text = fields.String(required=True)


def render(error: AppError) -> dict[str, Any]:
    return {"shape": "ours", "why": error.message, "details": getattr(error, "errors", None)}


class Desk:
    """Takes notes, and breaks in all ways a view can."""

    @hookimpl
    def register_blueprints(self) -> Iterable[Any]:
        desk = Blueprint(
            "desk",
            __name__,
            render_error=render,
            url_prefix="/desk",
            body_limits=BodyLimits(wire=1_000, inflated=2_000),
        )
        plain = Blueprint("desk_plain", __name__)

        @desk.route("/notes", methods=["POST"])
        @desk.arguments(NoteSchema)
        def take_note(arguments: dict[str, Any]) -> Response:
            return json_response(arguments, 201)

        @plain.route("/echo", methods=["POST"])
        def echo() -> Response:
            return json_response(request_json())

        @plain.route("/id", methods=["GET"])
        def give_id() -> Response:
            return json_response(request_id())

        @plain.route("/sessions/<path:name>", methods=["GET"])
        def name(name: str) -> Response:
            return json_response(name)

        @plain.route("/fail/<kind>", methods=["GET"])
        def fail(kind: str) -> Response:
            raise FAILURES[kind]

        return [desk, plain]


FAILURES: dict[str, Exception] = {
    "bug": ZeroDivisionError("the secret reason"),
    "away": peewee.OperationalError("the secret host is away"),
    "busy": Unavailable(),
    "gone": NotFound("No such thing", thing="t"),
    "odd": Invalid(errors={1: ["\ud800", b"x", {2, 3}.__class__]}),
}


@pytest.fixture
def client(make_core: MakeApp) -> FlaskClient:
    return make_core(plugins={"desk": Desk()}).test_client()


def test_every_answer_carries_a_request_id(client: FlaskClient) -> None:
    ids = {client.get(path).headers["X-Request-Id"] for path in ("/livez", "/none", "/fail/bug")}

    assert len(ids) == 3
    assert all(re.fullmatch(r"req_[0-9a-f]{16}", one) for one in ids)


def test_a_caller_may_bring_a_request_id(client: FlaskClient) -> None:
    answer = client.get("/id", headers={"X-Request-Id": "trace:1.a_b-C"})

    assert answer.json == answer.headers["X-Request-Id"] == "trace:1.a_b-C"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 129, "ü", "a\tb", '"', "<script>"])
def test_an_unfit_request_id_is_replaced(offered: str, client: FlaskClient) -> None:
    answer = client.get("/id", headers={"X-Request-Id": offered})

    assert answer.headers["X-Request-Id"].startswith("req_")


def test_a_bug_is_answered_with_the_request_id_and_nothing_of_the_reason(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/fail/bug")

    assert answer.status_code == 500
    assert answer.json == {
        "error": "Internal server error",
        "request_id": answer.headers["X-Request-Id"],
    }
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert vars(record)["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("kind", ["away", "busy"])
def test_a_database_that_is_away_is_answered_with_come_back(kind: str, client: FlaskClient) -> None:
    answer = client.get(f"/fail/{kind}")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.get_json()["error"] == "Temporarily unavailable, try again"


def test_what_an_error_says_besides_is_in_the_answer(client: FlaskClient) -> None:
    answer = client.get("/fail/gone")

    assert (answer.status_code, answer.get_json()) == (
        404,
        {"error": "No such thing", "thing": "t"},
    )


def test_an_error_that_json_cannot_hold_is_still_answered(client: FlaskClient) -> None:
    answer = client.get("/fail/odd")

    assert answer.status_code == 422
    assert answer.get_json()["errors"]["1"][0] == "?"


def test_a_wrong_body_is_answered_in_the_shape_of_its_api(client: FlaskClient) -> None:
    answer = client.post("/desk/notes", json={"text": 1})

    assert (answer.status_code, answer.get_json()) == (
        422,
        {
            "shape": "ours",
            "why": "The request is not valid",
            "details": {"json": {"text": ["Not a valid string."]}},
        },
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/desk/none", 404), ("GET", "/desk/notes", 405), ("DELETE", "/desk/notes", 405)],
)
def test_addresses_and_methods_that_do_not_exist_have_the_shape_of_their_api(
    method: str, path: str, status: int, client: FlaskClient
) -> None:
    answer = client.open(path, method=method)

    assert answer.status_code == status
    assert answer.get_json()["shape"] == "ours"
    if status == 405:
        assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    "path", ["/none", "/", "/desk", "/deskx/y", "/%00", "/%ff", "/none?" + "q" * 9_000]
)
def test_an_address_of_nobody_is_answered_with_404_as_json(path: str, client: FlaskClient) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert set(answer.get_json()) == {"error"}


GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
BODIES: list[tuple[int, bytes, dict[str, str]]] = [
    (201, b'{"text": "x"}', {"Content-Type": "application/json"}),
    (201, b'{"text": "x"}', {"Content-Type": "application/vnd.x+json; charset=utf-8"}),
    (201, gzip.compress(b'{"text": "x"}', mtime=0), GZIP),
    (400, b"", {"Content-Type": "application/json"}),
    (400, b"{", {"Content-Type": "application/json"}),
    (400, b'{"text": NaN}', {"Content-Type": "application/json"}),
    (400, b'{"text": "\\ud800"}', {"Content-Type": "application/json"}),
    (400, b"\xff\xfe", {"Content-Type": "application/json"}),
    (400, b"[" * 900 + b"]" * 10, {"Content-Type": "application/json"}),
    (400, b"not gzip", GZIP),
    (413, b'"' + b"x" * 1_000 + b'"', {"Content-Type": "application/json"}),
    (413, gzip.compress(b'"' + b"x" * 100_000 + b'"', mtime=0), GZIP),
    (415, b'{"text": "x"}', {}),
    (415, b'{"text": "x"}', {"Content-Type": "text/plain"}),
    (415, b"text=x", {"Content-Type": "application/x-www-form-urlencoded"}),
    (415, b'{"text": "x"}', {"Content-Type": "application/json", "Content-Encoding": "br"}),
    (422, b"null", {"Content-Type": "application/json"}),
    (422, b"[]", {"Content-Type": "application/json"}),
    (422, b"7", {"Content-Type": "application/json"}),
    (422, b"{}", {"Content-Type": "application/json"}),
    (422, b'{"text": true}', {"Content-Type": "application/json"}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "headers"), BODIES)
def test_bodies_are_read_within_their_caps_or_refused_in_the_shape_of_the_api(
    status: int, body: bytes, headers: dict[str, str], client: FlaskClient
) -> None:
    answer = client.post("/desk/notes", data=body, headers=headers)

    assert answer.status_code == status
    assert status == 201 or answer.get_json()["shape"] == "ours"


def test_two_requests_within_one_app_context_do_not_see_each_others_bodies(
    make_core: MakeApp,
) -> None:
    app = make_core(plugins={"desk": Desk()})

    with app.app_context():
        assert app.test_client().post("/echo", json=[1]).json == [1]
        assert app.test_client().post("/echo", json=[2]).json == [2]


@pytest.mark.parametrize("name", ["a//b", "a/", "/a", "//a", "/", "a%2Fb", "..%2F..", "a;b", "ü"])
def test_slashes_in_a_path_are_left_as_they_are(name: str, client: FlaskClient) -> None:
    answer = client.get(f"/sessions/{name}")

    assert answer.status_code == 200
    assert answer.json == name.replace("%2F", "/")


def test_options_says_what_may_be_sent(client: FlaskClient) -> None:
    answer = client.options("/desk/notes")

    assert answer.status_code == 200
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("path", ["/livez", "/none", "/fail/bug"])
def test_no_browser_guesses_the_type_of_an_answer(path: str, client: FlaskClient) -> None:
    assert client.get(path).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("proxies", "scheme"), [(0, "http"), (1, "https")])
def test_the_scheme_is_the_proxys_word_only_where_there_is_a_proxy(
    proxies: int, scheme: str, make_core: MakeApp
) -> None:
    app: Flask = make_core(SUBTEXT_PROXIES=proxies)

    @app.get("/where")
    def where() -> dict[str, str]:
        from flask import request

        return {"scheme": request.scheme, "host": request.host}

    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
    answer = app.test_client().get("/where", headers=headers)

    assert answer.get_json()["scheme"] == scheme
    assert (answer.get_json()["host"] == "shop.example") is bool(proxies)


def test_an_unmigrated_database_is_no_traceback_in_an_answer(make_core: MakeApp) -> None:
    app = make_core(plugins={"desk": Desk()})
    with app.app_context():
        app.extensions["subtext"].database.execute_sql("DROP TABLE core_api_key")

    answer = app.test_client().get(
        "/v1/sessions/s/timeline", headers={"X-Api-Key": "sm_" + "0" * 48}
    )

    assert answer.status_code == 500
    assert set(answer.get_json()) == {"error", "request_id"}
    assert "core_api_key" not in answer.text
