"""The core's own periodic jobs."""

from __future__ import annotations

import time

from core.answers import drop_expired_answers
from core.evidence import DRAIN_JOB, drain_outbox
from core.jobs import Job
from core.sessions import drop_expired_tombstones, erase_expired_sessions

#: Seconds between two looks at the outbox, for evidence whose nudge was lost.
OUTBOX_SWEEP_SECONDS = 5
#: Seconds between two clean-ups.
CLEANUP_SECONDS = 600
#: Seconds of one clean-up, and those in which it goes on erasing.
CLEANUP_TIMEOUT_SECONDS = 300
ERASE_SECONDS = 240


def core_jobs() -> list[Job]:
    """Return the jobs of the core."""
    return [
        Job(DRAIN_JOB, drain_outbox, timeout=120, every=OUTBOX_SWEEP_SECONDS),
        Job("core.clean_up", clean_up, timeout=CLEANUP_TIMEOUT_SECONDS, every=CLEANUP_SECONDS),
    ]


def clean_up() -> None:
    """Forget what is over: stored answers, tombstones, sessions past the retention time."""
    drop_expired_answers()
    drop_expired_tombstones()
    deadline = time.monotonic() + ERASE_SECONDS
    while erase_expired_sessions() and time.monotonic() < deadline:
        pass
