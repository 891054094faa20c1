"""Read a request body: bounded on the wire and once inflated, then as JSON.

Takes a stream and headers, not a request, so that it reads the same under any server.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from core.errors import MalformedBody, PayloadTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: Bytes read and inflated at a time.
CHUNK = 64 * 1024
#: Members of one gzip body. A writer of 64 KiB blocks (bgzip) needs 128 for 8 MiB; each one costs
#: a fresh window.
MAX_GZIP_MEMBERS = 256
#: Values of a body, counted by the signs that begin or part them. As objects they take 50 to 200 bytes each, so that
#: 8 MiB of `{},`, which are 8 KiB on the wire, would be 200 MB and a second of everybody's time. An event of a few
#: fields has 16 bytes of JSON for each.
MAX_VALUES = 500_000
#: Bytes over which a body is a large one: its values are counted, and it waits for its turn to be inflated.
LARGE_BYTES = 1024 * 1024
#: zlib's window size, plus 16 for the gzip wrapper (zlib manual, inflateInit2).
GZIP_WINDOW = zlib.MAX_WBITS | 16

JSON_TYPES = frozenset({"application/json"})
BOM = b"\xef\xbb\xbf"


class Readable(Protocol):
    """What a body is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, and nothing at the end."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Hold the caps of a body, in bytes: as it came, and inflated."""

    wire: int = 1024 * 1024
    inflated: int = 8 * 1024 * 1024


DEFAULT_LIMITS = BodyLimits()


def read_json(
    stream: Readable,
    headers: Mapping[str, str],
    *,
    limits: BodyLimits = DEFAULT_LIMITS,
    media_types: frozenset[str] | None = JSON_TYPES,
) -> Any:
    """Return the JSON value of a body.

    `media_types` are the types read beside `*+json`; the empty string stands for no Content-Type,
    and None reads whatever the type says. Of two equal keys in an object the last one holds. NaN,
    Infinity, lone surrogates and more than 1,024 levels are no JSON. Raises UnsupportedMediaType,
    PayloadTooLarge, MalformedBody; the cause of a syntax error is an `orjson.JSONDecodeError` with
    its position.
    """
    check_media_type(headers.get("Content-Type", ""), media_types)
    return parse_json(read_body(stream, headers, limits))


def parse_json(body: bytes) -> Any:
    """Return the JSON value of `body`; MalformedBody when it is none, PayloadTooLarge over MAX_VALUES."""
    # RFC 8259, 8.1: a parser may ignore a byte order mark, and some clients' libraries write one.
    text = body.removeprefix(BOM)
    if not text or text.isspace():
        raise MalformedBody("The body is empty; it must be JSON")
    if len(text) > LARGE_BYTES and sum(map(text.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise PayloadTooLarge(f"The body has more than {MAX_VALUES} values")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}") from error


def check_media_type(content_type: str, media_types: frozenset[str] | None = JSON_TYPES) -> None:
    """Raise UnsupportedMediaType unless the type is one of `media_types` or ends in `+json`."""
    if media_types is None:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    # RFC 6839, 3.1: the suffix says that the body is JSON.
    if media_type not in media_types and not media_type.endswith("+json"):
        raise UnsupportedMediaType


def read_body(
    stream: Readable,
    headers: Mapping[str, str],
    limits: BodyLimits = DEFAULT_LIMITS,
    *,
    before_large: Callable[[], object] = lambda: None,
) -> bytes:
    """Return the body, inflated where `Content-Encoding` says gzip; it costs its caps at most.

    `before_large` is called once all of it has come, and before more than LARGE_BYTES of it are inflated.
    """
    codings = [
        coding
        for part in headers.get("Content-Encoding", "").split(",")
        if (coding := part.strip().lower()) not in {"", "identity"}
    ]
    if codings not in ([], ["gzip"], ["x-gzip"]):
        # RFC 9110, 15.5.16: the answer to a coding that is not read says which one is.
        raise UnsupportedMediaType(
            "The content encoding must be gzip or none", headers={"Accept-Encoding": "gzip"}
        )
    declared = headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared[:20]) > limits.wire:
        raise _too_large(limits.wire, "on the wire")
    chunks = list(_bounded(stream, limits.wire))
    if declared.isdecimal() and sum(map(len, chunks)) < int(declared[:20]):
        # RFC 9112, 8: what is there may be JSON by itself, and is not what was sent.
        raise MalformedBody("The body ended before its time")
    if not codings:
        return b"".join(chunks)
    pieces = []
    size = 0
    for piece in _inflate(chunks, limits.inflated):
        if size <= LARGE_BYTES < size + len(piece):
            before_large()
        size += len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _bounded(stream: Readable, cap: int) -> Iterator[bytes]:
    left = cap
    while True:
        try:
            chunk = stream.read(min(CHUNK, left + 1))
        except OSError as error:
            # How servers say that the client went away or broke its chunked framing.
            raise MalformedBody("The body ended before its time") from error
        if not chunk:
            return
        left -= len(chunk)
        if left < 0:
            raise _too_large(cap, "on the wire")
        yield chunk


def _inflate(chunks: Iterable[bytes], cap: int) -> Iterator[bytes]:
    """Inflate a gzip file of one or more members (RFC 1952, 2.2) piecewise; zero bytes may pad its end."""
    size = 0
    members = 0
    member = None
    for chunk in chunks:
        data = chunk
        while data:
            if member is None:
                if members and not (data := data.lstrip(b"\0")):
                    break
                members += 1
                if members > MAX_GZIP_MEMBERS:
                    raise MalformedBody("The gzip body has too many members")
                member = zlib.decompressobj(GZIP_WINDOW)
            try:
                piece = member.decompress(data, min(CHUNK, cap - size + 1))
            except zlib.error as error:
                raise MalformedBody("The body is not valid gzip") from error
            size += len(piece)
            if size > cap:
                raise _too_large(cap, "once inflated")
            yield piece
            data = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None or not members:
        raise MalformedBody("The gzip body is cut short")


def _too_large(cap: int, where: str) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {cap} bytes {where}")
