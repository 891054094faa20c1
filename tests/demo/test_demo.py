"""`python -m examples.demo`, run for real."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.demo", "--visitors", "12"]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "ONESHOT": "", "COLUMNS": "100", **changes}


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let what is started here be interrupted: a shell's background job hands down that it may not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Return a directory with a short path: the queue's socket will lie in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory)


def test_it_replays_reports_and_ends_by_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--data", str(tmp_path)],
        cwd=ROOT,
        env=environment(ONESHOT="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for intent in ("frustrated", "confused", "decisive", "browsing", "disengaged", "focused"):
        assert re.search(rf"^{intent} +\d of 2 ", done.stdout, re.MULTILINE)
    for api in ("mood", "clickstream", "ingestion"):
        assert re.search(rf"^{api} +\d+ +\d+ +[1-9]", done.stdout, re.MULTILINE), (
            "some are rejected"
        )
    assert re.search(r"^zero_result_rate +\S+ +\S+ to \S+ +6$", done.stdout, re.MULTILINE)
    assert "simulated" in done.stdout


def test_it_fails_when_something_is_not_as_it_must_be() -> None:
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment(ONESHOT="1", SUBTEXT_PLUGINS_DISABLED="clickstream"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_ctrl_c_ends_all_of_it_without_a_traceback(temporary: Path) -> None:
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("curl -X POST"):
            break
    else:
        raise AssertionError("".join(printed))
    assert any(re.fullmatch(r"KEY=sm_[0-9a-f]{48}\n", line) for line in printed)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 3, "web, worker and queue"
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert list(temporary.iterdir()) == [], "the temporary directory is gone"


def test_ctrl_c_while_it_starts_ends_it_as_well(temporary: Path) -> None:
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not psutil.Process(process.pid).children() and time.monotonic() < deadline:
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert psutil.wait_procs(family, timeout=10)[1] == []
