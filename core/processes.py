"""All of Subtext on one machine: `python app.py`, which runs the Procfile's processes as one tree.

Next to them runs a Valkey of our own, unless REDIS_URL names another; data lies in one directory.
Every process ends with the tree, also when it is killed (Linux).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import click
from honcho.environ import parse_procfile

from core.foreman import STOP_SECONDS, TreeManager, shell_line
from core.lifetime import tie_to_this_process
from core.standalone import PortError, kept_secret, local_address, reserve_port
from core.valkey import EmbeddedValkey, ValkeyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ROOT: Final = Path(__file__).resolve().parents[1]
DEFAULT_PORT: Final = 8000
READY_SECONDS: Final = 120.0  # from the start of web and worker until both answer
POLL_SECONDS: Final = 0.2
WATCH_SECONDS: Final = 1.0  # between two looks at the Valkey
READY_LINE: Final = "ready: "
KEY_LINE: Final = "API key of the first account, shown only now: "
OUTPUT_LINES: Final = 2_000  # of a tree in the background, kept for errors
TOKEN_SETTINGS: Final = ("SUBTEXT_JWT_SECRET", "SUBTEXT_JWT_PUBLIC_KEY", "SUBTEXT_JWT_JWKS")


class TreeError(RuntimeError):
    """Say why the tree cannot run."""


@dataclass
class Options:
    """What a tree is started with; `port` 0 takes a free one, `workers` are processes per queue."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    data: Path = Path("data")
    workers: int | None = None
    procfile: Path = ROOT / "Procfile"
    #: Environment for what is not set: how development differs from production.
    defaults: Mapping[str, str] = field(default_factory=dict)


def run(options: Options) -> int:
    """Run the tree until a signal or the end of one of its processes; return the exit status.

    0 after a signal, 1 when a process ended by itself. Raises TreeError when another tree runs in the
    directory, when that cannot be made, or when the release command fails; PortError; ValkeyError.
    """
    if sys.platform == "linux":  # so that the tree itself is the parent of what it starts
        multiprocessing.set_start_method("fork", force=True)
    os.umask(0o077)  # what lies in the directory is for this user alone
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _exit)
    with contextlib.ExitStack() as stack:
        held, port = reserve_port(options.host, options.port)
        stack.enter_context(held)
        data = options.data.resolve()
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise TreeError(f"--data {data}: {error.strerror}") from error
        environment = _environment(options, data, port)
        valkey = None
        if not environment.get("REDIS_URL"):
            valkey = stack.enter_context(EmbeddedValkey(data / "valkey"))
            if not valkey.owned:
                raise TreeError(f"another Subtext runs in {data}: give this one another --data")
            environment["REDIS_URL"] = valkey.url
        commands = dict(parse_procfile(options.procfile.read_text("utf-8")).processes)
        root = options.procfile.resolve().parent
        if release := commands.pop("release", ""):
            _release(release, environment, root)
        watch = Watch(f"http://{local_address(options.host)}:{port}", environment, root, valkey)
        manager = TreeManager(watch.start)
        for name, command in commands.items():
            line = shell_line(command, environment["PATH"])
            manager.add_process(name, line, env=environment, cwd=str(root))
        manager.loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)  # all but the Valkey has ended, and it is next
        return 0 if manager.ended_by_signal and not watch.failed else 1


@dataclass
class Watch:
    """Say when the tree is ready, make the first key, and end the tree when its Valkey ends."""

    url: str
    environment: Mapping[str, str]
    root: Path
    valkey: EmbeddedValkey | None
    failed: bool = False

    def start(self) -> None:
        """Watch from now on, in a thread that ends with the process."""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Watch until the Valkey ends; without one, until the process does."""
        if not wait_until_healthy(self.url, READY_SECONDS):
            self._fail(f"not ready after {READY_SECONDS:g} s: {self.url}/health is not ok")
            return
        key = self._first_key()
        if key:
            click.echo(f"{KEY_LINE}{key}")
        click.echo(f"{READY_LINE}{self.url}")
        while self.valkey is None or self.valkey.running:
            time.sleep(WATCH_SECONDS)
        self._fail("Valkey has ended")

    def _first_key(self) -> str:
        if self._flask("keys", "list"):
            return ""
        return self._flask("keys", "create", "--name", "First account", "--admin")

    def _flask(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - this Python and our own arguments
            [sys.executable, "-m", "flask", *arguments],
            env=dict(self.environment),
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            click.echo(f"flask {shlex.join(arguments)}: {done.stderr.strip()}", err=True)
        return done.stdout.strip()

    def _fail(self, reason: str) -> None:
        self.failed = True
        click.echo(f"subtext: {reason}", err=True)
        os.kill(os.getpid(), signal.SIGTERM)


class Tree:
    """Run a tree in the background, for tests and demonstrations; a context manager.

    `url` is its address once it is ready, `key` the first account's key when `data` is new.
    Leaving the context ends the tree; an error on the way in carries the tree's output.
    """

    def __init__(
        self,
        data: Path | str,
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.url = ""
        self.key = ""
        self.output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._command = [
            *(sys.executable, str(ROOT / "app.py")),
            *("--data", str(data), "--port", str(port), *arguments),
        ]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._settled = threading.Event()

    @property
    def pid(self) -> int:
        """Return the number of the tree's process, 0 when it is not running."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Self:
        """Start the tree and return when it is ready; TreeError with its output when it ends first."""
        self._process = subprocess.Popen(  # noqa: S603 - this Python and our own arguments
            self._command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=tie_to_this_process(),  # noqa: PLW1509 - prctl and getppid only
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        self._settled.wait(READY_SECONDS)
        if not self.url:
            self.stop()
            raise TreeError("the tree did not start:\n" + "\n".join(self.output))
        return self

    def stop(self) -> int:
        """End the tree and return its exit status."""
        if self._process is None or self._reader is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        try:
            status = process.wait(2 * STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self._reader.join()
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        with process.stdout:
            for line in process.stdout:
                text = line.rstrip("\n")
                self.output.append(text)
                if text.startswith(KEY_LINE):
                    self.key = text.removeprefix(KEY_LINE)
                elif text.startswith(READY_LINE):
                    self.url = text.removeprefix(READY_LINE)
                    self._settled.set()
        self._settled.set()


def wait_until_healthy(url: str, seconds: float) -> bool:
    """Return whether `/health` below `url` says ok, with a worker there, within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 - our own http:// address
                if json.load(answer).get("status") == "ok":
                    return True
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, ValueError):  # not there yet, or cut off
            pass
        time.sleep(POLL_SECONDS)
    return False


def main(defaults: Mapping[str, str] | None = None) -> None:
    """Read the command line and run the tree; ends the process with its exit status.

    `defaults` is environment for what is not set.
    """

    @click.command(help="Run Subtext on this machine: web, worker and queue, from one Procfile.")
    @click.option("--host", default="127.0.0.1", show_default=True)
    @click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=DEFAULT_PORT,
        show_default=True,
        envvar="PORT",
        help="0 takes a free one.",
    )
    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("data"),
        show_default=True,
        envvar="SUBTEXT_DATA",
        help="Directory of everything that is kept.",
    )
    @click.option("--workers", type=click.IntRange(min=1), help="Worker processes for each queue.")
    @click.option(
        "--procfile",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default=ROOT / "Procfile",
        hidden=True,
    )
    def command(**options: Any) -> None:
        try:
            sys.exit(run(Options(**options, defaults=defaults or {})))
        except (TreeError, PortError, ValkeyError) as error:
            click.echo(f"subtext: {error}", err=True)
            sys.exit(1)

    command()


def _exit(_signum: int, _frame: object) -> None:
    sys.exit(0)


def _environment(options: Options, data: Path, port: int) -> dict[str, str]:
    host = f"[{options.host}]" if ":" in options.host else options.host
    bind = f"--reuse-port --bind {shlex.quote(f'{host}:{port}')}"
    environment = {
        **options.defaults,
        **os.environ,
        # What the Procfile calls is found where this Python is, also outside an activated venv.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PORT": str(port),
        "GUNICORN_CMD_ARGS": f"{os.environ.get('GUNICORN_CMD_ARGS', '')} {bind}".strip(),
        "SUBTEXT_DATA": str(data),
        "PYTHONUNBUFFERED": "1",
    }
    if options.workers is not None:
        environment["WORKER_CONCURRENCY"] = str(options.workers)
    if not any(environment.get(name) for name in TOKEN_SETTINGS):
        environment["SUBTEXT_JWT_SECRET"] = kept_secret(data / "jwt-secret")
    return environment


def _release(command: str, environment: Mapping[str, str], root: Path) -> None:
    with subprocess.Popen(  # noqa: S602 - a Procfile's line is a shell command
        shell_line(command, environment["PATH"]),
        shell=True,
        env=dict(environment),
        cwd=root,
        start_new_session=True,
        preexec_fn=tie_to_this_process(),  # noqa: PLW1509 - prctl and getppid only
    ) as process:
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    if status:
        raise TreeError(f"`{command}` ended with {status}")
