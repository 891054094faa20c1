"""Where the thread of one stream waits: for messages of its client, answers of workers, and the end.

The client's side is bounded: once a message waits, its reader waits too, and TCP slows the sender.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plugins.stream.answers import Answer

ROOM_BYTES: Final = 1024 * 1024
"""Bytes of messages that may wait before the reader does; one message may always be larger."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The client is gone."""


@dataclass(frozen=True, slots=True)
class AskedToEnd:
    """This process is to end."""


class Mailbox:
    """Hand events to one thread; every method may be called from any other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: deque[str | bytes] = deque()
        self._answers: deque[Answer] = deque()
        self._waiting_bytes = 0
        self._is_closed = False
        self._has_hung_up = False
        self.is_asked_to_end = False
        self.asked_at = 0.0

    def add_message(self, message: str | bytes) -> None:
        """Add a message of the client; dropped when no more are taken."""
        with self._changed:
            if not self._is_closed:
                self._messages.append(message)
                self._waiting_bytes += len(message)
                self._changed.notify_all()

    def wait_for_room(self) -> bool:
        """Return once there is room for more messages, and whether that took a wait."""
        with self._changed:
            waited = not self._has_room()
            while not self._has_room():
                self._changed.wait()
            return waited

    def add_answer(self, answer: Answer) -> None:
        """Add the answer of a worker."""
        with self._changed:
            self._answers.append(answer)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Note that the client is gone: nothing can be sent any more."""
        with self._changed:
            self._has_hung_up = True
            self._changed.notify_all()

    def ask_to_end(self) -> None:
        """Ask the stream to come to its end."""
        with self._changed:
            self.is_asked_to_end = True
            self.asked_at = time.monotonic()
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more messages and drop those that wait."""
        with self._changed:
            self._is_closed = True
            self._messages.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()

    def take(
        self, timeout: float, *, messages: bool
    ) -> str | bytes | Answer | HungUp | AskedToEnd | None:
        """Return the next event, or None after `timeout` seconds.

        Answers come before messages; messages wait while `messages` is False. That the client is gone, or that the
        end is asked for, is said each time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_event(messages=messages), timeout)
            if self._has_hung_up:
                return HungUp()
            if self._answers:
                return self._answers.popleft()
            if self.is_asked_to_end and not self._is_closed:
                return AskedToEnd()
            if messages and self._messages:
                message = self._messages.popleft()
                self._waiting_bytes -= len(message)
                self._changed.notify_all()
                return message
            return None

    def _has_event(self, *, messages: bool) -> bool:
        return bool(
            self._has_hung_up
            or self._answers
            or (self.is_asked_to_end and not self._is_closed)
            or (messages and self._messages)
        )

    def _has_room(self) -> bool:
        return self._is_closed or not self._messages or self._waiting_bytes < ROOM_BYTES
