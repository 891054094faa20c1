"""Health: what works, what is degraded, what is down.

`ok`: everything works. `degraded`: requests work, but the queue or a worker is missing. `down`: the database cannot be
written, so nothing can be accepted.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import peewee
from playhouse.pool import MaxConnectionsExceeded

from core import clock
from core.database import fetch_all, transaction
from core.errors import Unavailable
from core.migrations import pending
from core.runtime import current

logger = logging.getLogger(__name__)

#: Seconds for which an answer is given again, so that many watchers cost no more than one.
FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """State one thing that must work: its name, whether it does, whether requests fail without it, and a word why."""

    name: str
    works: bool
    critical: bool = False
    detail: str = ""


def run_checks() -> list[Check]:
    """Check the database, the queue, the workers, and what plugins say of themselves."""
    cache = current().caches
    checked_at, checks = cache.get("health", (0.0, []))
    if time.monotonic() - checked_at > FRESH_SECONDS:
        checks = [_check_database(), *_check_queue()]
        if checks[0].works:
            for name in current().plugins.implementers("check_health"):
                checks += _ask_plugin(name)
        cache["health"] = (time.monotonic(), checks)
    return list(checks)


def overall(checks: list[Check]) -> str:
    """Sum checks up as `ok`, `degraded` or `down`."""
    if any(check.critical and not check.works for check in checks):
        return "down"
    return "ok" if all(check.works for check in checks) else "degraded"


def _ask_plugin(name: str) -> list[Check]:
    try:
        return [check for found in current().plugins.only(name).check_health() for check in found]
    except Exception:  # a question that fails is an answer: this plugin is not ready
        logger.exception("plugin %s could not say whether it is ready", name)
        return [Check(name, works=False, detail="could not say whether it is ready")]


def _check_database() -> Check:
    try:
        if pending():
            return Check(
                "database",
                works=False,
                critical=True,
                detail="is not migrated: run flask db upgrade",
            )
        with transaction():
            # A write, because a full disk still lets a transaction begin.
            fetch_all(
                "INSERT INTO core_heartbeat (name, at) VALUES ('health', ?)"
                " ON CONFLICT (name) DO UPDATE SET at = excluded.at RETURNING at",
                (clock.now(),),
            )
    except Unavailable as error:
        return Check("database", works=False, critical=True, detail=error.message)
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        logger.warning("the database cannot be written: %s", type(error).__name__)
        return Check("database", works=False, critical=True, detail="cannot be written")
    return Check("database", works=True, critical=True)


def _check_queue() -> list[Check]:
    workers = current().jobs.worker_count()
    if workers is None:
        return [Check("queue", works=False, detail="Redis is away or REDIS_URL is not set")]
    return [
        Check("queue", works=True),
        Check("workers", works=workers > 0, detail="" if workers else "no worker is running"),
    ]
