"""Child processes that end with the process that started them, even when that one is killed."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def tie_to_parent(parent: int, death_signal: signal.Signals = signal.SIGTERM) -> None:
    """Have this process get `death_signal` when `parent`, the process that started it, dies.

    The tie (prctl(2), PR_SET_PDEATHSIG) is to the *thread* that started this process, so children
    are started from the main thread; it survives exec(2). Only Linux has it: elsewhere, on macOS
    for one, nothing happens, and a parent that is killed outright leaves its children behind.
    """
    prctl = _prctl()
    if prctl is None:
        return
    prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it died before the tie was made
        os.kill(os.getpid(), death_signal)


def tie_to_this_process(
    death_signal: signal.Signals = signal.SIGTERM,
) -> Callable[[], None]:
    """Return a `preexec_fn` for `subprocess.Popen` that ties the child to the calling process."""
    _prctl()  # found before the fork: looking it up takes locks that a fork may find taken
    return functools.partial(tie_to_parent, os.getpid(), death_signal)


@functools.cache
def _prctl() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl
