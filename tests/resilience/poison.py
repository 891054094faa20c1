"""A plugin whose jobs fail, hang and kill, and which refuses evidence, until the file POISON_CURE names is there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from core import Job, hookimpl

if TYPE_CHECKING:
    from core import Session

#: Every so many jobs one is poison.
EVERY = 100
#: The evidence of sessions whose names begin so is refused.
REFUSED = "poison-"


def is_cured() -> bool:
    """Say whether the fault is mended."""
    return Path(os.environ["POISON_CURE"]).exists()


def act(number: int) -> None:
    """Fail for one number of EVERY."""
    if number % EVERY == 0 and not is_cured():
        raise ValueError(f"poison in {number}")


def kill() -> None:
    """End the process at once, as the kernel does when memory runs out."""
    if not is_cured():
        os._exit(1)


def hang() -> None:
    """Never end."""
    while not is_cured():
        time.sleep(0.1)


@hookimpl
def register_jobs() -> list[Job]:
    """Declare the jobs."""
    return [
        Job("poison.act", act),
        Job("poison.kill", kill, timeout=1),
        Job("poison.hang", hang, timeout=1),
    ]


@hookimpl
def evidence_recorded(session: Session) -> None:
    """Refuse what is told of some sessions."""
    if session.session_id.startswith(REFUSED) and not is_cured():
        raise ValueError("poison in the evidence")
