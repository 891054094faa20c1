"""honcho as this house wants it: processes that end with their parent, and in their own time."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from honcho.manager import Manager
from honcho.process import Popen, Process

from core.lifetime import tie_to_parent, tie_to_this_process

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_SECONDS: Final = 26.0  # web and worker give themselves 25; what is left then is killed
RETRY_SECONDS: Final = 0.2  # until a process that is being started can be told to end


class TreeManager(Manager):
    """honcho's manager, whose processes end with it and have STOP_SECONDS to do so."""

    def __init__(self, on_started: Callable[[], object]) -> None:
        super().__init__()
        self._on_started = on_started
        self._process_ctor = functools.partial(TiedProcess, parent=os.getpid())
        self._kill_at = float("inf")

    @property
    def ended_by_signal(self) -> bool:
        """Tell whether it was told to end, by SIGTERM or SIGINT."""
        return self.returncode in {128 + signal.SIGTERM, 128 + signal.SIGINT}

    def _start(self) -> None:
        super()._start()
        self._on_started()  # not before: what it starts are threads, and the processes are forks

    def terminate(self) -> None:
        """Ask all processes to end, those that are just being started as soon as they are there."""
        self._kill_at = min(self._kill_at, time.monotonic() + STOP_SECONDS)
        if self._all_started():
            super().terminate()
        else:
            timer = threading.Timer(RETRY_SECONDS, self.terminate)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Kill what is left, once its time is over; honcho asks for this after five seconds."""
        if time.monotonic() >= self._kill_at:
            super().kill()


class TiedProcess(Process):
    """A process of the tree that ends with it, together with the helper that reads its output."""

    def __init__(self, *arguments: Any, parent: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._parent = parent

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:  # noqa: FBT001, FBT002 - honcho's signature
        """Start the command and pass its output on; called in the helper process."""
        tie_to_parent(self._parent, signal.SIGKILL)
        self._child_ctor = functools.partial(Popen, preexec_fn=tie_to_this_process())
        super().run(events, ignore_signals)


def shell_line(command: str, path: str) -> str:
    """Return a Procfile's command such that the shell is replaced by it where it is only one.

    Signals, and the end of the tree, then reach the command itself.
    """
    words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    several = any(set(word) <= set("();<>|&") for word in words)
    return command if several or not shutil.which(words[0], path=path) else f"exec {command}"
