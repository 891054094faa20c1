"""Take WebM and Matroska apart at the blocks (RFC 8794 EBML, RFC 9559 Matroska) and put them together again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING

from plugins.stream.analysis.errors import Unreadable
from plugins.stream.analysis.pieces import MAX_ELEMENTS, MAX_PIECE, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEGMENT = 0x18538067
_INFO = 0x1549A966
_TIMESTAMP_SCALE = 0x2AD7B1
_TRACKS = 0x1654AE6B
_TRACK_ENTRY = 0xAE
_TRACK_NUMBER = 0xD7
_TRACK_TYPE = 0x83
_VIDEO_TRACK = 1
_CLUSTER = 0x1F43B675
_TIMESTAMP = 0xE7
_SIMPLE_BLOCK = 0xA3
_BLOCK_GROUP = 0xA0
_BLOCK = 0xA1
_BLOCK_DURATION = 0x9B
_REFERENCE_BLOCK = 0xFB

_CLUSTER_ID = _CLUSTER.to_bytes(4)
_DEFAULT_SCALE = 1_000_000  # nanoseconds a tick
_KEYFRAME = 0x80  # flag of a SimpleBlock
_LONGEST_ID = 4
_LONGEST_SIZE = 8


@dataclass(frozen=True, slots=True)
class _Element:
    """`end` is None where the size is unknown or runs past the bytes that are there (`size` says which)."""

    id: int
    start: int
    body: int
    size: int | None


class _Incomplete(Exception):
    """The bytes end within an element's head."""


def header_end(data: bytes) -> int | None:
    """Return where the first Cluster begins, the end of a header that came alone, or None without tracks."""
    at = data.find(_CLUSTER_ID)
    if at >= 0:
        return at
    return len(data) if _has_tracks(data) else None


def _has_tracks(data: bytes) -> bool:
    """Tell whether `data` holds all of its Tracks."""
    try:
        for outer in _elements(data, 0):
            if outer.id == _SEGMENT:
                return any(
                    inner.id == _TRACKS and inner.body + (inner.size or 0) <= len(data)
                    for inner in islice(_elements(data, outer.body), MAX_ELEMENTS)
                )
    except (_Incomplete, Unreadable):
        pass
    return False


def is_whole(data: bytes) -> bool:
    """Tell whether the Segment states its size and all of it is there: a file, not a recording that goes on."""
    try:
        for element in _elements(data, 0):
            if element.id == _SEGMENT:
                return element.size is not None and element.body + element.size <= len(data)
    except (_Incomplete, Unreadable):
        pass
    return False


def _number(data: bytes, at: int, longest: int, *, keep_marker: bool) -> tuple[int, int]:
    """Read a variable-size integer (RFC 8794, section 4); returns it and where it ends."""
    if at >= len(data):
        raise _Incomplete
    length = 9 - data[at].bit_length()
    if length > longest:
        raise Unreadable("The WebM holds a number that is none.")
    if at + length > len(data):
        raise _Incomplete
    value = int.from_bytes(data[at : at + length])
    if not keep_marker:
        value &= (1 << 7 * length) - 1
    return value, at + length


def _element(data: bytes, at: int) -> _Element:
    ident, place = _number(data, at, _LONGEST_ID, keep_marker=True)
    size, body = _number(data, place, _LONGEST_SIZE, keep_marker=False)
    unknown = size == (1 << 7 * (body - place)) - 1
    return _Element(ident, at, body, None if unknown else size)


def _elements(data: bytes, at: int) -> Iterator[_Element]:
    """Yield the elements that follow each other from `at`."""
    while at < len(data):
        element = _element(data, at)
        yield element
        if element.size is None:
            return
        at = element.body + element.size


def _unsigned(data: bytes) -> int:
    return int.from_bytes(data[:8])


class MatroskaRecording:
    """Take a WebM or Matroska recording apart as its bytes come.

    `header` is everything before the first Cluster.
    """

    def __init__(self, header: bytes) -> None:
        self.header = header
        self._scale = _DEFAULT_SCALE
        self._video: set[int] = set()
        self._rest = b""
        self._cluster = 0
        self._read_header()

    @property
    def waiting(self) -> int:
        """Return the number of bytes of a block that is not complete yet."""
        return len(self._rest)

    def _read_header(self) -> None:
        try:
            for outer in _elements(self.header, 0):
                if outer.id != _SEGMENT:
                    continue
                for inner in _elements(self.header, outer.body):
                    end = inner.body + (inner.size or 0)
                    if inner.id == _INFO:
                        self._read_info(self.header[inner.body : end])
                    elif inner.id == _TRACKS:
                        self._read_tracks(self.header[inner.body : end])
                return
        except _Incomplete:
            return

    def _read_info(self, body: bytes) -> None:
        for element in _elements(body, 0):
            if element.id == _TIMESTAMP_SCALE and element.size:
                self._scale = _unsigned(body[element.body : element.body + element.size])

    def _read_tracks(self, body: bytes) -> None:
        for entry in _elements(body, 0):
            if entry.id != _TRACK_ENTRY or entry.size is None:
                continue
            track = body[entry.body : entry.body + entry.size]
            values = {
                field.id: _unsigned(track[field.body : field.body + (field.size or 0)])
                for field in _elements(track, 0)
                if field.id in {_TRACK_NUMBER, _TRACK_TYPE}
            }
            if values.get(_TRACK_TYPE) == _VIDEO_TRACK:
                self._video.add(values.get(_TRACK_NUMBER, 0))

    def push(self, data: bytes) -> list[Piece]:
        """Return the blocks that are complete now; raises Unreadable on bytes that make no sense."""
        data = self._rest + data
        pieces: list[Piece] = []
        at = 0
        for _ in range(MAX_ELEMENTS):
            try:
                element = _element(data, at)
            except _Incomplete:
                break
            if element.id in {_CLUSTER, _SEGMENT}:
                at = element.body
                continue
            if element.size is None:
                raise Unreadable("The WebM holds an element without an end.")
            end = element.body + element.size
            if end > len(data):
                if element.size > MAX_PIECE:
                    raise Unreadable("The WebM holds a block that is too large.")
                break
            if element.id == _TIMESTAMP:
                self._cluster = _unsigned(data[element.body : end])
            elif element.id in {_SIMPLE_BLOCK, _BLOCK_GROUP}:
                pieces.append(self._piece(data[element.start : end], element))
            at = end
        else:
            raise Unreadable("The WebM has too many elements.")
        self._rest = data[at:]
        return pieces

    def _piece(self, raw: bytes, element: _Element) -> Piece:
        offset = element.body - element.start
        block, duration = raw[offset:], 0
        if element.id == _BLOCK_GROUP:
            key = True
            group, block = block, b""
            for child in _elements(group, 0):
                body = group[child.body : child.body + (child.size or 0)]
                if child.id == _BLOCK:
                    block = body
                elif child.id == _BLOCK_DURATION:
                    duration = _unsigned(body)
                elif child.id == _REFERENCE_BLOCK:
                    key = False
        try:
            track, at = _number(block, 0, _LONGEST_SIZE, keep_marker=False)
        except _Incomplete:
            raise Unreadable("The WebM holds an empty block.") from None
        if element.id == _SIMPLE_BLOCK:
            key = bool(block[at + 2 : at + 3] and block[at + 2] & _KEYFRAME)
        ticks = self._cluster + int.from_bytes(block[at : at + 2], signed=True)
        seconds = self._scale / 1e9
        video = track in self._video
        return Piece(
            start=ticks * seconds,
            end=(ticks + duration) * seconds,
            video=video,
            key=video and key,
            group=self._cluster,
            data=raw,
        )

    def assemble(self, pieces: list[Piece]) -> bytes:
        """Return a file with the recording's header and these blocks."""
        parts = [_open_ended(self.header)]
        for timestamp, members in groupby(pieces, key=lambda piece: piece.group):
            body = b"\xe7\x88" + timestamp.to_bytes(8) + b"".join(piece.data for piece in members)
            parts.append(_CLUSTER_ID + (len(body) | 1 << 56).to_bytes(8) + body)
        return b"".join(parts)


def _open_ended(header: bytes) -> bytes:
    """Return the header with a Segment of unknown size (RFC 8794, section 6.2)."""
    try:
        for element in _elements(header, 0):
            if element.id == _SEGMENT:
                sized = element.start + _LONGEST_ID
                length = element.body - sized
                unknown = ((1 << 7 * length + 1) - 1).to_bytes(length)
                return header[:sized] + unknown + header[element.body :]
    except _Incomplete:
        pass
    return header
