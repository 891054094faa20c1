"""The clickstream plugin's table of contents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import ConfigurationError, Setting, flag, hookimpl
from plugins.clickstream import hookspecs, models
from plugins.clickstream.analytics import exporters
from plugins.clickstream.cli import add_commands
from plugins.clickstream.exporters import BUILTIN
from plugins.clickstream.history import erase, timeline
from plugins.clickstream.jobs import JOBS
from plugins.clickstream.views import build_blueprints

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    import click
    from flask import Flask
    from flask.sansio.blueprints import Blueprint
    from peewee import Model

    from core import Job, Session, TimelineEntry
    from plugins.clickstream.hookspecs import Exporter


def window(text: str) -> tuple[float, float] | None:
    """Read two numbers of seconds around now, as in `-43200,300`; nothing is no window."""
    if not text.strip():
        return None
    low, high = (float(part) for part in text.split(","))
    if not low <= high:
        raise ValueError("must be two numbers, the smaller first, as in -43200,300")
    return low, high


def seconds(text: str) -> float:
    """Read a positive number of seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("must be a positive number of seconds")
    return value


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Return the plugin's settings."""
    return [
        Setting(
            "SUBTEXT_CLICKSTREAM_ANONYMOUS",
            False,
            "Whether requests without a key are taken, as the anonymous account's; on under `python app.py`.",
            flag,
        ),
        Setting(
            "SUBTEXT_CLICKSTREAM_WINDOW",
            None,
            "Seconds around now that a `created_at` must lie in, as in `-43200,300`; empty: any time.",
            window,
        ),
        Setting(
            "SUBTEXT_CLICKSTREAM_STRICT",
            False,
            "Whether events for a session that does not exist yet get 404; otherwise they wait a day for it.",
            flag,
        ),
        Setting(
            "SUBTEXT_CLICKSTREAM_ABANDONED_AFTER",
            1800.0,
            "Seconds without a click after which a search with results is abandoned.",
            seconds,
        ),
    ]


@hookimpl
def register_hookspecs() -> ModuleType:
    """Return the hooks offered to others."""
    return hookspecs


@hookimpl
def register_models() -> Iterable[type[Model]]:
    """Return the plugin's tables."""
    return [models.BatchRow, models.SearchRow, models.EventRow, models.OrphanRow]


@hookimpl
def register_migrations() -> Path:
    """Return where the migrations lie."""
    return Path(__file__).with_name("migrations")


@hookimpl
def register_blueprints() -> Iterable[Blueprint]:
    """Return the plugin's routes."""
    return build_blueprints()


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Return the plugin's jobs."""
    return JOBS


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `flask clickstream …`."""
    add_commands(cli)


@hookimpl
def register_exporters() -> Iterable[Exporter]:
    """Return the built-in exporters."""
    return BUILTIN


@hookimpl
def session_timeline(session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:
    """Return the search and the events of a session."""
    return timeline(session, after, limit)


@hookimpl
def erase_session(session: Session) -> int:
    """Remove everything about a session."""
    return erase(session)


@hookimpl
def app_ready(app: Flask) -> None:
    """Refuse to start with two exporters of one name."""
    with app.app_context():
        try:
            exporters()
        except ValueError as error:
            raise ConfigurationError(f"clickstream: {error}") from error
