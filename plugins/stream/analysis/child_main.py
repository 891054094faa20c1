"""The process behind `AnalysisChild`: limits itself, loads an analyzer, answers one segment after another."""

from __future__ import annotations

import math
import os
import resource
import socket
import sys
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Protocol

from plugins.stream.analysis import wire
from plugins.stream.analysis.errors import AnalysisError, ModelsMissing, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugins.stream.analysis.observations import Observations

#: The largest file it may write: nothing it does writes any, but a library may want to say something.
_FILE_SIZE = 1024 * 1024
_OPEN_FILES = 128
#: The largest medium: four times what a message of the stream or an upload may have.
_LARGEST_MEDIUM = 128 * 1024 * 1024
#: Seconds between two looks whether the parent is still there, and between two reports of progress.
_PARENT_EVERY = 1.0
_PROGRESS_EVERY = 0.1


class Analyzer(Protocol):
    """What a factory makes: bytes of a segment to observations."""

    def observe(
        self, data: bytes, *, start: float | None, progress: Callable[[float], None] | None
    ) -> Observations:
        """Return what is seen and heard; raises AnalysisError when the media cannot be analysed."""


def main() -> None:
    """Serve the socket whose file descriptor is the first argument until it closes; the parent's id is the second."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    Thread(target=_end_with_parent, args=(int(sys.argv[2]),), daemon=True).start()
    setup, _ = wire.receive(connection, 0, None)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _FILE_SIZE)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    try:
        analyzer = _make(setup["factory"], setup["options"])
    except ModelsMissing as error:
        wire.send(connection, {"kind": "missing", "message": str(error)}, b"", None)
        return
    _limit(resource.RLIMIT_AS, _address_space() + int(setup["memory"]))
    wire.send(connection, {"kind": "ready"}, b"", None)
    while True:
        try:
            request, body = wire.receive(connection, _LARGEST_MEDIUM, None)
        except wire.BrokenMessage:
            return
        if not _answer(connection, analyzer, request, body):
            return


def _answer(
    connection: socket.socket, analyzer: Analyzer, request: dict[str, Any], body: bytes
) -> bool:
    """Analyse one segment and answer; False when the process had better be replaced."""
    _limit_cpu(float(request["cpu"]))
    last = 0.0

    def report(share: float) -> None:
        nonlocal last
        if monotonic() - last >= _PROGRESS_EVERY or share >= 1:
            last = monotonic()
            wire.send(connection, {"kind": "progress", "share": share}, b"", None)

    try:
        data = Path(request["path"]).read_bytes() if request["path"] else body
        observations = analyzer.observe(
            data, start=request["start"], progress=report if request["progress"] else None
        )
        answer = observations.dump()
    except AnalysisError as error:
        wire.send(connection, _failure(error), b"", None)
        return True
    except MemoryError:
        # The heap stays as large as it became; a new process begins small.
        too_large = Unreadable("The media needs too much memory.")
        wire.send(connection, {**_failure(too_large), "leaving": True}, b"", None)
        return False
    wire.send(connection, {"kind": "observations"}, answer, None)
    return True


def _failure(error: AnalysisError) -> dict[str, Any]:
    """Return the message for an error: its nearest kind that the parent knows, by name."""
    return {
        "kind": "error",
        "error": next(
            kind.__name__
            for kind in type(error).__mro__
            if kind.__module__ == Unreadable.__module__
        ),
        "message": error.message,
    }


def _make(factory: str, options: dict[str, Any]) -> Analyzer:
    """Import what an import string names and call it."""
    module, _, name = factory.partition(":")
    made: Analyzer = getattr(import_module(module), name)(**options)
    return made


def _limit(kind: int, value: int) -> None:
    """Lower a limit of this process, both the soft and the hard one."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _limit_cpu(seconds: float) -> None:
    """Let this process work for so many more CPU seconds; the kernel ends it after that."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _address_space() -> int:
    """Return the bytes of address space in use, from Linux; elsewhere the peak of memory."""
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[0]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _end_with_parent(parent: int) -> None:
    """End this process when its parent is gone, also in the middle of a segment."""
    while os.getppid() == parent:
        sleep(_PARENT_EVERY)
    os._exit(1)


if __name__ == "__main__":
    main()
