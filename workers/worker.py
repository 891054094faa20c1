"""A worker process: takes jobs from one queue and runs them in an app that is built once."""

from __future__ import annotations

import importlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import redis as redis_client
from rq.exceptions import StopRequested
from rq.worker import SimpleWorker

from core.database import release_connection
from core.errors import ConfigurationError
from core.logs import configure_logging, redact
from core.queues import JsonSerializer, Queues
from core.redis import open_redis
from core.runtime import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from flask import Flask
    from redis import Redis
    from redis.client import Pipeline
    from rq import Queue
    from rq.executions import Execution
    from rq.job import Job

    from core.runtime import Runtime

logger = logging.getLogger(__name__)

APP_FACTORY: Final = "app:create_app"
#: What runs the jobs of a queue, as `module:class`; a queue that is not here gets DEFAULT_WORKER.
WORKERS: Final = {
    "default": "workers.worker:QueueWorker",
    "stream": "workers.worker:PreparedWorker",
}
DEFAULT_WORKER: Final = "workers.worker:QueueWorker"

MAX_JOBS: Final = 5_000  # then a fresh process: what libraries leak stays small
POLL_SECONDS: Final = 1  # how long a request to stop waits for a worker that has nothing to do
WORKER_TTL: Final = 30  # seconds after its last sign of life in which a worker counts as there
MAINTENANCE_SECONDS: Final = 60  # how often jobs of workers that were killed are looked for
REDIS_TIMEOUT: Final = 10.0  # seconds; a worker may wait longer than a request
REDIS_RETRY_SECONDS: Final = 2.0  # between two looks at a Redis that is away


class QueueWorker(SimpleWorker):
    """Run the jobs of one queue one after another, in this process.

    Each job has an app context and gives its database connection back. A request to stop (SIGTERM,
    SIGINT) lets the running job end and takes no other, however often it comes.
    """

    max_connection_wait_time = (
        REDIS_RETRY_SECONDS  # the longest pause between two tries while Redis is away
    )
    log_result_lifespan = False

    def __init__(self, app: Flask, queue: str, redis: Redis) -> None:
        self.app = app
        self.runs = Queues(redis)
        super().__init__(
            [queue],
            connection=redis,
            serializer=JsonSerializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=MAINTENANCE_SECONDS,
            log_job_description=False,
        )

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run one job and tell whether it went well; its failure is kept by the queue."""
        name = job.description or ""
        started = time.monotonic()
        with self.app.app_context():
            try:
                done = super().perform_job(job, queue, execution)
            finally:
                release_connection()
        seconds = time.monotonic() - started
        logger.log(
            logging.DEBUG if done else logging.WARNING,
            "job %s",
            "done" if done else "failed",
            extra={"job": name, "job_id": job.id, "seconds": round(seconds, 6)},
        )
        try:
            self.runs.count_run(name, seconds, failed=not done)
        except redis_client.RedisError as error:
            logger.warning("a run of %s was not counted: %s", name, error)
        return done

    def handle_job_failure(self, job: Job, queue: Queue, *rest: Any, **details: Any) -> None:
        """Keep how a job failed, without the credentials that its traceback may name."""
        details["exc_string"] = redact(details.get("exc_string", ""))
        super().handle_job_failure(job, queue, *rest, **details)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take no more jobs. Nothing is raised: a job that was just taken must not be lost."""
        self._stop_requested = True

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Return the next job, or None when asked to stop."""
        if timeout is None:  # burst: until the queue is empty
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        while not self._stop_requested:
            taken = super().dequeue_job_and_maintain_ttl(timeout, POLL_SECONDS)
            if taken is not None:
                return taken
        return None

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Show that this worker is there, for `timeout` seconds or WORKER_TTL."""
        try:
            super().heartbeat(timeout or WORKER_TTL, pipeline)
        except (redis_client.ConnectionError, redis_client.TimeoutError):
            if self._stop_requested:
                raise StopRequested from None  # else it would wait for Redis to come back
            raise

    def teardown(self) -> None:
        """Take this worker off the list; without Redis its entry expires."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except redis_client.RedisError as error:
            logger.warning("the end of this worker was not noted: %s", error)


class PreparedWorker(QueueWorker):
    """Run jobs that need something which takes its time to load: it is loaded before the first job.

    The queue is named like its plugin, whose extension of the app has `prepare_worker()` and `close_worker()`, called
    in an app context; without the plugin there is nothing to do.
    """

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Serve the queue; ConfigurationError when what the jobs need is not there."""
        extension = self.app.extensions.get(self.queues[0].name)
        if extension is None:
            return super().work(*args, **kwargs)
        with self.app.app_context():
            try:
                extension.prepare_worker()
                return super().work(*args, **kwargs)
            finally:
                extension.close_worker()


def build_app() -> Flask:
    """Return the app of this process, with its logs set up; for entry points."""
    module, _, name = APP_FACTORY.partition(":")
    factory: Callable[[], Flask] = getattr(importlib.import_module(module), name)
    app = factory()
    configure_logging(runtime_of(app).settings["SUBTEXT_LOG_LEVEL"])
    return app


def runtime_of(app: Flask) -> Runtime:
    """Return the parts of an app."""
    runtime: Runtime = app.extensions[EXTENSION]
    return runtime


def connect(app: Flask) -> Redis:
    """Return a client for the app's Redis once it answers; ConfigurationError without REDIS_URL."""
    client = open_redis(runtime_of(app).settings, timeout=REDIS_TIMEOUT)
    if client is None:
        raise ConfigurationError("workers need REDIS_URL: the queues are in Redis")
    while True:
        try:
            client.ping()
        except (redis_client.ConnectionError, redis_client.TimeoutError) as error:
            logger.warning("Redis is away, trying again: %s", error)
            time.sleep(REDIS_RETRY_SECONDS)
        else:
            return client


def worker_class(queue: str) -> type[QueueWorker]:
    """Return what runs the jobs of a queue."""
    module, _, name = WORKERS.get(queue, DEFAULT_WORKER).partition(":")
    its_class: type[QueueWorker] = getattr(importlib.import_module(module), name)
    return its_class


def run_worker(queue: str, *, burst: bool = False) -> None:
    """Serve one queue until asked to stop or MAX_JOBS are done; with `burst`, until it is empty."""
    app = build_app()
    worker = worker_class(queue)(app, queue, connect(app))
    worker.work(burst=burst, max_jobs=MAX_JOBS, logging_level="WARNING")
