"""`python -m workers` as an operator starts it: real processes, a real Valkey, a plugin with jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rq.utils import as_text

from core.jobs import Job
from core.queues import Queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from core.valkey import EmbeddedValkey

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
APP = """
    from core.factory import build_app

    def create_app(**settings):
        return build_app({"demo": "demo"}, settings, discover=False)
"""
PLUGIN = """
    import os, time
    from pathlib import Path
    from core import ConfigurationError, Job, fetch_all, hookimpl

    class Unprepared:
        def prepare_worker(self):
            raise ConfigurationError("a model is missing: install it")

        def close_worker(self):
            pass

    @hookimpl
    def app_ready(app):
        app.extensions["stream"] = Unprepared()

    def note(name, seconds=0.0):
        Path(f"{name}.started").write_text(str(os.getpid()))
        fetch_all("SELECT 1")
        time.sleep(seconds)
        Path(f"{name}.done").write_text(str(os.getpid()))

    def periodic():
        with open("periodic", "a") as file:
            file.write(".")

    def crash():
        os._exit(9)

    @hookimpl
    def register_jobs():
        return [
            Job("demo.note", note, timeout=60),
            Job("demo.aside", note, queue="aside"),
            Job("demo.crash", crash),
            Job("demo.periodic", periodic, every=1),
        ]
"""
NOTE = Job("demo.note", print)
ASIDE = Job("demo.aside", print, queue="aside")


class Workers:
    """One `python -m workers` in a directory with an app of its own."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SUBTEXT_")
        } | {
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": url,
            "DATABASE_URL": f"sqlite:///{directory / 'test.db'}",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.directory / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers", *arguments],
                cwd=self.directory,
                env=self.environment | environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        self.processes.append(process)
        return process

    def read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(40)
            finally:
                process.kill()


@pytest.fixture
def workers(tmp_path: Path, valkey: EmbeddedValkey, broker: redis.Redis) -> Iterator[Workers]:
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "demo.py").write_text(textwrap.dedent(PLUGIN))
    workers = Workers(tmp_path, valkey.url)
    yield workers
    workers.end()


def eventually(condition: Callable[[], object], seconds: float = 40) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_jobs_run_periodic_ones_too_and_sigterm_lets_the_running_one_end(
    workers: Workers, broker: redis.Redis
) -> None:
    process = workers.start()
    queues = Queues(broker)
    assert eventually(lambda: queues.worker_count() == 1)
    assert eventually(lambda: len(workers.read("periodic")) >= 2)
    queues.put(NOTE, {"name": "long", "seconds": 2.0})
    queues.put(NOTE, {"name": "next"})
    assert eventually(lambda: workers.read("long.started"))
    process.terminate()
    process.terminate()  # a platform may send it to every process, and twice
    assert process.wait(30) == 0, workers.read("stderr")
    assert workers.read("long.done"), "the running job was let to its end"
    assert not workers.read("next.started")
    assert queues.lengths()["default"] >= 1, "the next one waits for the next worker"
    assert queues.worker_count() == 0
    assert broker.exists("subtext:scheduler") == 0, "the next scheduler leads at once"


def test_several_processes_share_a_queue_and_other_queues_have_their_own(
    workers: Workers, broker: redis.Redis
) -> None:
    queues = Queues(broker)
    process = workers.start("default=2", "aside", "--no-scheduler")
    assert eventually(lambda: queues.worker_count() == 3)
    for name in ("one", "two"):
        queues.put(NOTE, {"name": name, "seconds": 1.0})
    queues.put(ASIDE, {"name": "three"})
    names = ("one", "two", "three")
    assert eventually(lambda: all(workers.read(f"{name}.done") for name in names))
    assert len({workers.read(f"{name}.done") for name in names}) == 3
    assert not workers.read("periodic")
    process.terminate()
    assert process.wait(30) == 0


def test_a_process_that_dies_is_replaced(workers: Workers, broker: redis.Redis) -> None:
    queues = Queues(broker)
    workers.start("--no-scheduler")
    assert eventually(lambda: queues.worker_count() == 1)
    queues.put(Job("demo.crash", print, retry=1), {})
    queues.put(NOTE, {"name": "after"})
    assert eventually(lambda: workers.read("after.done"))


@LINUX
def test_no_process_outlives_a_parent_that_is_killed(workers: Workers, broker: redis.Redis) -> None:
    queues = Queues(broker)
    process = workers.start()
    assert eventually(lambda: queues.worker_count() == 1)
    queues.put(NOTE, {"name": "where"})
    assert eventually(lambda: workers.read("where.done"))
    child = int(workers.read("where.done"))
    process.kill()
    process.wait()
    assert eventually(lambda: not is_alive(child))
    assert eventually(lambda: broker.exists("subtext:scheduler") == 0)


def test_a_job_of_a_worker_that_was_killed_is_run_again(
    workers: Workers, broker: redis.Redis
) -> None:
    queues = Queues(broker)
    workers.start("--no-scheduler")
    queues.put(NOTE, {"name": "cut", "seconds": 60.0})
    assert eventually(lambda: workers.read("cut.started"))
    os.kill(int(workers.read("cut.started")), signal.SIGKILL)
    # Its entry expires after its timeout and a minute; here at once.
    broker.zadd(
        "rq:wip:default", {as_text(key): 1 for key, _ in broker.zscan_iter("rq:wip:default")}
    )
    # Found by the worker that replaces the dead one, and put aside for its second try.
    assert eventually(lambda: [(sent.name, sent.state) for sent in queues.list()])
    assert [(sent.name, sent.state) for sent in queues.list()] == [("demo.note", "scheduled")]


def test_without_redis_url_it_says_so_and_ends(workers: Workers) -> None:
    process = workers.start(REDIS_URL="")
    assert process.wait(40) == os.EX_CONFIG
    assert "workers need REDIS_URL" in workers.read("stderr")


def test_a_setting_that_does_not_exist_is_named(workers: Workers) -> None:
    process = workers.start(SUBTEXT_DATAA="x")
    assert process.wait(40) == os.EX_CONFIG
    assert "did you mean SUBTEXT_DATA?" in workers.read("stderr")


def test_a_queue_whose_worker_cannot_be_prepared_says_why_and_the_others_go_on(
    workers: Workers, broker: redis.Redis
) -> None:
    process = workers.start("default", "stream")
    assert eventually(lambda: "is not started again" in workers.read("stderr"))
    assert workers.read("stderr").count("a model is missing: install it") == 1
    Queues(broker).put(NOTE, {"name": "quick"})
    assert eventually(lambda: workers.read("quick.done"))
    assert eventually(lambda: workers.read("periodic"))
    process.terminate()
    assert process.wait(40) == 0


def test_workers_for_that_queue_alone_end(workers: Workers) -> None:
    assert workers.start("stream").wait(40) == os.EX_CONFIG
    assert "a model is missing: install it" in workers.read("stderr")


@pytest.mark.parametrize("queue", ["default=0", "default=x", "=2", "default=-1", "default=²"])
def test_a_number_of_processes_that_is_none_is_refused(workers: Workers, queue: str) -> None:
    assert workers.start(queue).wait(40) == 2
    assert "write QUEUE or QUEUE=PROCESSES" in workers.read("stderr")


def test_burst_runs_what_waits_and_ends(workers: Workers, broker: redis.Redis) -> None:
    Queues(broker).put(NOTE, {"name": "quick"})
    assert workers.start("--burst").wait(40) == 0
    assert workers.read("quick.done")


def test_workers_wait_for_a_redis_that_comes_later_and_end_when_told_before(
    workers: Workers, tmp_path: Path
) -> None:
    process = workers.start(REDIS_URL=f"unix://{tmp_path}/later.sock")
    assert eventually(lambda: "trying again" in workers.read("stderr"))
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 0
