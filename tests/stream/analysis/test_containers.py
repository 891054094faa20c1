"""Containers are known by their bytes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.stream.analysis.containers import has_header, sniff, split_init
from tests.stream.media import CONTAINERS, encode, moving

DEMUXERS = {"mp4": "mov", "fragmented mp4": "mov", "mov": "mov", "webm": "matroska"} | {
    "live webm": "matroska",
    "mkv": "matroska",
    "avi": "avi",
    "mpeg-ts": "mpegts",
    "m2ts": "mpegts",
}


@pytest.fixture(scope="module", params=CONTAINERS)
def container(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    return request.param, encode(request.param, moving(0.5))


def test_every_container_is_known_by_its_first_bytes(container: tuple[str, bytes]) -> None:
    name, data = container
    assert sniff(data) == DEMUXERS[name]
    assert has_header(data)


def test_a_header_and_its_media_are_the_file_again(container: tuple[str, bytes]) -> None:
    name, data = container
    header, media = split_init(data)
    assert header + media == data
    assert bool(header) == (name in {"fragmented mp4", "webm", "live webm", "mkv"})
    if header:
        assert media[:4] == b"\x1f\x43\xb6\x75" or media[4:8] == b"moof"


@pytest.mark.parametrize("name", ["mpeg-ts", "m2ts"])
@pytest.mark.parametrize("cut", [1, 4, 100, 187, 191])
def test_a_transport_stream_may_begin_within_a_packet(name: str, cut: int) -> None:
    assert sniff(encode(name, moving(0.5))[cut:]) == "mpegts"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:3\nhttp://127.0.0.1/a.ts\n",
        b"ffconcat version 1.0\nfile http://127.0.0.1/a.mp4\n",
        b"<?xml version='1.0'?><MPD/>",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"\xff\xd8\xff\xe0 a picture",
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.7",
        b"G" + b"\x00" * 187,
        b"\x00\x00\x00\x02ftypisom",
    ],
)
def test_anything_else_is_no_container(data: bytes) -> None:
    assert sniff(data) is None
    assert not has_header(data)


@given(st.binary(max_size=4096))
def test_no_bytes_break_it(data: bytes) -> None:
    for prefix in (b"", b"\x1a\x45\xdf\xa3", b"\x00\x00\x00\x18ftypisom", b"\x00\x00\x00\x00moov"):
        sniff(prefix + data)
        has_header(prefix + data)
        header, media = split_init(prefix + data)
        assert header + media == prefix + data
