"""The table of contents: every hook that this plugin implements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import Check, Job, Setting, hookimpl
from subtext_plugin_vitals import commands, models, services, signals, views

if TYPE_CHECKING:
    import click

    from core import Blueprint, Session, TimelineEntry
    from plugins.mood import SignalRule

#: Seconds between two runs of the job that removes old measurements.
PRUNE_EVERY = 3_600


def parse_days(text: str) -> int:
    """Read a number of days, 1 or more."""
    days = int(text)
    if days < 1:
        raise ValueError("must be 1 or more")
    return days


@hookimpl
def register_settings() -> list[Setting]:
    """Return this plugin's settings."""
    return [
        Setting("SUBTEXT_VITALS_KEEP_DAYS", 30, "Days that measurements are kept.", parse_days),
    ]


@hookimpl
def register_models() -> list[type[models.Measurement]]:
    """Return this plugin's table."""
    return [models.Measurement]


@hookimpl
def register_migrations() -> Path:
    """Return where the table's migrations are."""
    return Path(__file__).parent / "migrations"


@hookimpl
def register_blueprints() -> list[Blueprint]:
    """Return the routes."""
    return [views.build_blueprint()]


@hookimpl
def register_jobs() -> list[Job]:
    """Return the job that removes old measurements."""
    return [Job("vitals.prune", services.prune, every=PRUNE_EVERY)]


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `flask vitals pages` and `flask vitals prune`."""
    commands.add_commands(cli)


@hookimpl
def check_health() -> list[Check]:
    """Say whether old measurements go when they should; requests work either way."""
    pruned = services.is_pruned()
    detail = "" if pruned else "old measurements are not removed: is a worker running?"
    return [Check("vitals", works=pruned, detail=detail)]


@hookimpl
def session_timeline(session: Session, after: int, limit: int) -> list[TimelineEntry]:
    """Return how the pages of a session did."""
    return services.list_entries(session, after, limit)


@hookimpl
def erase_session(session: Session) -> int:
    """Remove a session's measurements."""
    return services.erase(session)


@hookimpl(optionalhook=True)
def register_signals() -> list[SignalRule]:
    """Tell the mood plugin what slow pages speak for; not asked when it is disabled."""
    return signals.build_rules()
