"""Decode media from memory into sampled pictures and sound, and never more of it than the limits say.

FFmpeg reads bytes only: the demuxer is forced by the container's magic number, no protocol is allowed, nothing is
decoded to find out what a stream is, and only the codecs below are decoded at all.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import Interpolation

from plugins.stream.analysis.containers import sniff
from plugins.stream.analysis.errors import NotAContainer, NoVideo, TooLong, Unreadable
from plugins.stream.analysis.sound import SoundTrack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

#: Codecs that phones, browsers and cameras write; each further one is a parser for hostile bytes.
VIDEO_CODECS = frozenset({
    "av1", "h263", "h264", "hevc", "libdav1d", "libvpx", "libvpx-vp9", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4",
    "msmpeg4", "msmpeg4v2", "msmpeg4v3", "theora", "vp8", "vp9",
})  # fmt: skip
AUDIO_CODECS = frozenset({
    "aac", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "libopus", "mp1", "mp1float", "mp2", "mp2float", "mp3",
    "mp3float", "opus", "pcm_alaw", "pcm_f32le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24le", "pcm_s32le",
    "pcm_u8", "vorbis",
})  # fmt: skip
#: Pictures with a side of fewer pixels show no face, and scalers fail on them.
_SMALLEST_SIDE = 16
#: What demuxing raises on broken media; IndexError when a stream appears after the first packets.
_DEMUXING = (FFmpegError, ValueError, IndexError)
#: Packets that may fail to decode one after another before the media counts as broken past use.
_FAILURES = 300
#: Seconds by which the clock of a container may round (a millisecond in WebM).
_ROUNDING = 0.001
#: Share of the time between two wanted pictures by which one may come early, at most half the time between two of
#: the video's: of 30 a second, by a rounded clock, every third is wanted.
_EARLY = 0.25
#: Seconds of a picture where nothing tells: two are needed to know.
_ASSUMED_FRAME = 1 / 25


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one segment may cost.

    `pixels` of a picture; `decoded_pixels` of all pictures together (4K at 30 frames a second for 80 s,
    640 x 480 for 36 min);
    `frame_rate` in frames a second, with `spare_frames` on top; `seconds` of media; `gap` in seconds between two
    pictures, more is a broken clock; `streams` in the container; `samples` is the range of sound rates in Hz.
    """

    pixels: int = 3840 * 2160
    decoded_pixels: int = 3840 * 2160 * 30 * 80
    frame_rate: float = 240.0
    spare_frames: int = 240
    seconds: float = 1800.0
    gap: float = 60.0
    streams: int = 8
    samples: tuple[int, int] = (4_000, 384_000)


@dataclass(frozen=True, slots=True)
class Probe:
    """Say what a demuxer can tell without decoding: `duration` in seconds, from the clocks of the packets."""

    duration: float
    has_video: bool
    has_audio: bool


@dataclass(slots=True)
class _Clock:
    """Follow the pictures' clock, whose zero is the first picture or a place that was given."""

    limits: Limits
    start: float | None
    frames: int = 0
    last: float = 0.0
    pixels: int = 0
    first: float | None = None

    def see(self, at: float | None, width: int, height: int) -> float:
        """Return a picture's time in seconds; raises Unreadable when limits are passed."""
        limits = self.limits
        self.frames += 1
        self.pixels += width * height
        if width * height > limits.pixels or min(width, height) < _SMALLEST_SIDE:
            raise Unreadable(f"A picture has {width} x {height} pixels, which is not taken.")
        if self.pixels > limits.decoded_pixels:
            raise Unreadable("The video has too many pixels for one segment.")
        if at is None:
            at = self.last + (self.start or 0.0) + _ASSUMED_FRAME
        if self.start is None:
            self.start = at
        at -= self.start
        if self.first is None:
            self.first = at
        elif abs(at - self.last) > limits.gap:
            raise Unreadable("The clock of the video jumps.")
        span = max(at, self.last) - self.first
        if span > limits.seconds:
            raise TooLong(f"A segment may have {limits.seconds:g} seconds.")
        if self.frames > limits.frame_rate * span + limits.spare_frames:
            raise Unreadable(f"The video has more than {limits.frame_rate:g} frames a second.")
        self.last = max(at, self.last)
        return at

    @property
    def taken(self) -> float:
        """Return the seconds from one picture to the next, in the mean."""
        if self.first is None or self.frames < 2:  # noqa: PLR2004 - pictures
            return _ASSUMED_FRAME
        return (self.last - self.first) / (self.frames - 1)

    @property
    def end(self) -> float:
        """Return where the last picture ends, after as long as the others took."""
        return 0.0 if self.first is None else self.last + self.taken


@dataclass(slots=True)
class Decoder:
    """Decode one segment; a context manager.

    `start` is where on the media's own clock observation begins (`framing.Segment.start`), `rate` how many pictures
    a second are wanted, `side` the longest side of a picture in pixels. `pictures` off decodes no video, `sound`
    off no audio. After `frames` ended, `duration`, `samples`, `truncated` and `details` say the rest.

    Raises NotAContainer, Unreadable (also TooLong) and NoVideo, on entry or while frames are read.
    """

    data: bytes
    start: float | None = None
    rate: float = 10.0
    side: int = 640
    pictures: bool = True
    sound: bool = True
    limits: Limits = field(default_factory=Limits)
    truncated: bool = False
    failures: int = 0
    _container: Any = None
    _video: Any = None
    _audio: Any = None
    _clock: _Clock = field(init=False)
    _track: SoundTrack | None = None

    def __enter__(self) -> Self:
        self._container = _open(self.data, self.limits)
        try:
            self._video, audio = _streams(self._container)
            self._audio = audio if self.sound else None
        except BaseException:
            self._container.close()
            raise
        context = self._video.codec_context
        context.thread_count = 1
        context.options = {"max_pixels": str(self.limits.pixels)}
        self._clock = _Clock(self.limits, self.start)
        if self._audio is not None:
            self._audio.codec_context.thread_count = 1
            self._track = SoundTrack(self.limits.seconds, self.limits.samples)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    @property
    def expected(self) -> float:
        """Return the duration that the container claims, in seconds; 0 where it claims none."""
        return float(self._container.duration or 0) / float(av.time_base)

    @property
    def duration(self) -> float:
        """Return the seconds from the first picture to the end of the media."""
        heard = self._track.seconds(self._clock.start) if self._track else 0.0
        return max(self._clock.end, heard, 0.0)

    @property
    def samples(self) -> NDArray[np.float32] | None:
        """Return the sound, 16 kHz mono, from the first picture on; None without an audio stream."""
        return self._track.samples(self._clock.start) if self._track else None

    @property
    def details(self) -> dict[str, Any]:
        """Return what logs want to know of the media."""
        context = self._video.codec_context
        return {
            "container": sniff(self.data),
            "video": context.name,
            "audio": self._audio.codec_context.name if self._audio is not None else None,
            "width": context.width,
            "height": context.height,
            "frames": self._clock.frames,
            "failures": self.failures,
        }

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Yield (seconds, picture of shape (height, width, 3), RGB), upright, at `rate`; needs `__enter__`."""
        due = 0.0
        for frame in self._decoded():
            if not isinstance(frame, av.VideoFrame):
                continue
            at = self._clock.see(frame.time, frame.width, frame.height)
            if at < -_ROUNDING or at + min(_EARLY / self.rate, self._clock.taken / 2) < due:
                continue
            due = max(due + 1 / self.rate, at + 0.5 / self.rate)
            yield max(at, 0.0), self._picture(frame)
        if self._clock.frames == 0:
            raise Unreadable("No picture of the video can be decoded.")

    def _decoded(self) -> Iterator[Any]:
        """Yield the decoded video frames; sound goes to the track, undecoded pictures to the clock."""
        chosen = [stream for stream in (self._video, self._audio) if stream is not None]
        packets = self._container.demux(chosen)
        in_a_row = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except _DEMUXING:
                self.truncated = True
                return
            video = packet.stream is self._video
            if video and not self.pictures:
                self._skip(packet)
                continue
            try:
                frames = packet.decode()
                in_a_row = 0
            except (FFmpegError, ValueError):
                self.failures += 1
                in_a_row += 1
                if in_a_row > _FAILURES:
                    raise Unreadable("The media is broken past use.") from None
                continue
            for frame in frames:
                if video:
                    yield frame
                elif self._track is not None:
                    self._track.add(frame)

    def _skip(self, packet: Any) -> None:
        """Let the clock see a picture that is not decoded."""
        if packet.size and packet.pts is not None:
            self._clock.see(float(packet.pts * packet.time_base), _SMALLEST_SIDE, _SMALLEST_SIDE)

    def _picture(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        scale = min(1.0, self.side / max(frame.width, frame.height))
        try:
            picture: NDArray[np.uint8] = frame.reformat(
                width=max(_SMALLEST_SIDE, int(frame.width * scale) // 2 * 2),
                height=max(_SMALLEST_SIDE, int(frame.height * scale) // 2 * 2),
                format="rgb24",
                interpolation=Interpolation.BILINEAR,
            ).to_ndarray()  # type: ignore[assignment]  # rgb24 is uint8
        except (FFmpegError, ValueError):
            raise Unreadable("A picture of the video cannot be converted.") from None
        turns = round((frame.rotation or 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def probe(data: bytes, start: float | None = None, limits: Limits | None = None) -> Probe:
    """Say how long the media is and what it holds, without decoding any of it.

    Raises NotAContainer and Unreadable. `start` is `Decoder.start`.
    """
    limits = limits or Limits()
    most = int(limits.frame_rate * limits.seconds)
    with _open(data, limits) as container:
        try:
            video, audio = _streams(container)
        except NoVideo:
            video, audio = None, next(iter(container.streams.audio), None)
        chosen = [stream for stream in (video, audio) if stream is not None]
        first: dict[int, float] = {}
        last: dict[int, float] = {}
        packets = container.demux(chosen) if chosen else iter(())
        for _ in range(most):
            try:
                packet = next(packets)
            except (StopIteration, *_DEMUXING):
                break
            if not packet.size or packet.pts is None:
                continue
            at = float(packet.pts * packet.time_base)
            end = at + float((packet.duration or 0) * packet.time_base)
            first[packet.stream.index] = min(at, first.get(packet.stream.index, at))
            last[packet.stream.index] = max(end, last.get(packet.stream.index, end))
        if not first:
            raise Unreadable("The media holds no packets.")
        begin = first.get(video.index) if video is not None else None
        zero = start if start is not None else begin if begin is not None else min(first.values())
        return Probe(max(0.0, max(last.values()) - zero), video is not None, audio is not None)


def _open(data: bytes, limits: Limits) -> Any:
    kind = sniff(data)
    if kind is None:
        raise NotAContainer
    try:
        return av.open(
            io.BytesIO(data),
            "r",
            format=kind,
            container_options={
                "protocol_whitelist": "",
                # No decoder has this name: parameters come from headers and parsers, and no
                # picture is decoded before its size is known.
                "codec_whitelist": "none",
                "max_streams": str(limits.streams),
            },
            metadata_errors="ignore",
        )
    except (FFmpegError, ValueError, MemoryError):
        raise Unreadable from None


def _streams(container: Any) -> tuple[Any, Any]:
    """Return the first video stream that moves, and the first audio stream that can be decoded, or None."""
    video = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not video:
        raise NoVideo
    known = [stream for stream in video if _codec(stream) in VIDEO_CODECS]
    if not known:
        raise Unreadable(f"Video in the codec {_codec(video[0]) or 'unknown'} is not read.")
    audio = [stream for stream in container.streams.audio if _codec(stream) in AUDIO_CODECS]
    return known[0], audio[0] if audio else None


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name) if context is not None else ""
