"""Run an analysis in a process of its own, so that hostile media can neither stop nor grow the one that asked.

The child is started fresh (never forked from a process that has threads or models), loads its models once, and
answers one segment after another. It is killed at a segment's deadline, when it dies it is replaced, and it ends with
its parent. It gets no settings and no credentials: its environment holds only what Python needs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from plugins.stream.analysis import errors, wire
from plugins.stream.analysis.observations import Observations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The analyzer that Subtext brings.
PERCEPTION = "plugins.stream.analysis.perception:Perception"
#: What loads the models may take so many seconds, also on a busy machine that has just started.
_START_DEADLINE = 60.0
#: Variables a child may see: where programs and libraries are, the language of messages, the place for files.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT")
#: One thread for each library: a worker process is one core.
_SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class AnalysisChild:
    """Own one process that analyses segments; safe to share between threads, one segment at a time.

    `factory` is the import string ("package.module:name") of what makes the analyzer, called with `options` as
    keywords; the analyzer has `observe(data, *, start, progress)` and returns Observations. `memory` is how many bytes
    the process may grow beyond its loaded models, `answer` the most bytes of an answer.
    """

    def __init__(
        self,
        factory: str = PERCEPTION,
        options: Mapping[str, Any] | None = None,
        *,
        memory: int = 768 * 1024**2,
        answer: int = 64 * 1024 * 1024,
    ) -> None:
        self._factory = factory
        self._options = dict(options or {})
        self._memory = memory
        self._answer = answer
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = os.getpid()
        self._lock = Lock()

    @property
    def pid(self) -> int | None:
        """Return the id of the process, None when none runs."""
        return self._process.pid if self._process is not None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and load its models; raises ModelsMissing or AnalysisFailed."""
        with self._lock:
            self._ready()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._disown()
            self._end()

    def analyze(
        self,
        media: bytes | Path,
        deadline: float,
        *,
        start: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Observations:
        """Return the observations of a segment, given as bytes or as a file that the child reads.

        `deadline` is in seconds from now, also the most CPU seconds it may take. Raises the analyzer's Unreadable or
        NoVideo, DeadlinePassed, and AnalysisFailed when the process died; the next call has a new one.
        """
        until = monotonic() + deadline
        with self._lock:
            self._ready()
            request = {
                "path": str(media) if isinstance(media, Path) else None,
                "start": start,
                "cpu": deadline,
                "progress": progress is not None,
            }
            try:
                return self._exchange(
                    request, media if isinstance(media, bytes) else b"", until, progress
                )
            except TimeoutError:
                self._end()
                raise errors.DeadlinePassed from None
            except (OSError, wire.BrokenMessage):
                raise errors.AnalysisFailed(self._obituary()) from None
            except errors.AnalysisError:
                raise
            except BaseException:
                # An answer is still to come, and the next segment must not take it for its own.
                self._end()
                raise

    def _exchange(
        self,
        request: dict[str, Any],
        body: bytes,
        until: float,
        progress: Callable[[float], None] | None,
    ) -> Observations:
        assert self._socket is not None  # noqa: S101 - _ready() opened it
        wire.send(self._socket, request, body, until)
        while True:
            head, answer = wire.receive(self._socket, self._answer, until)
            if head["kind"] == "progress":
                if progress is not None:
                    progress(float(head["share"]))
            elif head["kind"] == "observations":
                return _load(answer)
            else:
                error = _error(head)
                if head.get("leaving"):
                    self._end()
                raise error

    def _ready(self) -> None:
        """Make sure that a process of our own runs."""
        self._disown()
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= dict.fromkeys(_SINGLE, "1")
        environment["MALLOC_ARENA_MAX"] = "2"
        environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-B",
                    "-m",
                    "plugins.stream.analysis.child_main",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        self._socket = ours
        until = monotonic() + _START_DEADLINE
        setup = {"factory": self._factory, "options": self._options, "memory": self._memory}
        try:
            wire.send(ours, setup, b"", until)
            head, _ = wire.receive(ours, self._answer, until)
        except TimeoutError:
            self._end()
            raise errors.DeadlinePassed("The analysis process did not start in time.") from None
        except (OSError, wire.BrokenMessage):
            raise errors.AnalysisFailed(self._obituary()) from None
        if head["kind"] == "missing":
            self._end()
            raise errors.ModelsMissing(str(head["message"]))

    def _disown(self) -> None:
        """After a fork, leave the process to the one that started it."""
        if self._owner != os.getpid():
            self._process, self._socket, self._owner = None, None, os.getpid()

    def _end(self) -> None:
        """Kill the process, if there is one, and forget it."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._socket = None, None

    def _obituary(self) -> str:
        """End what is left of the process and say how it went."""
        process = self._process
        code = None
        if process is not None:
            try:
                code = process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                code = None
        self._end()
        if code is None:
            return "The analysis process stopped answering."
        if code < 0:
            return f"The analysis process was ended by {signal.Signals(-code).name}."
        return f"The analysis process ended with exit code {code}."


def _load(answer: bytes) -> Observations:
    """Take up an answer; what cannot be read is the process's failure, not the caller's."""
    try:
        return Observations.load(answer)
    except (ValueError, KeyError, TypeError):
        raise errors.AnalysisFailed("The analysis process gave no readable answer.") from None


#: The errors that a child reports by their names.
_REPORTED = {
    kind.__name__: kind
    for kind in (errors.Unreadable, errors.NotAContainer, errors.TooLong, errors.NoVideo)
}


def _error(head: dict[str, Any]) -> errors.AnalysisError:
    kind = _REPORTED.get(str(head.get("error")), errors.AnalysisFailed)
    return kind(str(head.get("message") or "") or None)
