"""What one app holds, and how code below the views reaches it.

Everything per app hangs on one `Runtime` in `app.extensions`; `current()` finds it through the app context, which
each request, job and command has. So two apps can live in one process, and a service needs no Flask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import current_app, has_app_context

if TYPE_CHECKING:
    from peewee import Database
    from redis import Redis

    from core.jobs import JobRegistry
    from core.limits import Limits
    from core.manager import Plugins
    from core.metrics import Metrics
    from core.settings import Settings

EXTENSION = "subtext"
VERSION = "1.0.0"


@dataclass
class Runtime:
    """Hold the parts of one app."""

    settings: Settings
    plugins: Plugins
    database: Database
    redis: Redis | None
    jobs: JobRegistry
    limits: Limits
    metrics: Metrics
    #: Small per-process caches of immutable facts, by name.
    caches: dict[str, Any] = field(default_factory=dict)


def current() -> Runtime:
    """Return the parts of the app whose context is active; RuntimeError outside of one."""
    runtime: Runtime = current_app.extensions[EXTENSION]
    return runtime


def current_or_none() -> Runtime | None:
    """Return the parts of the active app, or None outside of an app context."""
    return current_app.extensions.get(EXTENSION) if has_app_context() else None


def setting(name: str) -> Any:
    """Return the value of a setting of the active app."""
    return current().settings[name]
