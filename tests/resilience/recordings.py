"""Recordings of video as an upload makes them, with findings that a test says: the analysis itself is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from core import SessionErased
from plugins.stream import services
from plugins.stream.analysis.findings import Result, SignalDetected
from plugins.stream.findings import Keeper
from tests.resilience.picture import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.resilience.picture import Party

SIX = dict.fromkeys(
    ("quality_index", "clarity", "authority", "energy", "rapport", "learning"), 50.0
)


def begin(party: Party, session: str) -> services.Take | None:
    """Begin the recording of a video whose clock stood at 0 at `START`; None where the session was erased."""
    with party.app.app_context():
        try:
            take = services.open_recording(
                party.caller.account_id, session, str(uuid4()), services.UPLOAD
            )
        except SessionErased:
            return None
    return replace(take, started_at=START * 1_000_000)


def see(party: Party, take: services.Take, seen: Iterable[tuple[str, float]]) -> int:
    """Keep signals and where they began; the status that an upload would have."""
    found = [SignalDetected(name, start, "high", "") for name, start in seen]
    with party.app.app_context():
        keeper = Keeper(take)
        try:
            keeper.keep(found)
        except SessionErased as error:
            return error.status
        finally:
            keeper.close(Result(60.0, (), (), SIX), 60.0)
    return 200
