from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from core.logs import JsonFormatter, configure_logging, redact
from core.testing import bearer

if TYPE_CHECKING:
    from core.testing import MakeApp, MakeCaller


def line(message: str, *args: Any, **extra: Any) -> dict[str, Any]:
    record = logging.getLogger("test").makeRecord(
        "test", logging.INFO, __file__, 1, message, args, None, extra=extra
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    "secret",
    [
        "sm_" + "0a" * 24,
        "eyJhbGciOiJIUzI1NiJ9.eyJ0ZW5hbnQiOiJhIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhIn0.",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "key={}", '"{}"', "X-Api-Key: {}\r\n", "Bearer {}", "a {} b {} c"]
)
def test_a_credential_is_removed_wherever_it_stands(secret: str, around: str) -> None:
    assert secret not in redact(around.replace("{}", secret))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:canary@host:5432/name",
        "redis://:canary@host",
        "rediss://default:p@canary@host:1",
        "redis://:canary/canary@host",
        "https://user:%63anary-canary@host/path",
    ],
)
def test_a_password_in_a_url_is_removed(url: str) -> None:
    assert "canary" not in redact(f"cannot connect to {url}, trying again")


def test_what_is_no_secret_stays() -> None:
    text = "GET http://localhost:8000/a/b answered in 5 ms: sm_x, see https://example.com/@me"

    assert redact(text) == text


def test_a_record_is_one_line_of_json_with_its_extras() -> None:
    found = line("two\nlines %s", "sm_" + "1" * 48, number=1, nothing=None)

    assert found["message"] == "two\nlines sm_[removed]"
    assert (found["number"], found["nothing"]) == (1, None)
    assert found["time"].endswith("Z")
    assert (found["level"], found["logger"]) == ("INFO", "test")


@pytest.mark.parametrize(
    "value", ["\ud800", 2**70, {1, 2}, b"\xff", float("nan"), {"k": {2: object}}, [["deep"]]]
)
def test_a_value_that_json_cannot_hold_does_not_break_the_line(value: Any) -> None:
    assert line("odd", value=value, other="sm_" + "1" * 48)["other"] == "sm_[removed]"


@pytest.mark.parametrize("message", ["%d", "%(name)s", "%s %s", "%y"])
def test_a_record_that_does_not_fit_its_arguments_is_a_line_without_them(message: str) -> None:
    found = line(message, "sm_" + "1" * 48)

    assert found["message"].startswith(message)
    assert "111" not in found["message"]


def test_an_exception_is_in_the_line_without_its_secrets() -> None:
    try:
        int("postgresql://user:canary@host")
    except ValueError:
        record = logging.getLogger("test").makeRecord(
            "test", logging.ERROR, __file__, 1, "failed", (), sys.exc_info()
        )

    found = json.loads(JsonFormatter().format(record))

    assert "ValueError" in found["exception"]
    assert "canary" not in str(found)


def test_requests_leave_no_secret_and_no_session_id_in_the_log(
    make_core: MakeApp, make_caller: MakeCaller, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_core(
        SUBTEXT_METRICS_TOKEN="canary-metrics-token", REDIS_URL="redis://:canary-redis@127.0.0.1:1"
    )
    someone = make_caller(app)
    token = bearer(app, someone.tenant)
    client = app.test_client()

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError(f"with {someone.key}")

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    statements = logging.getLogger("peewee")
    configure_logging("debug")
    try:
        client.get("/v1/sessions/canary-session/timeline", headers=someone.headers)
        client.get(f"/v1/sessions/x/timeline?key={someone.key}", headers=token)
        client.get("/metrics", headers={"Authorization": "Bearer canary-metrics-token"})
        client.post("/v1/tokens", headers=someone.headers, json={"session_id": "canary-session"})
        client.get("/broken", headers=token)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        statements.setLevel(logging.NOTSET)

    written = capsys.readouterr().err
    assert written.count('"answered"') == 5
    assert all(json.loads(entry) for entry in written.splitlines())
    for secret in (someone.key, token["Authorization"].split()[1], "canary-"):
        assert secret not in written
