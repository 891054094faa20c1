"""The streams of one process: how many there may be, where their answers come from, how they are told to end."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Final

import redis as redis_client

from plugins.stream.answers import Answers
from plugins.stream.problems import ServerFull, TooManyStreams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from plugins.stream.mailbox import Mailbox

logger = logging.getLogger(__name__)

OPEN_KEY: Final = "subtext:stream:open:{account}"
RENEW_SECONDS: Final = 20.0
STALE_SECONDS: Final = 60.0
"""When a stream that was not renewed counts as closed: its process was killed."""


class Switchboard:
    """Carry the streams and uploads of one process; thread-safe."""

    def __init__(self, max_places: int, max_per_account: int) -> None:
        self._max_places = max_places
        self._max_per_account = max_per_account
        self._lock = threading.Lock()
        self._taken = 0
        self._by_account: dict[int, int] = {}
        self._mailboxes: set[Mailbox] = set()
        self._is_ending = False
        self._answers: Answers | None = None

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the process's places; ServerFull when there is none, or when the process is to end."""
        with self._lock:
            if self._is_ending or self._taken >= self._max_places:
                raise ServerFull
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    @contextlib.contextmanager
    def line(self, account_id: int, name: str, redis: Redis | None) -> Iterator[Line]:
        """Hold one of the account's streams, in all processes; TooManyStreams when it has enough."""
        line = Line(self, account_id, name, redis)
        line.open()
        try:
            yield line
        finally:
            line.close()

    def answers(self, redis: Redis) -> Answers:
        """Return where the answers of workers come in."""
        with self._lock:
            if self._answers is None:
                self._answers = Answers(redis)
            return self._answers

    @contextlib.contextmanager
    def connected(self, mailbox: Mailbox) -> Iterator[None]:
        """Have a stream told when the process is to end."""
        with self._lock:
            self._mailboxes.add(mailbox)
            if self._is_ending:
                mailbox.ask_to_end()
        try:
            yield
        finally:
            with self._lock:
                self._mailboxes.discard(mailbox)

    def close_sockets(self) -> None:
        """Ask every stream to come to its end, and take no other."""
        with self._lock:
            self._is_ending = True
            mailboxes = list(self._mailboxes)
        for mailbox in mailboxes:
            mailbox.ask_to_end()

    def count(self, account_id: int, change: int) -> int:
        """Change the number of an account's streams in this process, and return it."""
        with self._lock:
            number = self._by_account.get(account_id, 0) + change
            self._by_account[account_id] = number
            if not number:
                del self._by_account[account_id]
            return number

    @property
    def max_per_account(self) -> int:
        """Return how many streams an account may have."""
        return self._max_per_account


class Line:
    """One stream of an account, counted in Redis, or by this process alone while Redis is away."""

    def __init__(
        self, switchboard: Switchboard, account_id: int, name: str, redis: Redis | None
    ) -> None:
        self._switchboard = switchboard
        self._account_id = account_id
        self._key = OPEN_KEY.format(account=account_id)
        self._name = name
        self._redis = redis
        self._renew_at = 0.0

    def open(self) -> None:
        """Count the stream; TooManyStreams."""
        here = self._switchboard.count(self._account_id, 1)
        everywhere = self._renew()
        if max(here, everywhere or 0) > self._switchboard.max_per_account:
            self.close()
            raise TooManyStreams(headers={"Retry-After": "10"})

    def keep_open(self) -> None:
        """Show that the stream is still there, when it is time."""
        if time.monotonic() >= self._renew_at:
            self._renew()

    def close(self) -> None:
        """Count the stream no more."""
        self._switchboard.count(self._account_id, -1)
        if self._redis is not None:
            with contextlib.suppress(redis_client.RedisError):
                self._redis.zrem(self._key, self._name)

    def _renew(self) -> int | None:
        self._renew_at = time.monotonic() + RENEW_SECONDS
        if self._redis is None:
            return None
        now = time.time()
        try:
            with self._redis.pipeline() as pipeline:
                pipeline.zremrangebyscore(self._key, "-inf", now - STALE_SECONDS)
                pipeline.zadd(self._key, {self._name: now})
                pipeline.expire(self._key, int(2 * STALE_SECONDS))
                pipeline.zcard(self._key)
                return int(pipeline.execute()[-1])
        except redis_client.RedisError:
            logger.warning("Redis is away: streams are counted by this process alone")
            return None
