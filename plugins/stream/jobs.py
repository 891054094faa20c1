"""Background work of the stream plugin: integer keys in, one service call."""

from __future__ import annotations

from typing import Final

from core import Job
from plugins.stream import services
from plugins.stream.answers import Reply
from plugins.stream.extension import analyst
from plugins.stream.media import SWEEP_SECONDS, patient_redis

QUEUE: Final = "stream"
ANALYSIS_TIMEOUT: Final = 3_600
"""Beyond any analysis: its own deadline depends on the media's length, and holds first."""


def analyze(session_key: int, segment: int, inbox: int, attempt: int) -> None:
    """Analyse one segment and answer the process that waits for it."""
    redis = patient_redis()
    if redis is not None:
        reply = Reply(redis, inbox, segment, attempt)
        services.analyze_segment(session_key, segment, analyst(), reply)


def sweep() -> None:
    """Delete media that outstayed its time."""
    services.sweep()


JOBS = (
    # Tried again by who waits for it, within seconds, and once.
    Job(services.ANALYZE_JOB, analyze, queue=QUEUE, timeout=ANALYSIS_TIMEOUT, retry=1),
    Job("stream.sweep", sweep, timeout=300, every=SWEEP_SECONDS),
)
