"""What holds for streams: how many, how long, from where, how much; on a server with narrow limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
import websocket

from tests.stream.house import House, eventually, kinds
from tests.stream.scripts import video
from tests.stream.test_socket import errors, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.valkey import EmbeddedValkey

NARROW = {
    "SUBTEXT_STREAM_MAX_SOCKETS": "3",
    "SUBTEXT_STREAM_MAX_PER_ACCOUNT": "2",
    "SUBTEXT_STREAM_IDLE_SECONDS": "3",
    "SUBTEXT_STREAM_MAX_SECONDS": "6",
    "SUBTEXT_STREAM_ORIGINS": "https://app.example.com",
    "SUBTEXT_STREAM_DAILY_SECONDS": "10",
    "SUBTEXT_WEB_THREADS": "2",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedValkey) -> Iterator[House]:
    with redis.Redis.from_url(valkey.url) as broker:
        broker.flushall()
        with House(tmp_path_factory.mktemp("narrow"), valkey.url, **NARROW) as house:
            house.start_worker()
            house.await_worker(broker)
            yield house


def account(house: House) -> dict[str, str]:
    """Return the headers of an account of its own."""
    key = house.flask("keys", "create", "--name", "Another").split()[-1]
    return {"Authorization": f"Bearer {key}"}


def test_a_third_stream_of_an_account_and_a_fourth_of_all_are_refused_and_http_goes_on(
    house: House,
) -> None:
    first, second = account(house), account(house)
    with house.connect(header=first) as one, house.connect(header=first) as two:
        one.frame()
        two.frame()
        status, body = refusal(house, **first)
        assert (status, body["error_id"]) == (429, "ih3002")
        with house.connect(header=second) as three:
            three.frame()
            status, body = refusal(house, **second)
            assert (status, body["error_id"]) == (503, "ih1002")
            assert house.answers("/livez")
            assert house.request("POST", "/v1/upload/analyze", b"")[0] == 503

    def has_room() -> bool:
        try:
            with house.connect(header=first) as client:
                return bool(client.frame()["type"] == "session.ready")
        except websocket.WebSocketException:
            return False

    assert eventually(has_room), "a stream that is over makes room"


def test_pages_of_other_origins_are_refused(house: House) -> None:
    headers = account(house)
    status, body = refusal(house, Origin="https://evil.example", **headers)
    assert (status, body["error_id"]) == (403, "ih2003")
    with house.connect(header=headers, origin="https://app.example.com") as client:
        assert client.frame()["type"] == "session.ready"


def test_media_over_the_days_seconds_is_refused_in_streams_and_uploads(house: House) -> None:
    with house.connect(header=account(house)) as client:
        for _ in range(4):
            client.send(video(3.2))
        frames = client.finish()
        assert errors(frames) == [("ih3003", 4)]


def test_a_stream_in_which_nothing_is_said_ends(house: House) -> None:
    with house.connect(header=account(house)) as client:
        ready = client.frame()
        assert ready["data"]["session_idle_timeout_seconds"] == 3
        frames = client.until("session.ended")
        assert kinds(frames) == ["error", "session.ended"]
        assert errors(frames) == [("ih6003", None)]
        assert client.close_code() == 1000


def test_a_stream_that_lasts_too_long_ends_and_what_was_sent_is_analysed(house: House) -> None:
    with house.connect("?session_id=long", header=(headers := account(house))) as client:
        client.send(video(3.2, sleep=2.0, name="long"))
        client.connection.settimeout(1.0)
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] != "session.ended":
            try:
                frames.append(client.frame())
            except websocket.WebSocketTimeoutException:
                client.send({})
        assert errors(frames) == [("ih6004", None)]
        assert frames[-1]["data"] == {"reason": "max_duration"}
        client.connection.settimeout(10.0)
        assert client.close_code() == 1000
    (recording,) = house.request(
        "GET", "/v1/stream/sessions/long", Authorization=headers["Authorization"]
    )[1]["recordings"]
    assert recording["seconds"] == pytest.approx(3.2, abs=0.2)
