"""What a stream does when the house fails it: workers that die, no worker, too much media, the end of the server."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.stream.house import House, eventually, kill, kinds
from tests.stream.scripts import video
from tests.stream.test_socket import errors, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from core.valkey import EmbeddedValkey


@pytest.fixture
def house(tmp_path: Path, valkey: EmbeddedValkey, broker: redis.Redis) -> Iterator[House]:
    """Serve without a worker."""
    settings = {"SUBTEXT_STREAM_BACKLOG_SECONDS": "12", "SUBTEXT_STREAM_ANALYSIS_SECONDS": "5"}
    with House(tmp_path, valkey.url, **settings) as house:
        yield house


def test_what_fails_once_is_analysed_again_and_what_fails_twice_is_said_to_be_lost(
    house: House,
) -> None:
    house.start_worker()
    with house.connect("?session_id=failing") as client:
        client.send(video(3.2, name="once", crash=1))
        client.send(video(3.2, name="twice", crash=2))
        client.send(video(3.2, name="late", hang=1, sleep=60))
        client.send(video(3.2, name="well"))
        frames = client.finish()
    assert errors(frames) == [("ih1001", None)]
    assert len(house.notes("once")) == 2
    assert len(house.notes("twice")) == 2
    assert len(house.notes("late")) == 2
    assert len(house.notes("well")) == 1
    (recording,) = house.get("/v1/stream/sessions/failing")["recordings"]
    assert recording["seconds"] == pytest.approx(12.8, abs=0.3), "what is lost leaves a gap"
    assert eventually(lambda: house.media_left() == 0)


def test_a_segment_whose_worker_is_killed_is_analysed_again_once(house: House) -> None:
    first = house.start_worker()
    with house.connect() as client:
        client.send(video(3.2, name="cut", hang=1, sleep=60))
        assert eventually(lambda: house.notes("cut"))
        kill(first)
        house.start_worker()
        frames = client.finish()
    assert errors(frames) == []
    assert "engagement.updated" in kinds(frames)
    assert len(house.notes("cut")) == 2


def test_media_that_nobody_analyses_stops_the_reading_and_not_the_memory(house: House) -> None:
    padded = (
        video(3.2)
        + b"\0\0\0\x08free"
        + b"".join(
            (len(block) + 8).to_bytes(4) + b"free" + block for block in [bytes(8 * 1024 * 1024)]
        )
    )
    with house.connect() as client:
        client.frame()
        before = house.web_memory()
        sent: list[int] = []

        def push() -> None:
            with suppress(OSError):
                for number in range(40):
                    client.send(padded)
                    sent.append(number)

        pushing = threading.Thread(target=push)
        pushing.start()
        assert eventually(lambda: len(sent) >= 4)
        pushing.join(3)
        stopped_at = len(sent)
        assert stopped_at < 12, "the sender is slowed down"
        assert house.web_memory() - before < 120 * 1024 * 1024
        assert house.answers("/livez")
        house.start_worker()
        pushing.join(60)
        assert len(sent) == 40, "and goes on once there is room"
        frames = client.finish()
        assert errors(frames) == []


def test_without_a_worker_the_first_frame_comes_and_the_end_says_what_is_lost(
    house: House,
) -> None:
    house.environment["SUBTEXT_STREAM_DRAIN_SECONDS"] = "1"
    restart(house)
    with house.connect() as client:
        assert client.frame()["type"] == "session.ready"
        client.send(video(3.2))
        frames = client.finish()
    assert kinds(frames) == ["session.closing", "error", "session.ended"]
    assert errors(frames) == [("ih1001", None)]
    assert eventually(lambda: house.media_left() == 0)


def test_sigterm_lets_streams_end_with_what_they_sent_and_closes_them_with_1001(
    house: House, broker: redis.Redis
) -> None:
    house.start_worker()
    house.await_worker(broker)
    idle = house.connect()
    busy = house.connect("?session_id=busy")
    with idle, busy:
        idle.frame()
        busy.frame()
        busy.send(video(3.2, sleep=1.5, name="busy"))
        assert eventually(lambda: house.notes("busy"))
        assert house.web is not None
        house.web.send_signal(signal.SIGTERM)
        assert idle.until("session.ended")[-1]["data"] == {"reason": "server_shutdown"}
        assert idle.close_code() == 1001
        assert "engagement.updated" in kinds(busy.until("session.ended"))
        assert busy.close_code() == 1001
        assert house.web.wait(20) == 0
    house.start_web()
    (recording,) = house.get("/v1/stream/sessions/busy")["recordings"]
    assert recording["seconds"] == pytest.approx(3.2, abs=0.2)
    assert "Traceback" not in house.log("web")


def test_without_redis_a_stream_is_refused_and_not_begun(house: House) -> None:
    house.environment["REDIS_URL"] = ""
    restart(house)
    status, body = refusal(house, Authorization=f"Bearer {house.key}")
    assert (status, body["error_id"]) == (503, "ih1002")


def test_an_analysis_that_must_be_stopped_does_not_stop_the_worker(house: House) -> None:
    worker = house.start_worker()
    with house.connect() as client:
        client.send(video(3.2, name="hanging", sleep=60))
        client.send(video(3.2, name="after"))
        frames = client.finish()
    assert errors(frames) == [("ih1001", None)]
    assert house.notes("after") == [str(worker.pid)]
    os.kill(worker.pid, 0)


def restart(house: House) -> None:
    """Serve with other settings."""
    assert house.web is not None
    house.web.terminate()
    house.web.wait(30)
    house.start_web()
