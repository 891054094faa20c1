"""Prometheus metrics; labels are routes and statuses, never accounts, sessions or anything a client sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.queues import JobTotals

#: Upper bounds in seconds: the accept path takes about a millisecond, an upload some seconds.
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Hold the metrics of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "subtext_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "subtext_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.items = Counter(
            "subtext_items",
            "Items sent to the accept path.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.enqueue_failures = Counter(
            "subtext_enqueue_failures",
            "Jobs that could not be queued because Redis was away.",
            registry=self.registry,
        )

    def render(
        self, queues: Mapping[str, int], jobs: Mapping[str, JobTotals], outbox: int | None
    ) -> bytes:
        """Return the text format: this app's metrics of all processes, and what the queues and workers say."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry = self.registry
        return bytes(generate_latest(registry)) + bytes(
            generate_latest(_background(queues, jobs, outbox))
        )


def _background(
    queues: Mapping[str, int], jobs: Mapping[str, JobTotals], outbox: int | None
) -> CollectorRegistry:
    # Read from Redis and the database when asked: a gauge of each process would add up what all last saw.
    registry = CollectorRegistry()
    registry.register(_Background(queues, jobs, outbox))
    return registry


class _Background(Collector):
    def __init__(
        self, queues: Mapping[str, int], jobs: Mapping[str, JobTotals], outbox: int | None
    ) -> None:
        self._queues = queues
        self._jobs = jobs
        self._outbox = outbox

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the background work."""
        lengths = GaugeMetricFamily(
            "subtext_queue_length", "Jobs that wait in a queue.", labels=("queue",)
        )
        for queue, length in self._queues.items():
            lengths.add_metric((queue,), length)
        yield lengths
        runs = CounterMetricFamily("subtext_jobs", "Jobs run.", labels=("job", "outcome"))
        seconds = CounterMetricFamily(
            "subtext_job_seconds", "Seconds that jobs took.", labels=("job",)
        )
        for name, totals in self._jobs.items():
            runs.add_metric((name, "done"), totals.done)
            runs.add_metric((name, "failed"), totals.failed)
            seconds.add_metric((name,), totals.seconds)
        yield runs
        yield seconds
        if self._outbox is not None:
            yield GaugeMetricFamily(
                "subtext_outbox_length",
                "Batches of evidence not yet told to every plugin.",
                self._outbox,
            )
