"""How what a worker found comes back to the web process that waits for it.

Each web process has an inbox, a Redis stream that outlives a lost connection, and one thread that reads it for all
its streams. A worker shows with a lease that it is at work on a segment; when the lease ends without an answer, or the
worker says that it failed, the segment is sent once more, and after that it is lost. So is one that nobody is at work
on although nothing waits in the queue: the worker died as it took it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import redis as redis_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

logger = logging.getLogger(__name__)

INBOX_KEY: Final = "subtext:stream:inbox:{inbox}"
LEASE_KEY: Final = "subtext:stream:lease:{segment}:{attempt}"
INBOX_SECONDS: Final = 600
"""How long answers that nobody reads are kept."""
LEASE_SECONDS: Final = 5.0
RENEW_SECONDS: Final = 1.5
BLOCK_MILLISECONDS: Final = 1_000
AWAY_SECONDS: Final = 1.0
BATCH: Final = 50
ATTEMPTS: Final = 2
MISSES: Final = 2
"""Looks in a row that find no lease before the worker counts as dead: its answer may just be on the way."""
INBOX_BITS: Final = 52

STARTED: Final = b"started"
DONE: Final = b"done"
FAULT: Final = b"fault"
FAILED: Final = b"failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """Say what came of a segment.

    `observations` is their JSON; `fault` is (code, message) when the media is at fault; neither when the analysis
    failed for good.
    """

    segment: int
    observations: bytes | None = None
    fault: tuple[str, str] | None = None


@dataclass
class _Wait:
    segment: int
    send: Callable[[int], object]
    is_queued: Callable[[], bool]
    deliver: Callable[[Answer], object]
    until: float
    sent_at: float
    attempt: int = 1
    is_started: bool = False
    misses: int = 0


class Answers:
    """Wait for the answers to the segments of one web process; thread-safe."""

    def __init__(self, redis: Redis) -> None:
        self.inbox = secrets.randbits(INBOX_BITS)
        self._redis = redis
        self._key = INBOX_KEY.format(inbox=self.inbox)
        self._last = "0-0"
        self._changed = threading.Condition()
        self._waits: dict[int, _Wait] = {}
        self._thread: threading.Thread | None = None

    def expect(
        self,
        segment: int,
        send: Callable[[int], object],
        is_queued: Callable[[], bool],
        deliver: Callable[[Answer], object],
        seconds: float,
    ) -> None:
        """Have `deliver` called with the answer, from another thread, after at most `seconds`.

        `send(attempt)` sends the segment to the workers: it is called by the caller for the first time, and from here
        for the second. `is_queued()` tells whether it may still wait for a worker.
        """
        with self._changed:
            now = time.monotonic()
            self._waits[segment] = _Wait(segment, send, is_queued, deliver, now + seconds, now)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._read, name="stream answers", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def forget(self, segment: int) -> None:
        """Wait no more for a segment."""
        with self._changed:
            self._waits.pop(segment, None)

    def _read(self) -> None:
        while self._is_awaited():
            try:
                self._take_entries()
                self._look_at_leases()
                self._look_for_lost()
            except redis_client.RedisError as error:
                logger.warning("Redis is away, answers wait: %s", type(error).__name__)
                time.sleep(AWAY_SECONDS)
            self._give_up_on_late()

    def _is_awaited(self) -> bool:
        with self._changed:
            while not self._waits:
                self._changed.wait()
            return True

    def _take_entries(self) -> None:
        found: Any = self._redis.xread({self._key: self._last}, BATCH, BLOCK_MILLISECONDS)
        for _, entries in found or ():
            for entry, fields in entries:
                self._last = entry.decode()
                self._take(fields)
            self._redis.xdel(self._key, *(entry for entry, _ in entries))

    def _take(self, fields: dict[bytes, bytes]) -> None:
        segment, attempt = int(fields[b"segment"]), int(fields[b"attempt"])
        state, body = fields[b"state"], fields.get(b"body", b"")
        with self._changed:
            wait = self._waits.get(segment)
            if wait is None:
                return
            if state == STARTED:
                wait.is_started = wait.is_started or attempt == wait.attempt
                return
            if state == FAILED and attempt != wait.attempt:  # the second one is under way
                return
        if state == DONE:
            self._deliver(wait, Answer(segment, observations=body))
        elif state == FAULT:
            code, _, message = body.decode().partition(" ")
            self._deliver(wait, Answer(segment, fault=(code, message)))
        else:
            self._try_again(wait)

    def _look_at_leases(self) -> None:
        with self._changed:
            started = [wait for wait in self._waits.values() if wait.is_started]
        if not started:
            return
        keys = [LEASE_KEY.format(segment=each.segment, attempt=each.attempt) for each in started]
        leases: Any = self._redis.mget(keys)
        for wait, lease in zip(started, leases, strict=True):
            wait.misses = 0 if lease else wait.misses + 1
            if wait.misses >= MISSES:
                logger.warning("a worker died over segment %d", wait.segment)
                self._try_again(wait)

    def _look_for_lost(self) -> None:
        due = time.monotonic() - LEASE_SECONDS
        with self._changed:
            idle = [
                each for each in self._waits.values() if not each.is_started and each.sent_at < due
            ]
        for wait in idle:
            wait.misses = 0 if wait.is_queued() else wait.misses + 1
            if wait.misses >= MISSES:
                logger.warning("a worker died as it took segment %d", wait.segment)
                self._try_again(wait)

    def _try_again(self, wait: _Wait) -> None:
        if wait.attempt >= ATTEMPTS:
            self._deliver(wait, Answer(wait.segment))
            return
        wait.attempt, wait.is_started, wait.misses = wait.attempt + 1, False, 0
        wait.sent_at = time.monotonic()
        if not wait.send(wait.attempt):
            self._deliver(wait, Answer(wait.segment))

    def _give_up_on_late(self) -> None:
        now = time.monotonic()
        with self._changed:
            late = [wait for wait in self._waits.values() if wait.until < now]
        for wait in late:
            self._deliver(wait, Answer(wait.segment))

    def _deliver(self, wait: _Wait, answer: Answer) -> None:
        with self._changed:
            if self._waits.pop(wait.segment, None) is None:
                return
        wait.deliver(answer)


@dataclass
class Reply:
    """A worker's side of one segment: what it sends to the inbox that waits."""

    redis: Redis
    inbox: int
    segment: int
    attempt: int
    _answered: bool = field(default=False, init=False)

    def done(self, observations: bytes) -> None:
        """Send what was observed."""
        self._send(DONE, observations)
        self._answered = True

    def fault(self, code: str, message: str) -> None:
        """Say what is wrong with the media."""
        self._send(FAULT, f"{code} {message}".encode())
        self._answered = True

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Show that somebody is at work on the segment; left without an answer, say that it failed."""
        key = LEASE_KEY.format(segment=self.segment, attempt=self.attempt)
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEW_SECONDS):
                with contextlib.suppress(redis_client.RedisError):
                    self.redis.set(key, 1, px=int(LEASE_SECONDS * 1000))

        self.redis.set(key, 1, px=int(LEASE_SECONDS * 1000))
        self._send(STARTED)
        renewing = threading.Thread(target=renew, name="stream lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            over.set()
            renewing.join()
            if not self._answered:
                self._send(FAILED)
            self.redis.delete(key)

    def _send(self, state: bytes, body: bytes = b"") -> None:
        key = INBOX_KEY.format(inbox=self.inbox)
        fields: Any = {
            "segment": self.segment,
            "attempt": self.attempt,
            "state": state,
            "body": body,
        }
        with self.redis.pipeline() as pipeline:
            pipeline.xadd(key, fields)
            pipeline.expire(key, INBOX_SECONDS)
            pipeline.execute()
