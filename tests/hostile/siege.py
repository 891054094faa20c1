"""One web server as it is deployed, and clients that write what they like to its port."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil  # type: ignore[import-untyped]

from core.testing import JWT_SECRET
from tests.resilience.installation import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]
#: Seconds after which a client that waits gives up: more than the server gives any request.
PATIENCE = 60


class Server:
    """Run gunicorn on the database of a test's app, without Redis; a context manager."""

    def __init__(self, directory: Path, processes: int = 1) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "web.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if "SUBTEXT_" not in name},
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:///{directory / 'subtext.db'}",
            "REDIS_URL": "",
            "SUBTEXT_DATA": str(directory),
            "SUBTEXT_JWT_SECRET": JWT_SECRET,
            "SUBTEXT_RATE_LIMITS": "0",
            "SUBTEXT_LOG_LEVEL": "WARNING",
            "WEB_CONCURRENCY": str(processes),
            "TMPDIR": str(directory),
        }

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "wsgi:app"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            assert eventually(self.lives), self.log.read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def lives(self) -> bool:
        """Tell whether it answers."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.url}/livez", timeout=PATIENCE),
        ):
            return True
        return False

    def memory(self) -> int:
        """Return the resident bytes of all its processes."""
        first = psutil.Process(self.process.pid)
        return sum(each.memory_info().rss for each in [first, *first.children(recursive=True)])

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def say(self, request: Iterable[bytes], *, half: bool = False) -> tuple[int, bytes]:
        """Send a request as it is and return status and body; (0, b"") when there is no answer.

        `half` closes the sending side after it, as a client that has no more to say.
        """
        with contextlib.closing(self.connect()) as client:
            with contextlib.suppress(OSError):  # it may answer and hang up before the end
                for piece in request:
                    client.sendall(piece)
                if half:
                    client.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionError):
                while piece := client.recv(65536):
                    received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        return (int(head.split()[1]), body) if head else (0, b"")


class Watch:
    """Look at the memory of a server until the block ends; `peak` is the most it was."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self.measure = measure
        self.before = self.peak = measure()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            with contextlib.suppress(psutil.NoSuchProcess):
                self.peak = max(self.peak, self.measure())


def request(
    path: str, headers: dict[str, str], body: Iterable[bytes] = (), *, method: str = "POST"
) -> list[bytes]:
    """Return the pieces of a request, with nothing added but Host and the end of the connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1"), *body]


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """Yield a body in chunks (RFC 9112, 7.1)."""
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def percentile(seconds: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def pace(turns_a_second: float) -> Callable[[], None]:
    """Return a function that waits until it is the turn of the next call."""
    due = time.monotonic()

    def wait() -> None:
        nonlocal due
        due = max(due + 1 / turns_a_second, time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))

    return wait
