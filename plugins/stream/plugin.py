"""The hooks that the stream plugin implements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import Setting, current, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType
    from typing import Any

    import click
    from flask import Flask
    from peewee import Model

    from core import Job, Session, TimelineEntry


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Return the plugin's settings."""
    from plugins.stream.settings import SETTINGS

    return SETTINGS


@hookimpl
def register_hookspecs() -> ModuleType:
    """Return the hooks offered to others."""
    from plugins.stream import hookspecs

    return hookspecs


@hookimpl
def register_models() -> Iterable[type[Model]]:
    """Return the tables."""
    from plugins.stream.models import MODELS

    return MODELS


@hookimpl
def register_migrations() -> Path:
    """Return where the migrations are."""
    return Path(__file__).parent / "migrations"


@hookimpl
def register_blueprints() -> Iterable[Any]:
    """Return the routes and pages."""
    from plugins.stream.views import build_blueprints

    return build_blueprints()


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Return the background jobs."""
    from plugins.stream.jobs import JOBS

    return JOBS


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the commands."""
    from plugins.stream.cli import add_commands

    add_commands(cli)


@hookimpl
def register_analyzers() -> Mapping[str, str]:
    """Return the analyzer that comes with the plugin."""
    from plugins.stream.analyzers import BUILTIN, BUILTIN_FACTORY

    return {BUILTIN: BUILTIN_FACTORY}


@hookimpl
def signals_detected(signals: Sequence[Mapping[str, Any]]) -> None:
    """Count signals."""
    for signal in signals:
        current().metrics.items.labels("signal", signal["type"]).inc()


@hookimpl
def session_timeline(session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:
    """Return signals and states of engagement."""
    from plugins.stream.findings import timeline

    return timeline(session, after, limit)


@hookimpl
def erase_session(session: Session) -> int:
    """Remove everything about a session, media that waits included."""
    from plugins.stream.services import forget

    return forget(session)


@hookimpl
def app_ready(app: Flask) -> None:
    """Check the choice of the analyzer, and make the place where this process's streams meet."""
    from plugins.stream.analyzers import chosen_analyzer
    from plugins.stream.extension import StreamExtension

    with app.app_context():
        chosen_analyzer()
        settings = current().settings
        app.extensions["stream"] = StreamExtension(
            settings["SUBTEXT_STREAM_MAX_SOCKETS"], settings["SUBTEXT_STREAM_MAX_PER_ACCOUNT"]
        )
