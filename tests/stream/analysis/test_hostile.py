"""Media that means harm gets its typed error, and the process that asked neither stops, grows nor calls anybody."""

from __future__ import annotations

import io
import math
import random
import socket
import struct
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from plugins.stream.analysis import errors
from plugins.stream.analysis.child import AnalysisChild
from plugins.stream.analysis.decode import Decoder, Limits, probe
from plugins.stream.analysis.errors import NoVideo, Unreadable
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from plugins.stream.analysis.sound import SoundTrack
from tests.stream.media import CONTAINERS, encode, moving, speech

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugins.stream.analysis.observations import Observations

pytestmark = pytest.mark.skipif(
    not is_installed(FACE_LANDMARKER), reason=f"no face model: {FACE_LANDMARKER.install}"
)
#: Seconds in which everything here has its answer; the process is killed after that, and the test fails.
DEADLINE = 45.0
#: Bytes by which the process that asks may grow by one segment.
GROWTH = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def child() -> Iterator[AnalysisChild]:
    with AnalysisChild(options={"words": False}) as child:
        yield child


def judge(child: AnalysisChild, data: bytes) -> Observations | None:
    """Return what is seen, None for the error of media; the process has to survive it."""
    pid, process = child.pid, psutil.Process()
    before = process.memory_info().rss
    try:
        seen = child.analyze(data, DEADLINE)
    except (Unreadable, NoVideo):
        seen = None
    assert child.pid == pid
    with suppress(Unreadable, NoVideo):
        assert math.isfinite(probe(data).duration)
    assert process.memory_info().rss - before < GROWTH
    if seen is not None:
        assert 0 < seen.duration < 3600
        assert all(0 <= at <= seen.duration + 0.1 for at in seen.sampled)
    return seen


def refuse(child: AnalysisChild, data: bytes) -> None:
    assert judge(child, data) is None


@pytest.mark.parametrize("name", CONTAINERS)
def test_truncated_media(child: AnalysisChild, name: str) -> None:
    data = encode(name, moving(3), speech(3))
    for share in (0.001, 0.02, 0.1, 0.5, 0.9, 0.999):
        judge(child, data[: int(len(data) * share)])
        judge(child, data[int(len(data) * share) :])


@pytest.mark.parametrize("name", CONTAINERS)
def test_fuzzed_media(child: AnalysisChild, name: str) -> None:
    original = encode(name, moving(3), speech(3))
    choice = random.Random(name)  # noqa: S311 - the same lies each time
    for round_ in range(12):
        data = bytearray(original)
        # The header first: that is where lies are told.
        end = 2000 if round_ % 2 else len(data)
        for _ in range(choice.choice((3, 30, 300))):
            data[choice.randrange(8, end)] = choice.choice(
                (0, 0x7F, 0x80, 0xFF, choice.randrange(256))
            )
        judge(child, bytes(data))


@pytest.mark.parametrize(
    "magic",
    [
        b"",
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff",
        b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xffhdrl",
        b"\x00\x00\x00\x20ftypisom",
        b"\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\x00\x00\x00moov",
        (b"G" + b"\x1f" * 187) * 6,
    ],
)
def test_noise_behind_the_magic_of_a_container(child: AnalysisChild, magic: bytes) -> None:
    for seed in range(4):
        refuse(child, magic + np.random.default_rng(seed).bytes(100_000))


@pytest.mark.parametrize("name", ["webm", "avi"])
def test_a_picture_of_16000_by_12000_in_a_stream_that_says_it_is_small(
    child: AnalysisChild, name: str
) -> None:
    if name == "webm":
        data = encode("webm", moving(3))
        # RFC 6386, section 9.1: the start code of a key frame, then width and height.
        large = data.replace(
            b"\x9d\x01\x2a" + struct.pack("<HH", 160, 120),
            b"\x9d\x01\x2a" + struct.pack("<HH", 16_000, 12_000),
        )
    else:
        data = encode("avi", moving(3), codec="mjpeg")
        # ITU-T T.81, B.2.2: the frame header of a baseline JPEG.
        large = data.replace(
            b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 120, 160),
            b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 12_000, 16_000),
        )
    assert large != data
    assert judge(child, data) is not None
    refuse(child, large)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_nothing_that_names_an_address_is_followed(
    child: AnalysisChild, listener: socket.socket
) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp4".encode()
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n" + address + b"\n#EXT-X-ENDLIST\n"
    reference = box(
        b"rmda",
        box(b"rdrf", b"\x00" * 4, b"url ", struct.pack(">I", len(address) + 1), address, b"\x00"),
    )
    brand = box(b"ftyp", b"qt  ", b"\x00" * 4, b"qt  ")
    movie = encode("mov", moving(3))
    entry = box(b"url ", b"\x00\x00\x00\x00", address, b"\x00")
    elsewhere = movie.replace(b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00")
    for data in (
        playlist,
        b"ffconcat version 1.0\nfile '" + address + b"'\n",
        b"<?xml version='1.0'?><MPD><BaseURL>" + address + b"</BaseURL></MPD>",
        b"v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        brand + box(b"moov", box(b"rmra", reference)),
        brand + box(b"moov", box(b"dinf", box(b"dref", b"\x00" * 7 + b"\x01", entry))),
        brand + playlist,
        box(b"free", playlist) + playlist,
    ):
        refuse(child, data)
    judge(child, elsewhere)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_polyglots_are_what_their_first_bytes_say(child: AnalysisChild) -> None:
    webm = encode("webm", moving(3))
    page = b"<script>alert(1)</script>#EXTM3U\nfile:///etc/passwd\n"
    seen = judge(child, webm + page)
    assert seen is not None
    assert seen.duration == pytest.approx(3, abs=0.2)
    refuse(child, page + webm)
    refuse(child, b"\x89PNG\r\n\x1a\n" + webm)


def test_zero_frames_a_second(child: AnalysisChild) -> None:
    avi = encode("avi", moving(3))
    for rate, scale in ((0, 1), (1, 0), (0, 0), (0xFFFFFFFF, 1), (1, 0xFFFFFFFF)):
        data = bytearray(avi)
        struct.pack_into("<II", data, avi.index(b"vids") + 20, scale, rate)
        judge(child, bytes(data))
    mp4 = encode("mp4", moving(3))
    media_header = mp4.index(b"mdhd")
    for timescale in (0, 1, 0xFFFFFFFF):
        data = bytearray(mp4)
        struct.pack_into(">I", data, media_header + 16, timescale)
        judge(child, bytes(data))
    times = mp4.index(b"stts")
    data = bytearray(mp4)
    struct.pack_into(">I", data, times + 16, 0)
    judge(child, bytes(data))


def repeated(size: tuple[int, int], frames: int, tick: Fraction, repeats: int) -> bytes:
    """Return a few encoded grey pictures muxed again and again, one each `tick` seconds."""
    buffer = io.BytesIO()
    stream: Any
    grey = np.full((size[1], size[0], 3), 90, np.uint8)
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "scenecut=0"}
        packets = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(grey, "rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode(None)
        bodies = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for number in range(frames * repeats):
            body, key = bodies[number % len(bodies)]
            packet = av.Packet(body)
            packet.stream, packet.is_keyframe, packet.time_base = stream, key, tick
            packet.pts = packet.dts = number
            output.mux(packet)
    return buffer.getvalue()


def test_an_hour_of_pictures_in_a_second(child: AnalysisChild) -> None:
    # 30 a second for an hour are 108,000; a clock that counts microseconds puts them into a tenth.
    data = repeated((64, 64), 10, Fraction(1, 1_000_000), 10_800)
    refuse(child, data)


def test_an_hour_claimed_by_a_second(child: AnalysisChild) -> None:
    mp4 = bytearray(encode("mp4", moving(1)))
    for head, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = mp4.index(head) + place
        struct.pack_into(">I", mp4, at, 0x7FFFFFFF)
    seen = judge(child, bytes(mp4))
    assert seen is None or seen.duration < 2
    assert probe(bytes(mp4)).duration < 2


def test_ten_gigabytes_from_less_than_ten_megabytes(child: AnalysisChild) -> None:
    data = repeated((3840, 2160), 10, Fraction(1, 30), 84)
    assert len(data) < 10_000_000
    assert 840 * 3840 * 2160 * 3 // 2 > 10_000_000_000
    assert child.pid is not None
    process = psutil.Process(child.pid)
    judge(child, data)
    assert process.memory_info().rss < 512 * 1024 * 1024
    with (
        pytest.raises(Unreadable, match="too many pixels"),
        Decoder(data, limits=Limits(decoded_pixels=50 * 3840 * 2160)) as decoder,
    ):
        for _ in decoder.frames():
            pass


def test_hundreds_of_streams(child: AnalysisChild) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        streams: list[Any] = [output.add_stream("mpeg4", rate=10) for _ in range(100)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number, picture in enumerate(moving(3, 10, (64, 64))):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts = number
                for packet in stream.encode(frame):
                    output.mux(packet)
    judge(child, buffer.getvalue())


def test_a_codec_that_no_camera_writes_is_not_decoded(child: AnalysisChild) -> None:
    data = encode("mkv", moving(3), codec="ffv1")
    with pytest.raises(Unreadable, match="ffv1"):
        child.analyze(data, DEADLINE)


@pytest.mark.parametrize("rate", [1, 100, 2_000_000])
def test_sound_of_an_impossible_rate(rate: int) -> None:
    track = SoundTrack(60, Limits().samples)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "flt", "mono")
    frame.sample_rate = rate
    with pytest.raises(Unreadable):
        track.add(frame)


def test_sound_with_a_gap_of_a_year_fills_no_memory() -> None:
    track = SoundTrack(10, Limits().samples)
    for pts in (0, 16_000 * 31_536_000):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, pts, Fraction(1, 16_000)
        track.add(frame)
    assert len(track.samples(0)) <= 10 * 16_000
    assert len(track.samples(-1e9)) <= 20 * 16_000


def test_every_error_of_media_has_a_code_of_the_contract() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AnalysisError)
    ]
    assert {kind.code for kind in kinds} == {"ih1001", "ih5001", "ih5004"}
