"""The client, a process of its own: `python -m benchmarks.load` sends the batches that standard input describes.

A fixed number of connections, each with one request at a time: a client that waits for its answers.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from itertools import islice
from queue import Empty, SimpleQueue

import orjson

from benchmarks.server import ROOT
from examples.demo.visitors import event_batches

#: Requests that are under way at the same time.
CONNECTIONS = 4
#: Seconds that one answer may take.
TIMEOUT = 60.0


@dataclass(frozen=True)
class Task:
    """Describe what to send: so many batches of so many events to a path, of sessions that no other seed has."""

    port: int
    path: str
    token: str
    requests: int
    events: int
    seed: int


def send(task: Task) -> int:
    """Let another process do a task and return the mean length of a body in bytes.

    Raises RuntimeError unless every batch was taken as a whole.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        cwd=ROOT,
        input=orjson.dumps(asdict(task)),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return int(done.stdout)


def _work(task: Task, bodies: SimpleQueue[bytes], faults: list[str]) -> None:
    headers = {"Authorization": f"Bearer {task.token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", task.port, timeout=TIMEOUT)
    try:
        while not faults:
            connection.request("POST", task.path, bodies.get_nowait(), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != http.HTTPStatus.OK or b'"rejections":[]' not in text:
                faults.append(f"{answer.status} {text[:500]!r}")
    except Empty:
        return
    except (OSError, http.client.HTTPException) as error:
        faults.append(repr(error))
    finally:
        connection.close()


def main() -> None:
    """Do the task on standard input."""
    task = Task(**orjson.loads(sys.stdin.buffer.read()))
    bodies: SimpleQueue[bytes] = SimpleQueue()
    size = 0
    for body in islice(event_batches(task.events, seed=task.seed), task.requests):
        text = orjson.dumps(body)
        size += len(text)
        bodies.put(text)
    faults: list[str] = []
    threads = [
        threading.Thread(target=_work, args=(task, bodies, faults)) for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise SystemExit("\n".join(faults))
    print(size // task.requests)


if __name__ == "__main__":
    main()
