"""A real server on an empty directory: gunicorn with the project's own configuration, SQLite, rate limits off."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
#: Seconds until the server must answer, and until it must have ended.
PATIENCE = 30.0
#: The kind of clock that counts a process's time on a CPU, user and system, in nanoseconds; the kernel's
#: `CPUCLOCK_SCHED`, which `clock_getcpuclockid(3)` puts together with the process id.
CPU_CLOCK = 2
NOTHING: Mapping[str, str] = MappingProxyType({})
#: Prints the credentials of an account of its own.
PREPARE = """
import orjson
from benchmarks.wsgi import app
from core import migrations
from core.accounts import create_account, issue_key
from core.tokens import issue_token
with app.app_context():
    migrations.upgrade()
    account = create_account("Benchmark", plan="pro")
    print(orjson.dumps({"key": issue_key(account.id), "token": issue_token(account.tenant)["token"]}).decode())
"""


@dataclass(frozen=True)
class Server:
    """Describe a server that is running."""

    port: int
    pid: int
    key: str = field(repr=False)
    token: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    def workers(self) -> list[int]:
        """Return the process ids of its web processes."""
        return children(self.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU time that its web processes have used, in user and system mode."""
        return sum(cpu_seconds(pid) for pid in self.workers())


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started, without theirs."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds, what it shares with others included."""
    _, pages, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in user and system mode."""
    # /proc/<pid>/stat has the same in hundredths of a second, too coarse for a few hundred requests.
    return time.clock_gettime((~pid << 3) | CPU_CLOCK)


@contextlib.contextmanager
def running(directory: Path, settings: Mapping[str, str] = NOTHING) -> Iterator[Server]:
    """Run a server whose data lies in a directory; it has ended when the block is left."""
    environment = {**_environment(directory), **settings}
    prepared = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    if prepared.returncode:
        raise RuntimeError(prepared.stderr.decode())
    credentials = orjson.loads(prepared.stdout)
    port = _free_port()
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "benchmarks.wsgi:app"],
            cwd=ROOT,
            env={**environment, "PORT": str(port)},
            stdout=log,
            stderr=log,
        )
        try:
            _wait(process, port, directory / "server.log")
            yield Server(port, process.pid, credentials["key"], credentials["token"], environment)
        finally:
            _end(process)


@contextlib.contextmanager
def working(server: Server, queue: str, processes: int) -> Iterator[int]:
    """Run workers of a queue beside a server, and give the process that watches over them."""
    with (Path(server.environment["SUBTEXT_DATA"]) / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers", f"{queue}={processes}", "--no-scheduler"],
            cwd=ROOT,
            env=dict(server.environment),
            stdout=log,
            stderr=log,
        )
        try:
            yield process.pid
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(directory: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SUBTEXT_", "GUNICORN_")) and name != "REDIS_URL"
    }
    return {
        **inherited,
        "SUBTEXT_DATA": str(directory),
        "DATABASE_URL": f"sqlite:///{directory / 'subtext.db'}",
        "SUBTEXT_JWT_SECRET": os.urandom(32).hex(),
        "SUBTEXT_RATE_LIMITS": "off",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/livez")
            connection.getresponse().read()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
