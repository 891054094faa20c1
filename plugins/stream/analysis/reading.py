"""What a measure says of a window, and what kind of thing a measure is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugins.stream.analysis.rules import CueRule
    from plugins.stream.analysis.windows import Window

Modality = Literal["face", "voice", "words"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what was measured: a value, since when (milliseconds on the session's clock), and a note for people."""

    value: float
    since: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure one thing in a window.

    `read` returns None where it cannot be measured, which is not the same as a value of 0. `relative` says that it is
    measured against the person's own baseline.
    """

    modality: Modality
    relative: bool
    read: Callable[[Window, CueRule], Reading | None]


def clock(milliseconds: float) -> str:
    """Return a moment as seconds, as rationales tell it."""
    return f"{milliseconds / 1000:.1f}"
