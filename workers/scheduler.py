"""Periodic jobs, and jobs whose time has come: one process of all installed leads, the rest wait.

It is a process of its own beside the workers: a long job does not hold it up, and a crash of it is
seen and mended like a worker's.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import redis as redis_client
from redis.exceptions import LockError
from rq.utils import as_text

from core.queues import PARKED_SECONDS, Queues
from workers.worker import build_app, connect, runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from core.jobs import Job

logger = logging.getLogger(__name__)

LEADER_KEY: Final = "subtext:scheduler"
SCHEDULE_KEY: Final = "subtext:schedule"  # hash: name of a periodic job -> when it was last due
LEASE_SECONDS: Final = 15.0  # how long a leader that was killed is waited for
TICK_SECONDS: Final = 1.0
UNIQUE: Final = "periodic"
PENDING_SECONDS: Final = 300.0  # without workers, one job per so many seconds piles up at most
RETRY_PERIOD: Final = 300.0  # a job that comes more often than this is not retried in between
PARKED_RUNS: Final = 100  # failed runs of one periodic job that are kept at most


class Scheduler:
    """Send periodic jobs when they are due, if this is the leader.

    The state is one timestamp per job: when it was last due, by the clock of Redis, which all
    machines share. So a changed `every` holds at once, a job that is new is due at once, one that
    vanished is forgotten, and however many ticks were missed, it is due once.
    """

    def __init__(
        self, jobs: Iterable[Job], redis: Redis, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self.redis = redis
        self.queues = Queues(redis)
        self.leading = False
        self._periodic = {job.name: job for job in jobs if job.every is not None}
        self._lock = redis.lock(LEADER_KEY, timeout=lease_seconds)

    def tick(self) -> list[str]:
        """Do what is due now if this is the leader; return the names of the jobs that were due.

        Raises `redis.RedisError`.
        """
        self._stand_for_leader()
        if not self.leading:
            return []
        self.queues.release_due()
        return self._send_due()

    def resign(self) -> None:
        """Let another one lead at once."""
        if self.leading:
            self.leading = False
            try:
                self._lock.release()
            except redis_client.RedisError as error:
                logger.warning("the lead was not given up, it expires: %s", error)

    def run(self, stopping: threading.Event) -> None:
        """Tick until told to stop."""
        away = False
        while not stopping.is_set():
            try:
                self.tick()
                away = False
            except redis_client.RedisError as error:
                self.leading = False
                if not away:
                    logger.warning("Redis is away, no job is scheduled: %s", error)
                away = True
            stopping.wait(TICK_SECONDS)
        self.resign()

    def _stand_for_leader(self) -> None:
        if self.leading:
            try:
                self._lock.reacquire()
            except LockError:  # this process was held up for longer than the lease
                logger.warning("another process has the lead")
                self.leading = False
            else:
                return
        self.leading = bool(self._lock.acquire(blocking=False))

    def _send_due(self) -> list[str]:
        seconds, microseconds = self.redis.time()
        now = seconds + microseconds / 1e6
        last = {as_text(name): float(at) for name, at in self.redis.hgetall(SCHEDULE_KEY).items()}
        if vanished := last.keys() - self._periodic.keys():
            self.redis.hdel(SCHEDULE_KEY, *vanished)
        sent = []
        for name, job in self._periodic.items():
            due = _last_due(last.get(name), job.every or 0.0, now)
            if due is not None:
                # Sent, then noted: after a crash in between it is sent twice, not never.
                self._send(job)
                self.redis.hset(SCHEDULE_KEY, name, repr(due))
                sent.append(name)
        return sent

    def _send(self, job: Job) -> None:
        every = job.every or 0.0
        if self.queues.claim(job.name, UNIQUE, PENDING_SECONDS):
            self.queues.put(
                job if every >= RETRY_PERIOD else replace(job, retry=1),
                {},
                unique=UNIQUE,
                parked_seconds=min(PARKED_SECONDS, math.ceil(PARKED_RUNS * every)),
            )


def run_scheduler() -> None:
    """Schedule the app's jobs until SIGTERM or SIGINT."""
    stopping = threading.Event()
    app = build_app()
    scheduler = Scheduler(runtime_of(app).jobs, connect(app))
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda _signum, _frame: stopping.set())
    scheduler.run(stopping)


def _last_due(last: float | None, every: float, now: float) -> float | None:
    """Return the latest moment up to now at which a job was due, or None when it is not due again."""
    if last is None or last > now:  # new, or the clock was put back
        return now
    periods = math.floor((now - last) / every)
    return last + periods * every if periods else None
