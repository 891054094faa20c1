"""The hooks that the mood plugin implements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import ConfigurationError, Setting, current, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

    import click
    from flask import Flask
    from peewee import Model

    from core import Blueprint, Evidence, Job, Session, TimelineEntry
    from plugins.mood.engine import Assessment
    from plugins.mood.signals import SignalRule


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Return the plugin's settings."""
    from plugins.mood.quota import PLAN_LIMITS, parse_plan_limits
    from plugins.mood.store import parse_seconds

    return [
        Setting(
            "SUBTEXT_MOOD_CLOCK_SKEW",
            60.0,
            "Seconds that an event may lie ahead of the server's clock; later ones count at receipt.",
            parse_seconds,
        ),
        Setting(
            "SUBTEXT_MOOD_PLAN_LIMITS",
            PLAN_LIMITS,
            "Sessions a month by plan, as in `starter=5000,growth=50000,pro=200000`.",
            parse_plan_limits,
        ),
    ]


@hookimpl
def register_hookspecs() -> ModuleType:
    """Return the hooks offered to others."""
    from plugins.mood import hookspecs

    return hookspecs


@hookimpl
def register_models() -> Iterable[type[Model]]:
    """Return the tables."""
    from plugins.mood.models import MODELS

    return MODELS


@hookimpl
def register_migrations() -> Path:
    """Return where the migrations are."""
    return Path(__file__).parent / "migrations"


@hookimpl
def register_blueprints() -> Iterable[Blueprint]:
    """Return the routes."""
    from plugins.mood.views import build_blueprints

    return build_blueprints()


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Return the background jobs."""
    from plugins.mood.jobs import JOBS

    return JOBS


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the commands."""
    from plugins.mood.cli import add_commands

    add_commands(cli)


@hookimpl
def register_signals() -> Iterable[SignalRule]:
    """Return the rules for the evidence of the built-in plugins."""
    from plugins.mood.signals import EVIDENCE_RULES

    return EVIDENCE_RULES


@hookimpl(trylast=True)
def choose_action(session: Session, assessment: Assessment) -> str | None:
    """Choose by feedback, for accounts that want it, when no other plugin chose."""
    from plugins.mood.outcomes import adapt_action

    return adapt_action(session, assessment)


@hookimpl
def mood_changed(assessment: Assessment) -> None:
    """Count changes of moods."""
    current().metrics.items.labels("mood_change", assessment.mood).inc()


@hookimpl
def evidence_recorded(session: Session, source: str, evidence: Sequence[Evidence]) -> None:
    """Let evidence of other plugins count toward the mood."""
    from plugins.mood.services import take_evidence

    take_evidence(session, source, evidence)


@hookimpl
def session_timeline(session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:
    """Return events, changes of the mood and feedback."""
    from plugins.mood.timeline import timeline

    return timeline(session, after, limit)


@hookimpl
def erase_session(session: Session) -> int:
    """Remove everything about a session."""
    from plugins.mood.services import forget

    return forget(session)


@hookimpl
def app_ready(app: Flask) -> None:
    """Check the table of signals, third parties' rules included, before the first request."""
    from plugins.mood.account_settings import signal_rules
    from plugins.mood.rules import Rules

    with app.app_context():
        try:
            Rules(signal_rules=signal_rules())
        except ValueError as error:
            raise ConfigurationError(f"register_signals: {error}") from error
