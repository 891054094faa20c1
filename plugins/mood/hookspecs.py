"""The hooks that the mood plugin offers to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core import Session
    from plugins.mood.engine import Assessment
    from plugins.mood.signals import SignalRule


@hookspec
def register_signals() -> Iterable[SignalRule]:  # type: ignore[empty-body]
    """Return rules for kinds of evidence that the built-in table does not know.

    Asked once for each app. A rule for a kind that has one already stops the start.
    """


@hookspec(firstresult=True)
def choose_action(session: Session, assessment: Assessment) -> str | None:
    """Choose what to suggest when the mood of a session has changed; None leaves it to the next.

    `assessment.action` is the documented action of the mood. The answer is one of the five
    documented actions; anything else is logged and the documented one is suggested. Called inside
    the transaction that stores the mood.
    """


@hookspec
def mood_changed(session: Session, before: str, assessment: Assessment) -> None:
    """Take note that the mood of a session is another one than `before`, after it was committed."""
