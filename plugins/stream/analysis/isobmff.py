"""Take fragmented MP4 apart at its fragments (ISO/IEC 14496-12) and put them together again."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from plugins.stream.analysis.errors import Unreadable
from plugins.stream.analysis.pieces import MAX_ELEMENTS, MAX_PIECE, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 8
_LARGE_HEAD = 16
# Flags of `tfhd` and `trun` (sections 8.8.7 and 8.8.8) and of a sample (8.8.3.1).
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS = (
    0x01,
    0x02,
    0x08,
    0x10,
    0x20,
)
_TRUN_OFFSET, _TRUN_FIRST_FLAGS = 0x001, 0x004
_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION = 0x100, 0x200, 0x400, 0x800
_NOT_SYNC = 0x10000
#: Samples one run may state; a fragment of ten seconds at 240 frames a second has 2,400.
_MAX_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class _Track:
    """What `moov` says of one track; `duration` and `flags` are the defaults of its samples."""

    video: bool = False
    timescale: int = 1
    duration: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def _boxes(data: bytes, at: int = 0) -> Iterator[_Box]:
    """Yield the boxes whose heads are there; the last may end past the data."""
    while at + _HEAD <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + _HEAD
        if size == 1:
            if at + _LARGE_HEAD > len(data):
                return
            size = struct.unpack_from(">Q", data, body)[0]
            body = at + _LARGE_HEAD
        elif size == 0:
            size = max(len(data) - at, _HEAD)
        if size < body - at:
            raise Unreadable("The MP4 holds a box that is smaller than its own head.")
        yield _Box(kind, at, body, at + size)
        at += size


def _find(data: bytes, *path: bytes) -> bytes | None:
    """Return the body of the first box at `path`."""
    for name in path:
        box = next((box for box in _boxes(data) if box.kind == name), None)
        if box is None:
            return None
        data = data[box.body : box.end]
    return data


def has_movie(data: bytes) -> bool:
    """Tell whether `data` has a `moov` box, without which no sample of it can be read."""
    try:
        return any(box.kind == b"moov" for box in islice(_boxes(data), MAX_ELEMENTS))
    except Unreadable:
        return False


def header_end(data: bytes) -> int | None:
    """Return where the first fragment begins; None when `data` has no `moov` before it or no fragments."""
    ready, end = False, 0
    try:
        for box in islice(_boxes(data), MAX_ELEMENTS):
            if box.kind == b"moov" and box.end <= len(data):
                ready = _find(data[box.body : box.end], b"mvex") is not None
                end = box.end
            elif box.kind == b"moof":
                return box.start if ready else None
    except Unreadable:
        return None
    return end if ready else None


def _full_box(body: bytes) -> tuple[int, int]:
    """Return version and flags of a full box."""
    word: int = struct.unpack_from(">I", body)[0]
    return word >> 24, word & 0xFFFFFF


class FragmentedRecording:
    """Take a fragmented MP4 apart as its bytes come. `header` is everything before the first `moof`."""

    def __init__(self, header: bytes) -> None:
        self.header = header
        self._rest = b""
        self._tracks: dict[int, _Track] = {}
        self._count = 0
        try:
            self._read_header()
        except struct.error:
            raise Unreadable("The header of the MP4 is broken.") from None

    @property
    def waiting(self) -> int:
        """Return the number of bytes of a fragment that is not complete yet."""
        return len(self._rest)

    def _read_header(self) -> None:
        moov = _find(self.header, b"moov") or b""
        for box in _boxes(moov):
            if box.kind == b"trak":
                self._read_track(moov[box.body : box.end])
        extends = _find(moov, b"mvex") or b""
        for box in _boxes(extends):
            if box.kind == b"trex":
                _, track, _, duration, _, flags = struct.unpack_from(">6I", extends, box.body)
                if track in self._tracks:
                    self._tracks[track] = replace(
                        self._tracks[track], duration=duration, flags=flags
                    )

    def _read_track(self, track: bytes) -> None:
        head = _find(track, b"tkhd") or b""
        media = _find(track, b"mdia", b"mdhd") or b""
        handler = _find(track, b"mdia", b"hdlr") or b""
        version, _ = _full_box(head)
        number = struct.unpack_from(">I", head, 20 if version else 12)[0]
        version, _ = _full_box(media)
        timescale = struct.unpack_from(">I", media, 20 if version else 12)[0]
        self._tracks[number] = _Track(handler[8:12] == b"vide", max(timescale, 1))

    def push(self, data: bytes) -> list[Piece]:
        """Return the fragments that are complete now; raises Unreadable on bytes that make no sense."""
        data = self._rest + data
        pieces: list[Piece] = []
        done, fragment = 0, None
        for number, box in enumerate(_boxes(data)):
            if number > MAX_ELEMENTS:
                raise Unreadable("The MP4 has too many boxes.")
            if box.end > len(data):
                if box.end - box.start > MAX_PIECE:
                    raise Unreadable("The MP4 holds a box that is too large.")
                break
            if box.kind == b"moof":
                fragment = box
            elif box.kind == b"mdat" and fragment is not None:
                pieces.append(
                    self._piece(data[fragment.body : fragment.end], data[fragment.start : box.end])
                )
                fragment, done = None, box.end
            elif fragment is None:
                done = box.end
        self._rest = data[done:]
        if len(self._rest) > 2 * MAX_PIECE:
            raise Unreadable("The MP4 holds a fragment that is too large.")
        return pieces

    def _piece(self, fragment: bytes, raw: bytes) -> Piece:
        """Describe a fragment by its video, or by its sound when it has no video."""
        try:
            spans = [
                self._read_span(fragment[box.body : box.end])
                for box in _boxes(fragment)
                if box.kind == b"traf"
            ]
        except struct.error:
            raise Unreadable("A fragment of the MP4 is broken.") from None
        video = [span for span in spans if span[2]]
        chosen = video or spans or [(0.0, 0.0, False, False)]
        self._count += 1
        return Piece(
            start=min(span[0] for span in chosen),
            end=max(span[1] for span in chosen),
            video=bool(video),
            key=any(span[3] for span in video),
            group=self._count,
            data=raw,
        )

    def _read_span(self, traf: bytes) -> tuple[float, float, bool, bool]:
        """Return (start, end, is video, begins with a sync sample) of one track's part of a fragment."""
        header = _find(traf, b"tfhd") or b""
        _, flags = _full_box(header)
        number = struct.unpack_from(">I", header, 4)[0]
        track = self._tracks.get(number, _Track())
        at, duration, sample_flags = 8, track.duration, track.flags
        at += (8 if flags & _TFHD_BASE else 0) + (4 if flags & _TFHD_DESCRIPTION else 0)
        if flags & _TFHD_DURATION:
            duration = struct.unpack_from(">I", header, at)[0]
            at += 4
        at += 4 if flags & _TFHD_SIZE else 0
        if flags & _TFHD_FLAGS:
            sample_flags = struct.unpack_from(">I", header, at)[0]
        clock = _find(traf, b"tfdt")
        start = 0
        if clock is not None:
            version, _ = _full_box(clock)
            start = struct.unpack_from(">Q" if version else ">I", clock, 4)[0]
        length, first = 0, None
        for box in _boxes(traf):
            if box.kind == b"trun":
                run, run_flags = _read_run(traf[box.body : box.end], duration, sample_flags)
                length += run
                first = run_flags if first is None else first
        sync = first is not None and not first & _NOT_SYNC
        scale = track.timescale
        return start / scale, (start + length) / scale, track.video, sync

    def assemble(self, pieces: list[Piece]) -> bytes:
        """Return a file with the recording's header and these fragments."""
        return b"".join((self.header, *(piece.data for piece in pieces)))


def _read_run(body: bytes, duration: int, sample_flags: int) -> tuple[int, int]:
    """Return the ticks that a `trun` lasts and the flags of its first sample."""
    _, flags = _full_box(body)
    count = struct.unpack_from(">I", body, 4)[0]
    if count > _MAX_SAMPLES:
        raise Unreadable("A fragment of the MP4 states too many samples.")
    at = 8 + (4 if flags & _TRUN_OFFSET else 0)
    first = sample_flags
    if flags & _TRUN_FIRST_FLAGS:
        first = struct.unpack_from(">I", body, at)[0]
        at += 4
    width = 4 * sum(
        1 for flag in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION) if flags & flag
    )
    if flags & _TRUN_FLAGS and not flags & _TRUN_FIRST_FLAGS and count:
        place = at + 4 * bool(flags & _TRUN_DURATION) + 4 * bool(flags & _TRUN_SIZE)
        first = struct.unpack_from(">I", body, place)[0]
    if not flags & _TRUN_DURATION:
        return duration * count, first
    return sum(struct.unpack_from(">I", body, at + width * n)[0] for n in range(count)), first
