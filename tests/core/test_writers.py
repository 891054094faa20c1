"""Many writers on one SQLite file: none is refused, none starves."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from core.database import fetch_all

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

PROCESSES = 4
THREADS = 4
COMMITS = 30

WRITER = """
import sys
import threading
from app import BUILTIN_PLUGINS, create_app
from core import fetch_all, transaction

app = create_app(
    DATABASE_URL=sys.argv[1], SUBTEXT_PLUGINS_DISABLED=tuple(BUILTIN_PLUGINS), SUBTEXT_DATABASE_TIMEOUT=30.0
)

def write(number):
    for _ in range(int(sys.argv[3])):
        with app.app_context(), transaction():
            # Read, then write: what a deferred transaction fails at with "database is locked".
            ((at,),) = fetch_all("SELECT at FROM core_heartbeat WHERE name = 'count'")
            fetch_all("UPDATE core_heartbeat SET at = ? WHERE name = 'count' RETURNING at", (at + 1,))

threads = [threading.Thread(target=write, args=(n,)) for n in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_writers_in_many_processes_and_threads_all_get_their_turn(
    core_app: Flask, root: Path
) -> None:
    with core_app.app_context():
        fetch_all("INSERT INTO core_heartbeat (name, at) VALUES ('count', 0) RETURNING at")
        url = core_app.extensions["subtext"].settings["DATABASE_URL"]
    command = [sys.executable, "-c", textwrap.dedent(WRITER), url, str(THREADS), str(COMMITS)]

    writers = [
        subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]

    assert errors == [""] * PROCESSES
    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    with core_app.app_context():
        assert fetch_all("SELECT at FROM core_heartbeat WHERE name = 'count'") == [
            (PROCESSES * THREADS * COMMITS,)
        ]
