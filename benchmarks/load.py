"""The client, a process of its own: `python -m benchmarks.load` sends the requests that standard input describes.

A fixed number of connections, each with one request at a time: a client that waits for its answers.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
#: Seconds that one answer may take.
TIMEOUT = 60.0


@dataclass(frozen=True)
class Request:
    """Hold one request, ready to be sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def dump(self) -> list[Any]:
        """Return it as JSON can hold it."""
        body = None if self.body is None else b64encode(self.body).decode()
        return [self.method, self.path, dict(self.headers), body]

    @classmethod
    def load(cls, method: str, path: str, headers: dict[str, str], body: str | None) -> Request:
        """Return what was dumped."""
        return cls(method, path, headers, None if body is None else b64decode(body))


@dataclass
class _Client:
    port: int
    waiting: SimpleQueue[Request] = field(default_factory=SimpleQueue)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Send what waits over one connection, until nothing does or something went wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            while not self.faults:
                request = self.waiting.get_nowait()
                started = time.perf_counter()
                connection.request(request.method, request.path, request.body, request.headers)
                answer = connection.getresponse()
                text = answer.read()
                self.seconds.append(time.perf_counter() - started)
                is_whole = b'"rejections":' not in text or b'"rejections":[]' in text
                if answer.status != http.HTTPStatus.OK or not is_whole:
                    self.faults.append(f"{request.path}: {answer.status} {text[:500]!r}")
        except Empty:
            return
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(repr(error))
        finally:
            connection.close()


def send(port: int, requests: Sequence[Request], connections: int) -> list[float]:
    """Let another process send requests and return the seconds that each was waited for.

    Raises RuntimeError unless every request was answered with 200 and nothing in it was rejected.
    """
    task = {"port": port, "connections": connections, "requests": [r.dump() for r in requests]}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        cwd=ROOT,
        input=orjson.dumps(task),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    seconds: list[float] = orjson.loads(done.stdout)
    return seconds


def main() -> None:
    """Do the task on standard input."""
    task = orjson.loads(sys.stdin.buffer.read())
    client = _Client(task["port"])
    for request in task["requests"]:
        client.waiting.put(Request.load(*request))
    threads = [threading.Thread(target=client.work) for _ in range(task["connections"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if client.faults:
        raise SystemExit("\n".join(client.faults))
    sys.stdout.buffer.write(orjson.dumps(client.seconds))


if __name__ == "__main__":
    main()
