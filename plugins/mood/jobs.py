"""Background work of the mood plugin: integer keys in, one service call."""

from __future__ import annotations

from core import Job
from plugins.mood import services

SWEEP_SECONDS = 300
"""Between two looks for stale sessions; a lost job is made good within this time."""


def recompute(session_key: int) -> None:
    """Compute the mood of one session anew."""
    services.recompute_session(session_key)


def sweep() -> None:
    """Compute stale moods anew."""
    services.sweep()


JOBS = (
    Job(services.RECOMPUTE_JOB, recompute, timeout=300),
    Job(services.SWEEP_JOB, sweep, timeout=300, every=SWEEP_SECONDS),
)
