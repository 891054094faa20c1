"""The plugin's table of contents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import hookimpl
from plugins.ingestion import models, services, views

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core import Blueprint, Model, Session, TimelineEntry


@hookimpl
def register_models() -> Iterable[type[Model]]:
    """Name the three tables."""
    return models.MODELS


@hookimpl
def register_migrations() -> Path:
    """Say where the migrations are."""
    return Path(__file__).parent / "migrations"


@hookimpl
def register_blueprints() -> Iterable[Blueprint]:
    """Offer the three addresses."""
    return [views.build_blueprint()]


@hookimpl
def session_timeline(session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:
    """Recall a session's items."""
    return services.read_timeline(session, after, limit)


@hookimpl
def erase_session(session: Session) -> int:
    """Delete a session's items."""
    return services.erase(session)
