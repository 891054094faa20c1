"""Media that name other media: files of this machine, and addresses of others."""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

from tests.stream.analysis.test_hostile import box
from tests.stream.media import CONTAINERS, encode, moving, speech

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Where nobody listens; who asks there is seen asking.
ELSEWHERE = (
    b"http://127.0.0.1:9/a.mp4",
    b"tcp://127.0.0.1:9",
    b"udp://127.0.0.1:9",
    b"rtsp://127.0.0.1:9/a",
)


@cache
def good() -> dict[str, bytes]:
    """Return a second in every container."""
    return {name: encode(name, moving(1, 10), speech(1), fps=10) for name in CONTAINERS}


def hostile(secret: Path) -> Iterator[bytes]:
    """Yield media that name a file which is none of theirs, and addresses."""
    file = str(secret).encode()
    for target in (file, b"file:" + file, b"file://" + file, b"concat:" + file, b"data:video/mp4;base64,AAAA",
                   b"subfile,,start,0,end,9,,:" + file, b"crypto:" + file, b"pipe:0", *ELSEWHERE):  # fmt: skip
        yield from naming(target)
    mov = good()["mov"]
    # The media of a track is in another file: a reference of ISO/IEC 14496-12, 8.7.2 without the flag "here".
    yield mov.replace(b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00")
    yield mov.replace(b"url \x00\x00\x00\x01", b"alis\x00\x00\x00\x00")
    mkv = good()["mkv"]
    yield mkv.replace(b"V_MPEG4/ISO/AVC", b"V_UNCOMPRESSED\0", 1)
    yield mkv.replace(b"matroska", b"webm\0\0\0\0", 1)
    mp4 = good()["mp4"]
    for width, height in ((16_000, 12_000), (65_535, 65_535), (0, 0)):
        huge = bytearray(mp4)
        at = mp4.index(b"avc1") + 28
        struct.pack_into(">HH", huge, at, width, height)
        yield bytes(huge)
    for data in good().values():
        yield data[: len(data) // 2]
        yield data + b"#EXTM3U\nfile://" + file + b"\n"


def naming(target: bytes) -> Iterator[bytes]:
    """Yield everything that can name a target and that somebody might take for media."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n" + target + b"\n#EXT-X-ENDLIST\n"
    keyed = playlist.replace(
        b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="' + target + b'"\n#EXTINF'
    )
    brand = box(b"ftyp", b"qt  ", b"\x00" * 4, b"qt  ")
    length = struct.pack(">I", len(target) + 1)
    reference = box(b"rmda", box(b"rdrf", b"\x00" * 4, b"url ", length, target, b"\x00"))
    entry = box(b"url ", b"\x00\x00\x00\x00", target, b"\x00")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="' + target + b'"/></svg>'
    yield playlist
    yield keyed
    yield b"ffconcat version 1.0\nfile '" + target + b"'\n"
    yield b"<?xml version='1.0'?><MPD><BaseURL>" + target + b"</BaseURL></MPD>"
    yield b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM '" + target + b"'>]><x>&e;</x>"
    yield svg
    yield b"v=0\nc=IN IP4 127.0.0.1\na=control:" + target + b"\nm=video 5004 RTP/AVP 96\n"
    yield b"[playlist]\nFile1=" + target + b"\n"
    yield b"RTSPtextRTSP://" + target
    yield b"WEBVTT\n\n00:00.000 --> 00:09.000\n" + target + b"\n"
    yield b"1\n00:00:00,000 --> 00:00:09,000\n" + target + b"\n"
    yield b"[Script Info]\nVideo File: " + target + b"\n[Events]\n"
    yield brand + box(b"moov", box(b"rmra", reference))
    yield brand + box(b"moov", box(b"dinf", box(b"dref", b"\x00" * 7 + b"\x01", entry)))
    yield brand + playlist
    yield b"\x1a\x45\xdf\xa3" + playlist
    yield b"RIFF\xff\xff\xff\xffAVI " + playlist
    yield (b"G" + playlist.ljust(187)) * 6
