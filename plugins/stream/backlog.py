"""What a stream has in analysis: answers come in any order, and leave in the order of the media."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugins.stream.answers import Answer


@dataclass
class Pending:
    """One segment: its key, the client's message it came in (from 1), its length, and its answer once it is there.

    `is_measured` says that its length is that of the recording it continues, and not to be corrected by the analysis.
    """

    key: int
    message: int
    seconds: float
    size: int
    answer: Answer | None = None
    is_measured: bool = False


class Backlog:
    """Keep segments in the order of the media, and say when there is too much of it."""

    def __init__(self, max_seconds: float, max_bytes: int) -> None:
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._pending: deque[Pending] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, pending: Pending) -> None:
        """Add the segment that comes next."""
        self._pending.append(pending)

    def settle(self, answer: Answer) -> Iterator[Pending]:
        """Take an answer and yield the segments whose turn has come."""
        for pending in self._pending:
            if pending.key == answer.segment:
                pending.answer = answer
        while self._pending and self._pending[0].answer is not None:
            yield self._pending.popleft()

    def has_room(self) -> bool:
        """Say whether more media may be read: analysed media that waits for its turn counts in seconds only."""
        seconds = sum(pending.seconds for pending in self._pending)
        size = sum(pending.size for pending in self._pending if pending.answer is None)
        return seconds < self._max_seconds and size < self._max_bytes

    def abandon(self) -> list[int]:
        """Drop everything and return the keys of the segments that have no answer."""
        keys = [pending.key for pending in self._pending if pending.answer is None]
        self._pending.clear()
        return keys
