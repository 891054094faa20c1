"""Background jobs: what plugins declare, and `enqueue()`, which sends them after the commit.

A job is work that may be lost, doubled or late: what must not be lost lies in the database, and a
periodic job comes back for it. A job carries integer keys, never personal data.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
import redis as redis_client

from core.database import after_commit
from core.errors import ConfigurationError
from core.queues import Queues
from core.runtime import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from redis import Redis

    from core.queues import JobTotals

T = TypeVar("T")

logger = logging.getLogger(__name__)

DEFAULT_QUEUE: Final = "default"
PENDING_SECONDS: Final = 60  # a unique job that was lost can be sent again after this
NAME_FORM: Final = re.compile(r"[a-z][a-z0-9_-]*\.[a-z][a-z0-9_]*")
QUEUE_FORM: Final = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class Job:
    """Declare one kind of background work, named `<plugin>.<verb>`.

    `func` takes keyword arguments that JSON can hold, runs in an app context with a database
    connection of its own, and may run twice for one call. `timeout` is in whole seconds; `retry`
    is how often it is tried in all, with growing pauses, before it is parked with its error.
    `every` makes it periodic: once per so many seconds in the whole installation, without
    arguments.
    """

    name: str
    func: Callable[..., object]
    queue: str = DEFAULT_QUEUE
    timeout: int = 60
    retry: int = 5
    every: float | None = None

    def __post_init__(self) -> None:
        if not NAME_FORM.fullmatch(self.name):
            raise ConfigurationError(f"job {self.name!r}: a name is <plugin>.<verb>, in lower case")
        if not QUEUE_FORM.fullmatch(self.queue):
            raise ConfigurationError(f"job {self.name}: {self.queue!r} is no name for a queue")
        if type(self.timeout) is not int or self.timeout < 1:
            raise ConfigurationError(f"job {self.name}: timeout is whole seconds, 1 or more")
        if type(self.retry) is not int or self.retry < 1:
            raise ConfigurationError(f"job {self.name}: retry is how often it is tried, 1 or more")
        if self.every is not None and not self.every >= 1:
            raise ConfigurationError(f"job {self.name}: every is seconds, 1 or more")


class JobRegistry:
    """Hold the jobs of one app and send them to its Redis.

    Without a Redis nothing is sent, and `run` is the way to run a job. While Redis is away, the
    first call waits for the client's timeout; then none is tried for `pause` seconds. `on_unsent`
    is called with the name of each job that could not be sent.
    """

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        redis: Redis | None = None,
        *,
        pause: float = 2.0,
        on_unsent: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis = redis
        self.queues = Queues(redis) if redis is not None else None
        self.pause = pause
        self._on_unsent = on_unsent
        self._clock = clock
        self._paused_until = float("-inf")
        self._jobs: dict[str, Job] = {}
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """Register a job; ConfigurationError when the name is taken."""
        if job.name in self._jobs:
            raise ConfigurationError(f"two jobs are named {job.name}")
        self._jobs[job.name] = job

    def __getitem__(self, name: str) -> Job:
        try:
            return self._jobs[name]
        except KeyError:
            raise LookupError(f"no job is named {name}: is its plugin loaded?") from None

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def periodic(self) -> list[Job]:
        """Return the jobs that run by the clock."""
        return [job for job in self if job.every is not None]

    def queue_names(self) -> set[str]:
        """Return the queues that the jobs name."""
        return {job.queue for job in self}

    def run(self, name: str, /, **kwargs: Any) -> object:
        """Run a job here and now and return what it returns; LookupError for an unknown name."""
        return self[name].func(**kwargs)

    def enqueue(
        self,
        name: str,
        /,
        *,
        unique: str | None = None,
        delay: float | None = None,
        **kwargs: Any,
    ) -> bool:
        """Send a job once the current transaction is committed, or at once when there is none.

        With `unique`, an equal call is skipped while one is waiting: the job reads what there is to
        do when it starts, so whatever happened in between is seen. `delay` is in seconds. Returns
        False when it is known now that nothing is sent: no Redis, or Redis away. Never raises for
        Redis' sake, since what the job follows has already happened. LookupError for an unknown
        name, TypeError for arguments that JSON cannot hold.
        """
        job = self[name]
        orjson.dumps(kwargs)
        if self.queues is None or self._is_paused():
            self._unsent(name)
            return False
        results: list[bool] = []
        after_commit(lambda: results.append(self._send(job, unique, delay, kwargs)))
        return results[0] if results else True

    def drop(self, **kwargs: Any) -> int:
        """Remove the waiting and parked jobs that carry all these arguments; return how many.

        For an erasure: `drop(session_key=7)`. Jobs beyond the first 10,000, and those of a Redis
        that is away, stay: a job for a session that is gone does nothing.
        """
        wanted = kwargs.items()
        if not kwargs:
            raise TypeError("drop() wants the arguments of the jobs to remove")
        return self.drop_jobs(lambda _name, its: wanted <= its.items())

    def drop_jobs(self, predicate: Callable[[str, Mapping[str, Any]], bool]) -> int:
        """Remove the waiting and parked jobs for which `predicate(name, kwargs)` holds."""
        return self._ask(
            lambda queues: queues.drop(lambda sent: predicate(sent.name, sent.kwargs)), away=0
        )

    def queue_lengths(self) -> dict[str, int]:
        """Return how many jobs wait on each queue; empty while there is no Redis."""
        return self._ask(lambda queues: queues.lengths(self.queue_names()), away={})

    def totals(self) -> dict[str, JobTotals]:
        """Return what all workers did, by job name; empty while there is no Redis."""
        return self._ask(lambda queues: queues.totals(), away={})

    def worker_count(self, queue: str | None = None) -> int | None:
        """Return how many worker processes there are, of one queue or of any; None while there is no Redis."""
        return self._ask(lambda queues: queues.worker_count(queue), away=None)

    def _send(
        self, job: Job, unique: str | None, delay: float | None, kwargs: Mapping[str, Any]
    ) -> bool:
        def put(queues: Queues) -> bool:
            pending = PENDING_SECONDS + (delay or 0)
            if unique is None or queues.claim(job.name, unique, pending):
                queues.put(job, kwargs, unique=unique, delay=delay)
            return True

        sent = self._ask(put, away=False)
        if not sent:
            self._unsent(job.name)
        return sent

    def _ask(self, question: Callable[[Queues], T], *, away: T) -> T:
        """Return the answer of Redis, or `away` when there is none and for a while after."""
        if self.queues is None or self._is_paused():
            return away
        try:
            return question(self.queues)
        except redis_client.RedisError as error:
            self._paused_until = self._clock() + self.pause
            logger.warning("Redis is away, not asked again for %g s: %s", self.pause, error)
            return away

    def _is_paused(self) -> bool:
        return self._clock() < self._paused_until

    def _unsent(self, name: str) -> None:
        if self._on_unsent is not None and self.queues is not None:
            self._on_unsent(name)


def enqueue(
    name: str, /, *, unique: str | None = None, delay: float | None = None, **kwargs: Any
) -> bool:
    """Send a job of the active app after the current commit; see `JobRegistry.enqueue`."""
    return current().jobs.enqueue(name, unique=unique, delay=delay, **kwargs)


def run_job(name: str, kwargs: Mapping[str, Any], unique: str | None = None) -> None:
    """Run a job that came from a queue, in the worker's app context: all that Redis names."""
    jobs = current().jobs
    if unique is not None and jobs.queues is not None:
        # Before the work, so that what changes while it runs is a new call.
        jobs.queues.unclaim(name, unique)
    jobs.run(name, **kwargs)
