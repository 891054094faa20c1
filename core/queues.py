"""RQ, and all the core knows of it: jobs put on queues of one Redis, looked at, and taken off."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from rq import Queue, Retry
from rq.exceptions import NoSuchJobError
from rq.job import Job as QueuedJob
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler
from rq.utils import as_text
from rq.worker import BaseWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from redis import Redis

    from core.jobs import Job

ENTRY_POINT = "core.jobs.run_job"
PENDING_KEY = "subtext:pend:{name}:{unique}"
TOTALS_KEY = "subtext:jobs"
BACKOFF_BASE = 2.0  # seconds before the second try, doubled for each one after
BACKOFF_CAP = 600.0  # seconds
PARKED_SECONDS = 30 * 86_400  # how long a job that failed for good is kept to be looked at
FETCH_CHUNK = 500  # jobs read from Redis in one round trip
DROP_SCAN = 10_000  # jobs looked at for one erasure, about a second's worth

_jitter = secrets.SystemRandom()


class JsonSerializer:
    """Keep job arguments as JSON, so that what lies in Redis can be read and never executed."""

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """Return JSON; TypeError for what JSON cannot hold."""
        return orjson.dumps(obj)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return what the JSON says."""
        return orjson.loads(data)


@dataclass(frozen=True)
class Sent:
    """Describe a job that lies on a queue, waits for its time, or is parked."""

    id: str
    name: str
    kwargs: Mapping[str, Any]
    unique: str | None
    queue: str
    #: "queued", "scheduled" (for later, or for its next try) or "parked" (failed for good)
    state: str
    created_at: datetime
    #: The traceback of the last try, when it is parked and errors were asked for.
    error: str = ""


@dataclass(frozen=True)
class JobTotals:
    """Count the runs of one job, and the seconds they took, since the Redis was new."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0


def retry_intervals(retries: int) -> list[int]:
    """Return the seconds to wait before each retry: doubling, bounded, spread by half either way.

    The spread keeps jobs that failed together from coming back together (Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    waits = (min(BACKOFF_CAP, BACKOFF_BASE * 2**n) for n in range(retries))
    return [max(1, round(wait * _jitter.uniform(0.5, 1.5))) for wait in waits]


class Queues:
    """Put jobs on the queues of one Redis, and take them off.

    Every method talks to Redis and raises `redis.RedisError` when that fails. What a job stores is
    its name and JSON arguments: the code it runs is looked up by the worker.
    """

    serializer: ClassVar[type[JsonSerializer]] = JsonSerializer

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._scheduler: RQScheduler | None = None

    def claim(self, name: str, unique: str, seconds: float) -> bool:
        """Return whether no equal job waits, and let no other one through for `seconds`."""
        key = PENDING_KEY.format(name=name, unique=unique)
        return bool(self.redis.set(key, 1, nx=True, px=int(seconds * 1000)))

    def unclaim(self, name: str, unique: str) -> None:
        """Let the next equal job through."""
        self.redis.delete(PENDING_KEY.format(name=name, unique=unique))

    def put(
        self,
        job: Job,
        kwargs: Mapping[str, Any],
        *,
        unique: str | None = None,
        delay: float | None = None,
        parked_seconds: int = PARKED_SECONDS,
    ) -> None:
        """Put a job on its queue, now or `delay` seconds from now."""
        queue = self._queue(job.queue)
        retries = job.retry - 1
        options: dict[str, Any] = {
            "args": (job.name, dict(kwargs), unique),
            "timeout": job.timeout,
            "retry": Retry(retries, retry_intervals(retries)) if retries else None,
            "result_ttl": 0,
            "failure_ttl": parked_seconds,
            "description": job.name,
        }
        if delay:
            queue.enqueue_in(timedelta(seconds=delay), ENTRY_POINT, **options)
        else:
            queue.enqueue_call(ENTRY_POINT, **options)

    def names(self) -> list[str]:
        """Return the names of all queues that were ever used, sorted."""
        return sorted(queue.name for queue in Queue.all(self.redis, serializer=self.serializer))

    def lengths(self, names: Iterable[str] = ()) -> dict[str, int]:
        """Return how many jobs wait on each queue, on those of `names` even if never used."""
        return {name: self._queue(name).count for name in sorted({*self.names(), *names})}

    def parked_count(self) -> int:
        """Return how many jobs have failed for good and wait for somebody to look."""
        return sum(self._parked(name).count for name in self.names())

    def worker_count(self, queue: str | None = None) -> int:
        """Return how many worker processes, of one queue or of any, have shown themselves of late."""
        keys = BaseWorker.all_keys(self.redis, None if queue is None else self._queue(queue))
        # The set of names keeps a worker that was killed; its own key has an expiry.
        return int(self.redis.exists(*keys)) if keys else 0

    def list(self, state: str = "", *, errors: bool = False) -> Iterator[Sent]:
        """Yield the jobs that wait or are parked, oldest first per queue, in bounded memory.

        `state` picks one of "queued", "scheduled" and "parked"; `errors` reads those of parked jobs.
        """
        for name in self.names():
            for its_state, job_ids in self._states(name):
                if state in ("", its_state):
                    for job in self._fetch(job_ids()):
                        yield _sent(job, its_state, errors=errors)

    def find(self, job_id: str) -> Sent | None:
        """Return a job that waits or is parked, its full error included."""
        try:
            job = QueuedJob.fetch(job_id, self.redis, self.serializer)
        except NoSuchJobError:
            return None
        if job_id in self._parked(job.origin):
            return _sent(job, "parked", errors=True)
        return _sent(job, "scheduled" if job_id in self._scheduled(job.origin) else "queued")

    def retry(self, job_id: str, *, tries: int) -> bool:
        """Put a parked job back on its queue for `tries` tries; False when it is not parked."""
        try:
            job = QueuedJob.fetch(job_id, self.redis, self.serializer)
        except NoSuchJobError:
            return False
        registry = self._parked(job.origin)
        if job_id not in registry:
            return False
        job.retries_left = tries - 1
        job.retry_intervals = retry_intervals(tries - 1)
        registry.requeue(job)
        return True

    def drop(self, predicate: Callable[[Sent], bool], state: str = "") -> int:
        """Remove the waiting and parked jobs that `predicate` names and return how many.

        A job that is running is left to its end. With more than DROP_SCAN jobs the rest is not
        looked at, so that nobody waits for long.
        """
        doomed = [job.id for job in islice(self.list(state), DROP_SCAN) if predicate(job)]
        for job in self._fetch(doomed):
            job.delete()
            name, _, unique = _arguments(job)
            if unique is not None:
                self.unclaim(name, unique)
        return len(doomed)

    def count_run(self, name: str, seconds: float, *, failed: bool) -> None:
        """Add one run of a job to the totals."""
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hincrby(TOTALS_KEY, f"{name}:{'failed' if failed else 'done'}", 1)
            pipeline.hincrbyfloat(TOTALS_KEY, f"{name}:seconds", seconds)
            pipeline.execute()

    def totals(self) -> dict[str, JobTotals]:
        """Return what all workers together did, by job name."""
        found = {
            as_text(key): float(value) for key, value in self.redis.hgetall(TOTALS_KEY).items()
        }
        return {
            name: JobTotals(
                int(found.get(f"{name}:done", 0)),
                int(found.get(f"{name}:failed", 0)),
                found.get(f"{name}:seconds", 0.0),
            )
            for name in sorted({field.rpartition(":")[0] for field in found})
        }

    def release_due(self) -> None:
        """Move the jobs whose time has come to their queues.

        For one caller at a time: two at once may put a job on its queue twice.
        """
        if self._scheduler is None:  # it keeps a connection of its own
            self._scheduler = RQScheduler(
                [], self.redis, serializer=self.serializer, logging_level=logging.WARNING
            )
        if names := self.names():
            self._scheduler.prepare_registries(names)
            self._scheduler.enqueue_scheduled_jobs()  # type: ignore[no-untyped-call]

    def _queue(self, name: str) -> Queue:
        return Queue(name, self.redis, serializer=self.serializer)

    def _parked(self, name: str) -> FailedJobRegistry:
        return FailedJobRegistry(name, self.redis, serializer=self.serializer)

    def _scheduled(self, name: str) -> ScheduledJobRegistry:
        return ScheduledJobRegistry(  # type: ignore[no-untyped-call]
            name, connection=self.redis, serializer=self.serializer
        )

    def _states(self, name: str) -> Iterator[tuple[str, Callable[[], Sequence[str]]]]:
        yield "queued", self._queue(name).get_job_ids
        yield "scheduled", self._scheduled(name).get_job_ids
        yield "parked", self._parked(name).get_job_ids

    def _fetch(self, job_ids: Sequence[str]) -> Iterator[QueuedJob]:
        for start in range(0, len(job_ids), FETCH_CHUNK):
            chunk = list(job_ids[start : start + FETCH_CHUNK])
            found = QueuedJob.fetch_many(chunk, self.redis, self.serializer)
            yield from (job for job in found if job is not None)


def _arguments(job: QueuedJob) -> tuple[str, Mapping[str, Any], str | None]:
    name, kwargs, unique = job.args
    return name, kwargs, unique


def _sent(job: QueuedJob, state: str, *, errors: bool = False) -> Sent:
    name, kwargs, unique = _arguments(job)
    error = ""
    if errors and state == "parked":
        result = job.latest_result()
        error = (result.exc_string or "") if result is not None else ""
    return Sent(
        id=job.id,
        name=name,
        kwargs=kwargs,
        unique=unique,
        queue=job.origin,
        state=state,
        created_at=job.created_at.astimezone(UTC),
        error=error,
    )
