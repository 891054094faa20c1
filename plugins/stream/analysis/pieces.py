"""What a growing recording is made of, whatever its container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Piece:
    """Describe the smallest part of a recording that can be moved to another place.

    `start` and `end` are seconds on the recording's own clock; `video` says that it holds a picture, `key` that
    decoding can begin there. `group` orders pieces of one cluster, `data` is what the container wrote.
    """

    start: float
    end: float
    video: bool
    key: bool
    group: int
    data: bytes


class Recording(Protocol):
    """Take a recording apart as its bytes come, cut anywhere, and put parts of it together again."""

    header: bytes

    def push(self, data: bytes) -> list[Piece]:
        """Return the pieces that are complete now; raises Unreadable on bytes that make no sense."""

    @property
    def waiting(self) -> int:
        """Return the number of bytes of a piece that is not complete yet."""

    def assemble(self, pieces: list[Piece]) -> bytes:
        """Return a file that can be read on its own."""


#: Elements that one message may hold; real ones have about 100 a second, hostile ones millions.
MAX_ELEMENTS = 200_000
#: A piece of more bytes than a message may have never becomes complete.
MAX_PIECE = 32 * 1024 * 1024
