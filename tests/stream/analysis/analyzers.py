"""Analyzers as a third party may bring them, some of which misbehave."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugins.stream.analysis.errors import AnalysisError, ModelsMissing, NoVideo, Unreadable
from plugins.stream.analysis.observations import Observations

Progress = Callable[[float], None] | None


class OwnError(Unreadable):
    """An error of the analyzer's own, more precise than the known one."""


def die(_: str) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def leave(_: str) -> dict[str, Any]:
    os._exit(3)


def fail(_: str) -> dict[str, Any]:
    raise RuntimeError("a bug")


def sleep(seconds: str) -> dict[str, Any]:
    time.sleep(float(seconds))
    return {}


def burn(_: str) -> dict[str, Any]:
    while True:
        pass


def grow(size: str) -> dict[str, Any]:
    return {"grown": len(bytearray(int(size)))}


def write(path: str) -> dict[str, Any]:
    Path(path).write_bytes(b"x" * 2_000_000)
    return {}


def unreadable(_: str) -> dict[str, Any]:
    raise OwnError("Not today.")


def no_video(_: str) -> dict[str, Any]:
    raise NoVideo


def odd(_: str) -> dict[str, Any]:
    raise AnalysisError("Odd.")


def tell(_: str) -> dict[str, Any]:
    return {
        "environment": sorted(os.environ),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "sockets": _sockets(),
        "modules": sorted({"flask", "redis", "peewee", "rq"} & set(sys.modules)),
    }


DEEDS: dict[str, Callable[[str], dict[str, Any]]] = {
    deed.__name__: deed
    for deed in (die, leave, fail, sleep, burn, grow, write, unreadable, no_video, odd, tell)
}


class Custom:
    """Do what the media says, in words."""

    def __init__(self, *, gain: float = 1.0) -> None:
        self.gain = gain

    def observe(
        self, data: bytes, *, start: float | None = None, progress: Progress = None
    ) -> Observations:
        word, _, argument = data[:200].decode().partition(" ")
        details: dict[str, Any] = {"pid": os.getpid(), "start": start, "size": len(data)}
        if word in DEEDS:
            details |= DEEDS[word](argument)
        if word == "progress" and progress is not None:
            for share in (0.25, 0.5, 1.0):
                progress(share)
                time.sleep(0.12)
        return Observations(self.gain, (), (), None, None, details=details)


class Unloadable:
    """Miss a model."""

    def __init__(self) -> None:
        raise ModelsMissing("The model x is not installed. Install it: pip install x")


class Broken:
    """Fail when made."""

    def __init__(self) -> None:
        raise RuntimeError("a bug")


def _sockets() -> int:
    """Return the number of sockets that are open beside the one to the parent."""
    count = 0
    # By the kernel's list: a descriptor that was handed on may have a number beyond the limit.
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the list's own
            count += str(descriptor.readlink()).startswith("socket:")
    return count - 1
