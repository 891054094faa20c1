"""Periodic jobs: one service call each."""

from __future__ import annotations

from core import Job
from plugins.clickstream.outcomes import close_overdue_searches
from plugins.clickstream.services import expire_orphans

MINUTE, HOUR = 60, 3_600

JOBS = (
    Job("clickstream.close_overdue", close_overdue_searches, every=MINUTE),
    Job("clickstream.expire_orphans", expire_orphans, every=HOUR),
)
