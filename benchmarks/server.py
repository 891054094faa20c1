"""A real server on an empty directory: gunicorn with the project's own configuration, rate limits off."""

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
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.processes import children
from examples.demo.replay import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
#: Seconds until the server must answer, and until it must have ended.
PATIENCE = 30.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Server:
    """Describe a server that is running.

    Where it was filled, `rows` are stored, `accounts` are some of theirs, and each of them has the `sessions`, of
    which `searches` have a search and `moods` a mood.
    """

    port: int
    pid: int
    key: str = field(repr=False)
    token: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    rows: int = 0
    accounts: Sequence[Credentials] = field(default=(), repr=False)
    sessions: Sequence[str] = field(default=(), repr=False)
    searches: Sequence[str] = field(default=(), repr=False)
    moods: Sequence[str] = field(default=(), repr=False)

    @classmethod
    def of(
        cls, prepared: dict[str, Any], port: int, pid: int, environment: Mapping[str, str] = NOTHING
    ) -> Server:
        """Describe a server with what `benchmarks.prepare` says of its database."""
        accounts = [Credentials(**each) for each in prepared.get("accounts", ())]
        return cls(port, pid, environment=environment, **(prepared | {"accounts": accounts}))

    def workers(self) -> list[int]:
        """Return the process ids of its web processes."""
        return children(self.pid)


@contextlib.contextmanager
def running(
    directory: Path, settings: Mapping[str, str] = NOTHING, *, rows: int = 0
) -> Iterator[Server]:
    """Run a server whose data lies in a directory, after it was filled; it has ended when the block is left."""
    environment = {**_environment(directory), **settings}
    prepared = _prepare(environment, rows)
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
            yield Server.of(prepared, port, process.pid, environment)
        finally:
            _end(process)


@contextlib.contextmanager
def working(server: Server, queue: str) -> Iterator[int]:
    """Run workers of a queue, as in `stream=2`, beside a server, and give the process that watches over them."""
    with (Path(server.environment["SUBTEXT_DATA"]) / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers", queue, "--no-scheduler"],
            cwd=ROOT,
            env=dict(server.environment),
            stdout=log,
            stderr=log,
        )
        try:
            yield process.pid
        finally:
            _end(process)


def _prepare(environment: Mapping[str, str], rows: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.prepare", str(rows)],
        cwd=ROOT,
        env={**environment, "SUBTEXT_LOG_LEVEL": "ERROR"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    prepared: dict[str, Any] = orjson.loads(done.stdout)
    return prepared


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
