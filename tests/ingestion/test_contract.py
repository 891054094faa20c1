from __future__ import annotations

import copy
import gzip
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from core.testing import bearer
from plugins.ingestion import examples, services
from tests.ingestion.conftest import OTHERS

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller
    from tests.ingestion.conftest import Writer

EXAMPLES = [("events", examples.EVENTS), ("facial", examples.FRAMES), ("voice", examples.SEGMENTS)]
KINDS = ["events", "facial", "voice"]


def failure(response: Any, status: int) -> str:
    """Check the envelope of a request that was not taken and return its `error`."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    error = response.json["error"]
    assert response.json == {"success": False, "data": None, "error": error, "metadata": None}
    assert isinstance(error, str)
    assert error
    return error


@pytest.mark.parametrize(("kind", "body"), EXAMPLES)
def test_the_documented_request_gets_the_documented_answer(
    writer: Writer, kind: str, body: Any
) -> None:
    response = writer.post(kind, body)
    assert response.status_code == 200
    assert response.json == {
        "success": True,
        "data": {
            "sessionId": "sess_001",
            "accepted": len(body["batch"]),
            "rejected": 0,
            "rejections": [],
        },
        "error": None,
        "metadata": None,
    }


def test_the_documented_rejection(writer: Writer) -> None:
    body = copy.deepcopy(examples.EVENTS)
    del body["batch"][2]["eventType"]
    assert writer.post("events", body).json == {
        "success": True,
        "data": {
            "sessionId": "sess_001",
            "accepted": 2,
            "rejected": 1,
            "rejections": [{"index": 2, "reason": "Missing required field: eventType"}],
        },
        "error": None,
        "metadata": None,
    }


def test_every_item_may_be_rejected_and_the_answer_is_still_200(writer: Writer) -> None:
    data = writer.send("events", {}, None, "click", [], 5)
    assert data["accepted"] == 0
    assert [entry["index"] for entry in data["rejections"]] == [0, 1, 2, 3, 4]
    assert writer.timeline() == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_is_read(writer: Writer, kind: str) -> None:
    assert writer.send(kind) == {
        "sessionId": "sess_001",
        "accepted": 0,
        "rejected": 0,
        "rejections": [],
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"sessionId": "s"}, "Missing required field: batch"),
        ({"batch": []}, "Missing required field: sessionId"),
        ({}, "Missing required field: sessionId; Missing required field: batch"),
        ({"sessionId": "s", "batch": {}}, "Invalid value for batch: must be a list"),
        ({"sessionId": "s", "batch": None}, "Invalid value for batch: must be a list"),
        ({"sessionId": "s", "batch": "[]"}, "Invalid value for batch: must be a list"),
        (
            {"sessionId": "s", "batch": [{}] * 1001},
            "Invalid value for batch: must have at most 1000 items",
        ),
        ({"sessionId": 5, "batch": []}, "Invalid value for sessionId: must be a string"),
        ({"sessionId": None, "batch": []}, "Invalid value for sessionId: must be a string"),
        (
            {"sessionId": "", "batch": []},
            "Invalid value for sessionId: must be between 1 and 256 characters",
        ),
        (
            {"sessionId": "s" * 257, "batch": []},
            "Invalid value for sessionId: must be between 1 and 256 characters",
        ),
        (
            {"sessionId": "a\0b", "batch": []},
            "Invalid value for sessionId: must not contain NUL characters",
        ),
        ([], "The body must be a JSON object"),
        ("click", "The body must be a JSON object"),
        (None, "The body must be a JSON object"),
        (b"", "The body is empty; it must be JSON"),
    ],
)
def test_a_body_that_is_no_batch_is_a_400_that_says_why(
    writer: Writer, body: Any, error: str
) -> None:
    assert failure(writer.post("events", body), 400) == error


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff", b"NaN", b'{"sessionId": "s", "batch": [NaN]}', b"[" * 50_000, b'"\\ud800"'],
)
def test_what_is_no_json_is_a_400(writer: Writer, body: bytes) -> None:
    assert failure(writer.post("facial", body), 400).startswith("The body is not valid JSON")


@pytest.mark.parametrize("session", ["s" * 256, "ünï/cödé %2F 🙂", " "])
def test_a_session_id_is_any_text_of_at_most_256_characters(writer: Writer, session: str) -> None:
    body = {**examples.EVENTS, "sessionId": session}
    assert writer.post("events", body).json["data"]["sessionId"] == session


def test_a_thousand_items_are_read(writer: Writer) -> None:
    frames = [{**examples.FRAMES["batch"][0], "frameIndex": index} for index in range(1000)]
    assert writer.send("facial", *frames)["accepted"] == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_that_holds_nothing_is_read(app: Flask, caller: Caller, kind: str) -> None:
    token = bearer(app, caller.tenant)["Authorization"]
    client = app.test_client()
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": token[:-4]},
        {"Authorization": f"Basic {token}"},
        {"Authorization": "Bearer " + "a" * 9000},
        caller.headers,
        {"Authorization": f"Bearer {caller.key}"},
    ):
        response = client.post(f"/api/data/{kind}", data=b"{", headers=headers)
        assert failure(response, 401) == "Missing or invalid token"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_bound_to_a_session_writes_that_session_only(
    app: Flask, caller: Caller, writer: Writer
) -> None:
    bound = bearer(app, caller.tenant, session_id="sess_001")
    assert writer.post("events", examples.EVENTS, **bound).status_code == 200
    other = writer.post("events", {**examples.EVENTS, "sessionId": "sess_002"}, **bound)
    assert failure(other, 403) == "Token is not valid for this session"
    assert writer.timeline("sess_002") == []


def test_a_token_for_something_else_is_a_403(app: Flask, caller: Caller, writer: Writer) -> None:
    stream = bearer(app, caller.tenant, scope="stream")
    assert "ingest" in failure(writer.post("events", examples.EVENTS, **stream), 403)


def test_accounts_do_not_share_sessions(
    app: Flask, writer: Writer, make_caller: MakeCaller
) -> None:
    other = make_caller(app)
    writer.post("events", examples.EVENTS)
    writer.post("events", examples.EVENTS, **bearer(app, other.tenant))
    assert len(writer.stored()) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/data/events", 405),
        ("DELETE", "/api/data/voice", 405),
        ("POST", "/api/data/nope", 404),
        ("GET", "/api/data/events/x", 404),
    ],
)
def test_addresses_and_methods_that_do_not_exist_have_the_envelope_too(
    app: Flask, method: str, path: str, status: int
) -> None:
    response = app.test_client().open(path, method=method)
    failure(response, status)
    assert status == 404 or "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/html", "image/png", ""]
)
def test_other_content_types_are_a_415(writer: Writer, content_type: str) -> None:
    failure(writer.post("events", examples.EVENTS, Content_Type=content_type), 415)


def test_a_content_coding_that_is_not_read_is_a_415(writer: Writer) -> None:
    response = writer.post("events", examples.EVENTS, Content_Encoding="br")
    failure(response, 415)
    assert response.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "text/plain;charset=UTF-8", "a/b+json"]
)
def test_json_is_read_whatever_a_beacon_calls_it(writer: Writer, content_type: str) -> None:
    response = writer.post("events", examples.EVENTS, Content_Type=content_type)
    assert response.json["data"]["accepted"] == 3


def test_a_gzipped_body_is_read(writer: Writer) -> None:
    body = gzip.compress(orjson.dumps(examples.EVENTS))
    assert writer.post("events", body, Content_Encoding="gzip").json["data"]["accepted"] == 3


def test_a_mebibyte_is_read_and_a_byte_more_is_not(writer: Writer) -> None:
    body = orjson.dumps(examples.EVENTS)
    padded = body + b" " * (1024 * 1024 - len(body))
    assert writer.post("events", padded).status_code == 200
    assert "1048576" in failure(writer.post("events", padded + b" "), 413)


def test_a_bomb_is_a_413_and_broken_gzip_a_400(writer: Writer) -> None:
    bomb = gzip.compress(b" " * 9 * 1024 * 1024)
    assert "inflated" in failure(writer.post("events", bomb, Content_Encoding="gzip"), 413)
    failure(writer.post("events", bomb[:-4], Content_Encoding="gzip"), 413)
    failure(writer.post("events", b"{}", Content_Encoding="gzip"), 400)


def test_over_the_rate_limit_is_a_429_that_says_when_to_come_back(
    make_app: MakeApp, make_caller: MakeCaller, writer: Writer
) -> None:
    app = make_app(
        SUBTEXT_RATE_LIMITS=True,
        SUBTEXT_RATE_LIMIT="2/minute",
        SUBTEXT_PLUGINS_DISABLED=OTHERS,
    )
    limited = make_caller(app)
    writer.app, writer.headers = app, bearer(app, limited.tenant)
    assert writer.post("events", examples.EVENTS).status_code == 200
    assert writer.post("voice", examples.SEGMENTS).status_code == 200
    response = writer.post("events", examples.EVENTS)
    failure(response, 429)
    assert 0 < int(response.headers["Retry-After"]) <= 60


def test_what_cannot_be_stored_is_a_503_and_nothing_is_acknowledged(
    make_app: MakeApp, writer: Writer
) -> None:
    app = make_app(SUBTEXT_DATABASE_TIMEOUT=0.1, SUBTEXT_PLUGINS_DISABLED=OTHERS)
    writer.app = app
    writer.post("events", {"sessionId": "other", "batch": []})
    lock = app.extensions["subtext"].database.write_lock
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        response = writer.post("events", examples.EVENTS)
    finally:
        done.set()
        holder.join()
    failure(response, 503)
    assert int(response.headers["Retry-After"]) >= 1
    assert writer.timeline() == []
    assert writer.post("events", examples.EVENTS).status_code == 200


def test_a_fault_of_the_server_is_a_500_with_the_id_to_ask_about(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(services, "store_batch", fail)
    response = writer.post("events", examples.EVENTS)
    error = failure(response, 500)
    assert response.headers["X-Request-Id"] in error
    assert "secret" not in error
    assert "a secret detail" in caplog.text


def test_the_openapi_document_shows_the_examples_the_errors_and_the_token(app: Flask) -> None:
    client: Any = app.test_client()
    document = client.get("/openapi.json").json
    for kind, body in EXAMPLES:
        operation = document["paths"][f"/api/data/{kind}"]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        assert content["example"] == body
        assert operation["security"] == [{"Token": []}]
        assert {"200", "400", "401", "403", "410", "413", "415", "422", "429", "503"} <= set(
            operation["responses"]
        )
        assert operation["parameters"][0]["name"] == "Idempotency-Key"
    event = document["components"]["schemas"]["IngestionEvent"]
    assert event["required"] == ["eventType", "targetSelector", "timestamp"]
    assert event["properties"]["eventType"]["enum"] == [
        "click",
        "scroll",
        "input",
        "focus",
        "blur",
        "navigation",
        "error",
    ]
    assert event["properties"]["timestamp"]["format"] == "date-time"
    frame = document["components"]["schemas"]["IngestionFrame"]["properties"]
    assert (frame["attentionScore"]["minimum"], frame["attentionScore"]["maximum"]) == (0, 1)
