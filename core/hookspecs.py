"""Every extension point of the core. The docstrings are the reference; `docs/hooks.md` shows each in use.

Three families, told apart by the verb: `register_*` is asked once at start and returns things; questions are asked
when their answer is needed; facts, in the past tense, say what has happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import ModuleType

    import click
    from flask import Flask, Request
    from flask.sansio.blueprints import Blueprint
    from peewee import Model

    from core.accounts import Identity
    from core.evidence import Evidence
    from core.health import Check
    from core.jobs import Job
    from core.sessions import Session
    from core.settings import Setting
    from core.timeline import TimelineEntry

hookspec = pluggy.HookspecMarker("subtext")
hookimpl = pluggy.HookimplMarker("subtext")


@hookspec
def register_settings() -> Iterable[Setting]:  # type: ignore[empty-body]
    """Return the settings this plugin reads; each name starts with `SUBTEXT_<PLUGIN>_`."""


@hookspec
def register_hookspecs() -> ModuleType:  # type: ignore[empty-body]
    """Return the module with the hooks this plugin offers to others."""


@hookspec
def register_models() -> Iterable[type[Model]]:  # type: ignore[empty-body]
    """Return this plugin's tables; each is named `<plugin>_…`."""


@hookspec
def register_migrations() -> Path:  # type: ignore[empty-body]
    """Return the directory with this plugin's numbered migrations."""


@hookspec
def register_blueprints() -> Iterable[Blueprint]:  # type: ignore[empty-body]
    """Return this plugin's routes; each blueprint is named `<plugin>` or `<plugin>_…`."""


@hookspec
def register_jobs() -> Iterable[Job]:  # type: ignore[empty-body]
    """Return this plugin's jobs; each is named `<plugin>.<verb>`."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `cli`, the group `flask <plugin>`."""


@hookspec
def check_health() -> Iterable[Check]:  # type: ignore[empty-body]
    """Return what must work for this plugin to be ready, and whether it does."""


@hookspec(firstresult=True)
def authenticate(request: Request) -> Identity | None:
    """Say who is calling, for credentials that the core does not know; None when they are not yours."""


@hookspec
def evidence_recorded(session: Session, source: str, evidence: Sequence[Evidence]) -> None:
    """Take evidence that `source` found about a session, after it was committed.

    Called in a job, inside a transaction; what is written commits together with the mark that this plugin was told.
    At least once: after an error it is called again.
    """


@hookspec
def session_timeline(session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:  # type: ignore[empty-body]
    """Return at most `limit` entries about a session that are later than `after` (microseconds UTC), in time order."""


@hookspec
def erase_session(session: Session) -> int:  # type: ignore[empty-body]
    """Remove everything about a session and return how many rows went; called inside the erasing transaction."""


@hookspec
def app_ready(app: Flask) -> Any:
    """Take note that the app is complete; called last, once for each app."""
