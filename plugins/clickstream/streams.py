"""Answers that are written while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, stream_with_context

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 64 * 1024
"""Bytes sent at a time, so that a million lines are not a million writes."""


def stream(
    pieces: Iterator[bytes], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """Answer with pieces as they come.

    The first chunk is made before the status is sent, so that a database that is away is still a 503.
    """
    chunks = _chunks(pieces)
    first = next(chunks, b"")
    return Response(stream_with_context(_with(first, chunks)), mimetype=media_type, headers=headers)


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _with(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
