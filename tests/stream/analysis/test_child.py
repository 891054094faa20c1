"""An analysis in a process of its own: whatever happens there, the one that asked goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from plugins.stream.analysis.child import AnalysisChild
from plugins.stream.analysis.errors import (
    AnalysisError,
    AnalysisFailed,
    DeadlinePassed,
    ModelsMissing,
    NoVideo,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOM = "tests.stream.analysis.analyzers:Custom"
DEADLINE = 30.0


@pytest.fixture(scope="module")
def shared() -> Iterator[AnalysisChild]:
    with AnalysisChild(CUSTOM, {"gain": 2.0}) as child:
        yield child


@pytest.fixture
def child(shared: AnalysisChild) -> AnalysisChild:
    shared.start()
    return shared


def gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_it_makes_any_analyzer_with_its_options_and_keeps_it(child: AnalysisChild) -> None:
    first = child.analyze(b"hello", DEADLINE, start=1.5)
    second = child.analyze(b"hello", DEADLINE)
    assert first.duration == 2.0
    assert first.details["start"] == 1.5
    assert first.details["pid"] == second.details["pid"] == child.pid != os.getpid()


def test_media_may_be_a_file(child: AnalysisChild, tmp_path: Path) -> None:
    file = tmp_path / "media"
    file.write_bytes(b"x" * 3_000_000)
    assert child.analyze(file, DEADLINE).details["size"] == 3_000_000


def test_large_media_arrives_whole(child: AnalysisChild) -> None:
    assert child.analyze(b"x" * 33_554_432, DEADLINE).details["size"] == 33_554_432
    assert child.analyze(b"", DEADLINE).details["size"] == 0


def test_errors_of_the_media_come_back_as_what_they_are(child: AnalysisChild) -> None:
    pid = child.pid
    with pytest.raises(Unreadable, match="Not today"):
        child.analyze(b"unreadable", DEADLINE)
    with pytest.raises(NoVideo):
        child.analyze(b"no_video", DEADLINE)
    with pytest.raises(AnalysisError, match="Odd"):
        child.analyze(b"odd", DEADLINE)
    assert child.pid == pid


@pytest.mark.parametrize(
    ("media", "reason"), [(b"die", "SIGSEGV"), (b"leave", "exit code 3"), (b"fail", "exit code 1")]
)
def test_a_process_that_dies_is_replaced(child: AnalysisChild, media: bytes, reason: str) -> None:
    pid = child.pid
    with pytest.raises(AnalysisFailed, match=reason):
        child.analyze(media, DEADLINE)
    after = child.analyze(b"hello", DEADLINE)
    assert after.details["pid"] != pid


def test_a_process_that_was_killed_between_two_segments_is_replaced(child: AnalysisChild) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert child.analyze(b"hello", DEADLINE).duration == 2.0


def test_at_the_deadline_it_is_killed_and_replaced(child: AnalysisChild) -> None:
    pid = child.pid
    assert pid is not None
    with pytest.raises(DeadlinePassed):
        child.analyze(b"sleep 60", 0.3)
    assert gone(pid)
    assert child.analyze(b"hello", DEADLINE).details["pid"] != pid


def test_whatever_interrupts_the_caller_the_next_answer_is_the_next_ones(
    child: AnalysisChild,
) -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.analyze(b"progress", DEADLINE, progress=stop)
    assert child.analyze(b"four", DEADLINE).details["size"] == 4


def test_endless_work_is_ended_by_the_kernel_even_without_its_parent(child: AnalysisChild) -> None:
    # The limit on CPU seconds is the deadline, rounded up by a second or two.
    with pytest.raises(AnalysisFailed):
        child.analyze(b"burn", 1)


def test_memory_beyond_the_limit_is_an_error_and_the_heap_is_given_back(
    child: AnalysisChild,
) -> None:
    pid = child.pid
    assert child.analyze(b"grow 100000000", DEADLINE).details["grown"] == 100_000_000
    with pytest.raises(Unreadable, match="memory"):
        child.analyze(b"grow 2000000000", DEADLINE)
    assert child.analyze(b"hello", DEADLINE).details["pid"] != pid


def test_it_writes_no_large_files(child: AnalysisChild, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with pytest.raises(AnalysisFailed):
        child.analyze(b"write " + bytes(file), DEADLINE)
    assert not file.exists() or file.stat().st_size <= 1_048_576


def test_it_knows_no_secrets_and_carries_nothing_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUBTEXT_JWT_SECRET", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://user:password@host/db")
    with AnalysisChild(CUSTOM) as child:
        told = child.analyze(b"tell", DEADLINE).details
    assert "SUBTEXT_JWT_SECRET" not in told["environment"]
    assert "DATABASE_URL" not in told["environment"]
    assert told["core"] == [0, 0]
    assert told["sockets"] == 0
    assert told["modules"] == []


def test_progress_is_told(child: AnalysisChild) -> None:
    shares: list[float] = []
    child.analyze(b"progress", DEADLINE, progress=shares.append)
    assert shares == [0.25, 0.5, 1.0]


def test_threads_take_turns(child: AnalysisChild) -> None:
    sizes: dict[int, int] = {}

    def ask(size: int) -> None:
        sizes[size] = child.analyze(b"x" * size, DEADLINE).details["size"]

    threads = [Thread(target=ask, args=(size,)) for size in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == {size: size for size in range(1, 9)}


def test_a_missing_model_is_told_at_the_start() -> None:
    child = AnalysisChild("tests.stream.analysis.analyzers:Unloadable")
    with pytest.raises(ModelsMissing, match="pip install x"):
        child.start()
    assert child.pid is None


@pytest.mark.parametrize(
    "factory", ["tests.stream.analysis.analyzers:Broken", "no.such.module:X", "os:no_such_name"]
)
def test_an_analyzer_that_cannot_be_made_is_a_failure(factory: str) -> None:
    child = AnalysisChild(factory)
    with pytest.raises(AnalysisFailed):
        child.start()
    assert child.pid is None


def test_closing_ends_the_process() -> None:
    child = AnalysisChild(CUSTOM)
    child.start()
    pid = child.pid
    assert pid is not None
    child.close()
    child.close()
    assert gone(pid)


def test_it_ends_with_its_parent() -> None:
    script = (
        "import os, sys\n"
        "from plugins.stream.analysis.child import AnalysisChild\n"
        f"child = AnalysisChild({CUSTOM!r})\n"
        "child.start()\n"
        "print(child.pid, flush=True)\n"
        "child.analyze(b'sleep 60', 60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_a_forked_process_starts_its_own(child: AnalysisChild) -> None:
    child.analyze(b"hello", DEADLINE)
    parents = child.pid
    reader, writer = os.pipe()
    fork = os.fork()
    if fork == 0:  # pragma: no cover - another process
        try:
            own = child.analyze(b"hello", DEADLINE).details["pid"]
            child.close()
            os.write(writer, str(own).encode())
        finally:
            os._exit(0)
    os.waitpid(fork, 0)
    os.close(writer)
    assert int(os.read(reader, 100)) != parents
    os.close(reader)
    assert child.analyze(b"hello", DEADLINE).details["pid"] == parents
