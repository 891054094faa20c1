"""The socket as its clients see it: handshake, frames, errors, the end."""

from __future__ import annotations

import http.client
import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import websocket

from tests.stream.house import eventually, kinds
from tests.stream.scripts import video, without_picture

if TYPE_CHECKING:
    from tests.stream.house import House

READY = {
    "session_idle_timeout_seconds": 300,
    "session_max_duration_seconds": 3600,
    "min_segment_duration_seconds": 3,
    "max_segment_duration_seconds": None,
    "min_segment_size_bytes": 1,
    "max_segment_size_bytes": 33_554_432,
    "supported_session_config_options": {
        "include": ["conversation_quality_overall", "conversation_quality_timeline"],
        "goal_dimensions": None,
    },
}


def refusal(house: House, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of a handshake that is refused, having checked their shape."""
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    try:
        connection.request("GET", f"/v1/stream/analyze{query}", headers={**upgrade, **given})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert set(body) == {"error_id", "correlation_id", "link", "message"}
        assert body["link"] is None
        assert answer.headers["X-Correlation-ID"] == body["correlation_id"]
        assert str(uuid.UUID(body["correlation_id"])) == body["correlation_id"]
        return answer.status, body
    finally:
        connection.close()


def errors(frames: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    """Return code and segment of the errors among frames."""
    return [(f["data"]["code"], f["data"]["segment"]) for f in frames if f["type"] == "error"]


def test_the_first_frame_says_what_holds_and_every_frame_has_the_same_four_keys(
    house: House,
) -> None:
    with house.connect() as client:
        correlation_id = client.connection.headers["x-correlation-id"]
        assert str(uuid.UUID(correlation_id)) == correlation_id
        ready = client.frame()
        assert ready["type"] == "session.ready"
        assert ready["data"] == READY
        client.send({})
        for frame in [ready, client.frame()]:
            assert set(frame) == {"timestamp", "correlation_id", "type", "data"}
            assert frame["correlation_id"] == correlation_id
            assert frame["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("form", "selected"),
    [
        ({"header": ["Authorization: Bearer {key}"]}, None),
        ({"subprotocols": ["{key}"]}, "{key}"),
        ({"subprotocols": ["access_token", "{key}"]}, "access_token"),
    ],
)
def test_a_credential_is_taken_in_three_forms(
    house: House, form: dict[str, list[str]], selected: str | None
) -> None:
    options = {name: [v.format(key=house.key) for v in values] for name, values in form.items()}
    given: dict[str, Any] = {"header": [], **options}
    with house.connect(**given) as client:
        assert client.frame()["type"] == "session.ready"
        expected = selected and selected.format(key=house.key).lower()
        assert client.connection.getsubprotocol() == expected
    assert house.key not in house.log("web")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "ih2002"),
        ({"Authorization": f"Bearer sm_{'0' * 48}"}, 401, "ih2001"),
        ({"Authorization": "Bearer nonsense"}, 401, "ih2001"),
        ({"Sec_WebSocket_Protocol": "nonsense"}, 401, "ih2001"),
        ({"Sec_WebSocket_Protocol": "access_token"}, 401, "ih2002"),
    ],
)
def test_a_bad_credential_is_refused_before_the_upgrade(
    house: House, headers: dict[str, str], status: int, code: str
) -> None:
    answered, body = refusal(house, **headers)
    assert (answered, body["error_id"]) == (status, code)


def test_a_key_without_the_scope_is_refused(house: House) -> None:
    key = house.flask("keys", "create", "--name", "Other", "--scope", "mood").split()[-1]
    status, body = refusal(house, Authorization=f"Bearer {key}")
    assert (status, body["error_id"]) == (403, "ih2003")


def test_a_token_opens_a_stream_of_its_session_alone(house: House) -> None:
    body = b'{"scope": "stream", "session_id": "bound"}'
    _, token, _ = house.request("POST", "/v1/tokens", body, Content_Type="application/json")
    headers = {"Authorization": f"Bearer {token['token']}"}
    with house.connect(header=headers) as client:
        assert client.frame()["type"] == "session.ready"
    assert house.get("/v1/stream/sessions/bound")["recordings"]
    assert refusal(house, "?session_id=other", **headers)[0] == 403


def test_an_impossible_session_is_refused(house: House) -> None:
    key = {"Authorization": f"Bearer {house.key}"}
    assert refusal(house, f"?session_id={'x' * 257}", **key)[0] == 422
    assert refusal(house, "?session_id=a%00b", **key)[0] == 422


def test_a_handshake_of_another_version_is_told_which_is_spoken(house: House) -> None:
    headers = {"Authorization": f"Bearer {house.key}", "Sec_WebSocket_Version": "8"}
    assert refusal(house, **headers)[0] == 426
    assert house.request("GET", "/v1/stream/analyze")[0] == 426


def test_text_frames_configure_at_any_time_and_nonsense_is_an_error_that_ends_nothing(
    house: House,
) -> None:
    with house.connect() as client:
        client.send({"include": ["conversation_quality_overall"], "other": 1})
        client.send({})
        for nonsense in (
            "no json",
            "[1]",
            "null",
            '{"include": 5}',
            "x" * 70_000,
            '"' + "\\ud800" + '"',
        ):
            client.send(nonsense)
        frames = client.finish()
        updates = [f["data"]["include"] for f in frames if f["type"] == "session.updated"]
        assert updates == [["conversation_quality_overall"], []]
        assert errors(frames) == [("ih6001", None)] * 6


def test_media_that_cannot_be_taken_is_named_by_its_place_and_the_stream_goes_on(
    house: House,
) -> None:
    with house.connect() as client:
        client.send(video(1.0))
        client.send(b"no container at all" * 1000)
        client.send(b"")
        client.send(without_picture())
        client.send(bytes(33 * 1024 * 1024))
        client.send(video(3.2)[:-2000])
        client.send(video(3.2, broken=True))
        client.send(video(3.2))
        frames = client.finish()
        assert sorted(errors(frames), key=lambda error: error[1] or 0) == [
            ("ih5006", 1),
            ("ih5004", 2),
            ("ih5004", 3),
            ("ih5001", 4),
            ("ih6002", 5),
            ("ih5004", 6),
            ("ih5004", 7),
        ]
        assert client.close_code() == 1000
    assert eventually(lambda: house.media_left() == 0)


def test_a_message_that_no_segment_may_be_closes_the_connection(house: House) -> None:
    with house.connect() as client:
        client.frame()
        with suppress(OSError):  # it is cut off while it is sent
            client.send(bytes(70 * 1024 * 1024))
        with suppress(OSError):
            assert client.close_code() == 1009
    assert house.answers("/livez")


def test_segments_are_analysed_and_reported_in_the_order_in_which_they_were_sent(
    house: House,
) -> None:
    with house.connect("?session_id=ordered") as client:
        for away in (False, False, False, True, True, True, True):
            client.send(video(3.2, away=away, sleep=0.05))
        frames = client.finish()
    states = [f["data"] for f in frames if f["type"] == "engagement.updated"]
    assert [state["start"] for state in states] == sorted(state["start"] for state in states)
    (recording,) = house.get("/v1/stream/sessions/ordered")["recordings"]
    assert recording["seconds"] == pytest.approx(7 * 3.2, abs=0.3)


def test_a_ping_is_answered_while_analysis_runs(house: House) -> None:
    with house.connect() as client:
        client.frame()
        client.send(video(3.2, sleep=2.0))
        client.connection.ping(b"are you there")
        opcode, data = client.connection.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
        client.finish()


def test_a_client_that_just_goes_leaves_nothing_behind(house: House) -> None:
    with house.connect("?session_id=gone") as client:
        client.frame()
        for _ in range(3):
            client.send(video(3.2, sleep=0.5))
        client.connection.shutdown()
    assert eventually(lambda: house.get("/v1/stream/sessions/gone")["recordings"][0]["ended_at"])
    assert eventually(lambda: house.media_left() == 0)


def test_a_session_that_is_erased_ends_its_stream(house: House) -> None:
    with house.connect("?session_id=erased") as client:
        client.send(video(3.2))
        client.until("session.ready")
        assert house.request("DELETE", "/v1/sessions/erased")[0] == 200
        client.send(video(3.2))
        assert client.until("session.ended")[-1]["data"] == {"reason": "session_erased"}
        assert client.close_code() == 1000
    assert house.request("GET", "/v1/stream/sessions/erased")[0] == 404
    status, body = refusal(house, "?session_id=erased", Authorization=f"Bearer {house.key}")
    assert (status, body["error_id"]) == (410, "ih4022")
    assert eventually(lambda: house.media_left() == 0)


def test_media_in_findings_out_and_an_end_in_good_order(house: House) -> None:
    with house.connect("?session_id=good-order&sdk=1") as client:
        client.send({"include": ["conversation_quality_timeline", "unknown"]})
        frames = client.until("session.updated")
        assert frames[-1]["data"] == {
            "include": ["conversation_quality_timeline"],
            "goal_dimensions": None,
        }
        for _ in range(4):
            client.send(video(3.2))
        frames = client.finish()
        assert "session.closing" in kinds(frames)
        assert frames[-1]["data"] == {"reason": "client_shutdown"}
        assert "engagement.updated" in kinds(frames)
        quality = next(f for f in frames if f["type"] == "conversation_quality.updated")
        assert set(quality["data"]) == {"timeline"}
        assert client.close_code() == 1000
    found = house.get("/v1/stream/sessions/good-order")
    (recording,) = found["recordings"]
    assert recording["seconds"] == pytest.approx(12.8, abs=0.2)
    assert recording["ended_at"]
    assert recording["engagement_state"]
    assert house.media_left() == 0
