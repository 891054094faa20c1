"""What was acknowledged survives the death of every process, and counts once."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]
import pytest

from examples.demo import replay
from examples.demo.client import Client

from .conftest import start_tree, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.processes import Tree

SENDERS = 4
ITEMS = 5
#: Acknowledged requests after which everything is killed.
KILL_AFTER = 120
#: 2026-03-16T10:14:00Z.
START = 1_773_656_040


@dataclass
class Sender:
    """Send batch after batch to a session of its own until nobody answers."""

    number: int
    acknowledged: list[int] = field(default_factory=list)
    sent: int = 0

    @property
    def session(self) -> str:
        return f"crash-{self.number}"

    def batch(self, number: int) -> tuple[str, dict[str, Any]]:
        """Return path and body of a batch; (x, y) tells the items of a session apart."""
        spots = [{"x": number, "y": 100 * item} for item in range(ITEMS)]
        if self.number % 2:
            at = f"2026-03-16T10:{number // 60 % 60:02}:{number % 60:02}Z"
            common = {"eventType": "click", "targetSelector": "#a", "timestamp": at}
            batch = [{**common, **spot} for spot in spots]
            return "/api/data/events", {"sessionId": self.session, "batch": batch}
        events = [
            {"type": "click", "id": f"{number}-{item}", "ts": START + number, **spot}
            for item, spot in enumerate(spots)
        ]
        return f"/v1/sessions/{self.session}/events", {"events": events}

    def run(self, url: str, headers: dict[str, str], enough: threading.Semaphore) -> None:
        with Client(url, headers, tries=1) as client:
            while True:
                path, body = self.batch(self.sent)
                self.sent += 1
                try:
                    status = client.post(path, body).status
                except (OSError, http.client.HTTPException):
                    return
                assert status == 200
                self.acknowledged.append(self.sent - 1)
                enough.release()


def kill_everything(tree: Tree) -> None:
    root = psutil.Process(tree.pid)
    doomed = [root, *root.children(recursive=True)]
    for process in doomed:
        process.suspend()  # so that none can see another one die and tidy up
    for process in doomed:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(doomed, timeout=30)


def items(client: Client, session: str) -> Iterator[tuple[int, int]]:
    """Yield (x, y) of all clicks in the timeline of a session."""
    after: int | None = 0
    while after is not None:
        page = client.get(f"/v1/sessions/{session}/timeline?after={after}&limit=500").body
        for entry in page["entries"]:
            if entry["kind"] in {"event", "click"}:
                yield entry["data"]["x"], entry["data"]["y"]
        after = page["next_after"]


@pytest.mark.soak
def test_every_acknowledged_item_is_there_once_after_kill_9_of_everything(tmp_path: Path) -> None:
    senders = [Sender(number) for number in range(SENDERS)]
    with start_tree(tmp_path) as tree:
        key, bearer = tree.key, token(tree.url, tree.key)
        by_key = {"X-Api-Key": key}
        enough = threading.Semaphore(0)
        threads = [
            threading.Thread(
                target=sender.run,
                args=(tree.url, bearer if sender.number % 2 else by_key, enough),
            )
            for sender in senders
        ]
        for thread in threads:
            thread.start()
        for _ in range(KILL_AFTER):
            enough.acquire()
        kill_everything(tree)
        for thread in threads:
            thread.join()
    assert all(sender.acknowledged for sender in senders)

    with start_tree(tmp_path) as tree:
        replay.settle(tree.url)
        for sender in senders:
            # Whoever saw no answer sends again: that may not count twice either.
            with Client(tree.url, token(tree.url, key) if sender.number % 2 else by_key) as client:
                assert client.post(*sender.batch(sender.sent - 1)).status == 200
        replay.settle(tree.url)
        with Client(tree.url, by_key) as client:
            for sender in senders:
                count = Counter(items(client, sender.session))
                sent = {(x, 100 * item) for x in range(sender.sent) for item in range(ITEMS)}
                assert set(count) == sent
                assert set(count.values()) == {1}
                mood = client.get(f"/v1/sessions/{sender.session}/mood").body
                assert mood["event_count"] == len(sent), "evidence counts once as well"
