"""The whole of Subtext as `python app.py` starts it: on one machine, and with servers in place of what it embeds."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.processes import Tree
from core.valkey import EmbeddedValkey
from examples.demo.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What the shell of whoever runs the tests has set does not count.
ENVIRONMENT = {
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "SUBTEXT_METRICS_TOKEN": "",
    "SUBTEXT_LOG_LEVEL": "WARNING",
    "WEB_CONCURRENCY": "2",
}

Shell = Callable[[str], Any]


def start_tree(data: Path) -> Tree:
    return Tree(data, environment=ENVIRONMENT)


def token(url: str, key: str) -> dict[str, str]:
    """Return the headers of a request with a fresh token for a key's account."""
    with Client(url, {"X-Api-Key": key}) as client:
        return {"Authorization": f"Bearer {client.post('/v1/tokens', {}).body['token']}"}


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


@pytest.fixture(scope="module", params=["embedded", "servers"])
def tree(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tree]:
    directory = tmp_path_factory.mktemp("tree")
    if request.param == "embedded":
        with start_tree(directory) as running:
            yield running
        return
    server: str = request.getfixturevalue("postgres_server")
    with (
        _database_of_its_own(server) as database,
        EmbeddedValkey(directory / "valkey") as valkey,
        Tree(
            directory / "data",
            environment={**ENVIRONMENT, "DATABASE_URL": database, "REDIS_URL": valkey.url},
        ) as running,
    ):
        yield running


@contextlib.contextmanager
def _database_of_its_own(server: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE end_to_end")
        try:
            # As platforms write it.
            yield server.replace("postgresql://", "postgres://").replace(
                "/postgres?", "/end_to_end?"
            )
        finally:
            connection.execute("DROP DATABASE end_to_end WITH (FORCE)")


@pytest.fixture
def shell() -> Shell:
    """Return a function that runs a command line with curl in it and reads the JSON it prints."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def run(command: str) -> Any:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)

    return run
