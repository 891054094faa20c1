"""The parent of the worker processes: starts them, replaces the dead, ends them in good order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.lifetime import tie_to_this_process

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 25.0  # for the running jobs; platforms kill 30 s after SIGTERM
POLL_SECONDS: Final = 0.1
SHORT_LIFE: Final = 5.0  # seconds; a process that fails sooner never really started
FAILED_STARTS: Final = 5  # in a row, then the fault is not one that passes


@dataclass
class _Place:
    """One process that is to be there."""

    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failed_starts: int = 0
    is_hopeless: bool = False


@dataclass
class Supervisor:
    """Keep one process per command running until SIGTERM or SIGINT.

    A process that ends is started again; at once when it ended well, with growing pauses when it
    failed right after its start, and after FAILED_STARTS of these in a row everything ends with 1.
    A process that ends with `os.EX_CONFIG` is not started again, because that cannot help; the others go on, and
    when none of `commands` is left, everything ends with that status. `companions` run beside them, and end with them.
    """

    commands: Sequence[Sequence[str]]
    companions: Sequence[Sequence[str]] = ()
    stop_seconds: float = STOP_SECONDS
    _stopping: bool = field(default=False, init=False)
    _status: int = field(default=0, init=False)

    def run(self) -> int:
        """Return the exit status once all processes have ended."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._request_stop)
        serving = [_Place(command) for command in self.commands]
        places = [*serving, *map(_Place, self.companions)]
        while not self._stopping:
            for place in places:
                self._tend(place)
            if all(place.is_hopeless for place in serving) and not self._stopping:
                self._status, self._stopping = os.EX_CONFIG, True
            time.sleep(POLL_SECONDS)
        self._end([place.process for place in places if place.process is not None])
        return self._status

    def _request_stop(self, _signum: int, _frame: object) -> None:
        self._stopping = True

    def _tend(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is not None:
            status = place.process.poll()
            if status is None:
                return
            place.process = None
            self._note_end(place, status, now)
        if not (self._stopping or place.is_hopeless) and now >= place.start_at:
            place.started_at = now
            place.process = subprocess.Popen(  # noqa: S603 - this Python and our own arguments
                [sys.executable, *place.command],
                process_group=0,  # Ctrl-C is for this process to hand on
                preexec_fn=tie_to_this_process(),  # noqa: PLW1509 - prctl and getppid only
            )

    def _note_end(self, place: _Place, status: int, now: float) -> None:
        if status == 0:
            place.failed_starts = 0
            return
        name = " ".join(place.command)
        if status == os.EX_CONFIG:
            logger.error("%s cannot run as it is configured, and is not started again", name)
            place.is_hopeless = True
            return
        quick = now - place.started_at < SHORT_LIFE
        place.failed_starts = place.failed_starts + 1 if quick else 0
        if place.failed_starts >= FAILED_STARTS:
            logger.error("%s ended with %d right after each of its starts", name, status)
            self._status, self._stopping = 1, True
            return
        pause = 2.0 ** (place.failed_starts - 1) if quick else 0.0
        logger.warning("%s ended with %d, started again in %g s", name, status, pause)
        place.start_at = now + pause

    def _end(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        deadline = time.monotonic() + self.stop_seconds
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # Its job is found by the next worker and run again.
                logger.warning("process %d did not end in time and is killed", process.pid)
                process.kill()
                process.wait()
