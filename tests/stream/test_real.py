"""Real video through a real server and the analysis that comes with it: containers, framings, hostile media."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from plugins.stream.analysis.containers import split_init
from tests.stream.house import House
from tests.stream.media import CONTAINERS, encode, looped, moving, needs_faces, smiling, speech
from tests.stream.test_socket import errors
from tests.stream.test_upload import upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.valkey import EmbeddedValkey

SECONDS = 12.0
FPS = 30


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedValkey) -> Iterator[House]:
    with redis.Redis.from_url(valkey.url) as broker:
        broker.flushall()
        settings = {"SUBTEXT_STREAM_ANALYZER": "builtin"}
        with House(tmp_path_factory.mktemp("real"), valkey.url, **settings) as house:
            house.start_worker()
            house.await_worker(broker)
            yield house


def stream(house: House, session: str, messages: list[bytes]) -> dict[str, Any]:
    """Send messages as one stream and return the recording."""
    with house.connect(f"?session_id={session}") as client:
        for message in messages:
            client.send(message)
        assert errors(client.finish()) == []
    recording: dict[str, Any] = house.get(f"/v1/stream/sessions/{session}")["recordings"][-1]
    return recording


def clip(seconds: float) -> tuple[Any, Any]:
    """Return pictures of a smiling face and a voice."""
    return looped(smiling(), seconds), speech(seconds)


@needs_faces
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_tells_the_same(house: House, container: str) -> None:
    status, found, _ = upload(house, encode(container, *clip(6.0)), "conversation_quality_overall")
    assert status == 200, found
    (state,) = found["engagement_state"]
    assert state["state"] == "engaged"
    assert state["end"] == pytest.approx(6.0, abs=0.25)
    assert found["conversation_quality"]["overall"]["rapport"] > 55, "somebody smiles"


@needs_faces
def test_the_four_framings_tell_the_same(house: House) -> None:
    whole = encode("live webm", *clip(SECONDS), keys=3 * FPS)
    header, media = split_init(whole)
    cut = [media[len(media) * n // 4 : len(media) * (n + 1) // 4] for n in range(4)]
    framings = {
        "files": [encode("mp4", *clip(3.0)) for _ in range(4)],
        "slices": [header + cut[0], *cut[1:]],
        "prepended": [header + part for part in clusters(media, 4)],
        "whole": [whole],
    }
    found = {name: stream(house, f"framing-{name}", each) for name, each in framings.items()}
    for name, recording in found.items():
        assert recording["seconds"] == pytest.approx(SECONDS, abs=0.5), name
        states = [state["state"] for state in recording["engagement_state"]]
        assert states == ["engaged"], name
        quality = recording["conversation_quality"]["overall"]
        expected = found["whole"]["conversation_quality"]["overall"]
        assert quality == pytest.approx(expected, abs=8), name


def clusters(media: bytes, count: int) -> list[bytes]:
    """Cut the media of a WebM at the beginnings of clusters."""
    mark = b"\x1f\x43\xb6\x75"
    parts = [mark + part for part in media.split(mark)[1:]]
    size = -(-len(parts) // count)
    return [b"".join(parts[at : at + size]) for at in range(0, len(parts), size)]


def test_a_picture_without_a_face_engages_nobody(house: House) -> None:
    file = encode("mp4", moving(SECONDS))
    status, found, _ = upload(house, file)
    assert status == 200, found
    assert "engaged" not in {state["state"] for state in found["engagement_state"]}
    assert not {signal["type"] for signal in found["signals"]} - {"disengagement"}


def test_hostile_media_costs_an_error_each_and_nothing_else(house: House) -> None:
    good = encode("mp4", moving(3.2))
    hostile = [
        good[: len(good) // 2],
        b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:1/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        good[:64] + bytes(200_000),
        b"\x1a\x45\xdf\xa3" + bytes(100_000),
    ]
    before = house.web_memory()
    started = time.monotonic()
    with house.connect() as client:
        for media in [*hostile, good]:
            client.send(media)
        frames = client.finish()
    codes = errors(frames)
    assert sorted(segment or 0 for _, segment in codes) == [1, 2, 3, 4, 5]
    assert {code for code, _ in codes} <= {"ih5004", "ih5001", "ih5006"}
    assert time.monotonic() - started < 30
    assert house.web_memory() - before < 64 * 1024 * 1024
