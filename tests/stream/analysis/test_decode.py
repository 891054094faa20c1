"""The same pictures and sound come out of every container, on one clock, and never more than the limits say."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from plugins.stream.analysis.decode import Decoder, Limits, probe
from plugins.stream.analysis.errors import NotAContainer, NoVideo, TooLong, Unreadable
from tests.stream.media import CONTAINERS, RATE, encode, moving, needs_faces, real, silence, tone

if TYPE_CHECKING:
    from tests.stream.media import Picture, Sound

SECONDS = 3.0


def decode(
    data: bytes, **options: object
) -> tuple[list[float], list[Picture], Sound | None, float]:
    with Decoder(data, **options) as decoder:  # type: ignore[arg-type]
        frames = list(decoder.frames())
        samples, duration = decoder.samples, decoder.duration
    return [at for at, _ in frames], [picture for _, picture in frames], samples, duration


def beep() -> Sound:
    """Two seconds of silence, then a second of sound."""
    return np.concatenate((silence(2), tone(300, 1)))


@pytest.fixture(scope="module", params=CONTAINERS)
def container(request: pytest.FixtureRequest) -> bytes:
    return encode(request.param, moving(SECONDS), beep())


def test_every_container_gives_the_same_pictures(container: bytes) -> None:
    times, pictures, _, duration = decode(container)
    assert duration == pytest.approx(SECONDS, abs=0.1)
    assert len(times) in {30, 31}
    assert times[:29] == pytest.approx([number / 10 for number in range(29)], abs=0.02)
    wanted = list(moving(SECONDS))[::3]
    for picture, original in zip(pictures[:29], wanted[:29], strict=True):
        assert picture.shape == original.shape
        assert np.abs(picture.astype(int) - original).mean() < 8


def test_every_container_gives_the_same_sound_at_its_time(container: bytes) -> None:
    _, _, samples, _ = decode(container)
    assert samples is not None
    assert len(samples) / RATE == pytest.approx(SECONDS, abs=0.1)
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    assert loud[0] / RATE == pytest.approx(2.0, abs=0.07)


def test_a_probe_says_what_decoding_says(container: bytes) -> None:
    found = probe(container)
    assert found.duration == pytest.approx(SECONDS, abs=0.12)
    assert (found.has_video, found.has_audio) == (True, True)


@pytest.mark.parametrize("fps", [8, 10, 12, 15, 24, 25, 30, 50, 60])
def test_ten_pictures_a_second_are_taken_evenly(fps: int) -> None:
    times, _, _, _ = decode(encode("mp4", moving(4, fps), fps=fps))
    assert len(times) == min(40, 4 * fps)
    assert np.diff(times).max() <= 2 / min(fps, 10)


def test_large_pictures_are_made_smaller_and_keep_their_shape() -> None:
    _, pictures, _, _ = decode(encode("mp4", moving(0.4, size=(1280, 720))))
    assert pictures[0].shape == (360, 640, 3)


def test_what_lies_before_the_start_is_not_seen_and_not_heard() -> None:
    times, pictures, samples, duration = decode(encode("webm", moving(SECONDS), beep()), start=1.0)
    assert duration == pytest.approx(2.0, abs=0.1)
    assert times[0] == pytest.approx(0, abs=0.02)
    assert len(times) == 20
    assert np.abs(pictures[0].astype(int) - list(moving(SECONDS))[30]).mean() < 8
    assert samples is not None
    assert np.flatnonzero(np.abs(samples) > 0.1)[0] / RATE == pytest.approx(1.0, abs=0.07)
    assert probe(encode("webm", moving(SECONDS)), start=1.0).duration == pytest.approx(2.0, abs=0.1)


def test_what_is_switched_off_is_not_decoded() -> None:
    data = encode("mp4", moving(SECONDS), beep())
    times, _, samples, duration = decode(data, pictures=False)
    assert times == []
    assert samples is not None
    assert duration == pytest.approx(SECONDS, abs=0.1)
    times, _, samples, duration = decode(data, sound=False)
    assert len(times) == 30
    assert samples is None
    assert duration == pytest.approx(SECONDS, abs=0.1)


def test_media_without_sound_has_none() -> None:
    data = encode("mp4", moving(SECONDS))
    assert decode(data)[2] is None
    assert probe(data).has_audio is False


def sound_only(muxer: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    stream: Any
    with av.open(buffer, "w", format=muxer) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("muxer", "codec"), [("mp4", "aac"), ("matroska", "aac"), ("mpegts", "aac")]
)
def test_media_without_pictures_says_so(muxer: str, codec: str) -> None:
    data = sound_only(muxer, codec)
    with pytest.raises(NoVideo) as caught:
        decode(data)
    assert caught.value.code == "ih5001"
    assert probe(data).has_video is False


@pytest.mark.parametrize("data", [b"", b"hello", b"#EXTM3U", b"\x00" * 5000])
def test_what_is_no_container_says_so(data: bytes) -> None:
    for read in (decode, probe):
        with pytest.raises(NotAContainer) as caught:
            read(data)
        assert caught.value.code == "ih5004"


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.95])
def test_truncated_media_gives_what_is_there_or_an_error(name: str, share: float) -> None:
    data = encode(name, moving(SECONDS), beep())
    try:
        times, _, _, duration = decode(data[: int(len(data) * share)])
    except (Unreadable, NoVideo):
        return
    assert 0 < len(times) <= 31
    assert 0 < duration <= SECONDS + 0.1


def test_media_that_lasts_too_long_says_so() -> None:
    data = encode("mp4", moving(4))
    with pytest.raises(TooLong):
        decode(data, limits=Limits(seconds=3))
    assert decode(data, limits=Limits(seconds=5))[0]


def remuxed(times: list[float], size: tuple[int, int] = (64, 64)) -> bytes:
    """Return pictures that are shown at these times."""
    buffer = io.BytesIO()
    stream: Any
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = 1
        for at, picture in zip(times, moving(len(times), 1, size), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return buffer.getvalue()


def test_a_clock_that_jumps_an_hour_is_refused() -> None:
    with pytest.raises(Unreadable, match="jumps"):
        decode(remuxed([0, 0.1, 0.2, 3600.0, 3600.1]))


def test_more_pictures_a_second_than_any_camera_takes_are_refused() -> None:
    with pytest.raises(Unreadable, match="frames a second"):
        decode(remuxed([number / 1000 for number in range(600)]))


def test_irregular_pictures_are_taken_as_they_come() -> None:
    times, _, _, duration = decode(remuxed([0, 0.5, 0.6, 2.0, 2.01, 2.9]))
    assert times == pytest.approx([0, 0.5, 0.6, 2.0, 2.9])
    assert duration == pytest.approx(2.9, abs=0.7)


@needs_faces
def test_a_phone_held_upright_gives_upright_pictures() -> None:
    with av.open(io.BytesIO(real("face_noface.mov")), "r") as container:
        turned = next(container.decode(video=0)).rotation
    _, pictures, _, _ = decode(real("face_noface.mov"))
    assert (pictures[0].shape[0] > pictures[0].shape[1]) == (turned % 180 == 90)
