"""Bytes that no client library would send, to the server as it is deployed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core import accounts, migrations
from core.database import fetch_all, release_connection
from core.testing import load_factory
from tests.resilience.installation import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]


class Wire:
    """The server as it is deployed, for requests that no client library would send."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.log = directory / "web.log"
        self.app = load_factory()(
            DATABASE_URL=f"sqlite:///{directory}/subtext.db", SUBTEXT_DATA=str(directory)
        )
        with self.app.app_context():
            migrations.upgrade()
            account = accounts.create_account("Wire")
            self.key = accounts.issue_key(account.id, ["mood"])
            self.admin = accounts.issue_key(account.id, ["admin"])
            release_connection()

    def accounts(self) -> int:
        with self.app.app_context():
            [(count,)] = fetch_all("SELECT COUNT(*) FROM core_account")
            release_connection()
        return int(count)

    def send(self, data: bytes) -> list[int]:
        """Send bytes on a connection of their own and return the statuses of all answers."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=20)) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            received = b""
            while piece := client.recv(65536):
                received += piece
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]

    def ask(self, path: str, *headers: str, method: str = "GET") -> int:
        """Send one request with header lines as they are, and return its status."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        statuses = self.send("\r\n".join(lines).encode("latin-1"))
        assert len(statuses) == 1
        return statuses[0]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    directory = tmp_path_factory.mktemp("wire")
    served = Wire(directory)
    environment = {
        "PATH": str(Path(sys.executable).parent),
        "PORT": str(served.port),
        "DATABASE_URL": f"sqlite:///{directory}/subtext.db",
        "SUBTEXT_DATA": str(directory),
        "SUBTEXT_PROXIES": "1",
        "SUBTEXT_METRICS_TOKEN": "s3cret-token",
        "WEB_CONCURRENCY": "1",
        "TMPDIR": str(directory),
    }
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with (
        served.log.open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            ready = eventually(lambda: _listens(served.port) or server.poll() is not None)
            assert ready, served.log.read_text()
            assert server.poll() is None, served.log.read_text()
            yield served
        finally:
            server.terminate()
            server.wait(40)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


ADMIN = "/api/v1/clickstream/internal/batch/sessions"


@pytest.mark.parametrize(
    "path",
    [
        ADMIN,
        f"/{ADMIN}",
        ADMIN.replace("/internal", "//internal"),
        ADMIN.replace("/internal", "/%69nternal"),
        ADMIN.replace("/internal", "/./internal"),
        ADMIN.replace("/internal", "/x/../internal"),
        ADMIN.replace("/internal", "/%2e%2e/clickstream/internal"),
        ADMIN.replace("/internal", "/session/..;/internal"),
        ADMIN.replace("/internal", "%2Finternal"),
        ADMIN.replace("/internal", "/Internal"),
        f"{ADMIN};x=1",
        f"{ADMIN}%00",
        f"{ADMIN}.json",
        f"{ADMIN}%20",
        f"{ADMIN}/",
        f"http://x{ADMIN}",
        f"/session?path={ADMIN}",
        "/metrics",
        "/metrics;x",
        "//metrics",
        "/%6detrics",
        "/docs/../metrics",
        "/docs/..%2f..%2f..%2fetc/passwd",
        "/docs/....//....//etc/passwd",
        "/demo/stream/static/%2e%2e/%2e%2e/plugin.py",
        "/demo/stream/static//etc/passwd",
        "/demo/stream/static/..%5c..%5cplugin.py",
    ],
)
def test_no_way_of_writing_a_path_gets_around_the_guard(path: str, wire: Wire) -> None:
    by_key = f"X-Api-Key: {wire.key}"
    assert wire.ask(f"{ADMIN}?batch_id=1", f"X-Api-Key: {wire.admin}") == 200
    assert wire.ask(path, by_key) in {307, 400, 401, 403, 404}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["X-Api-Key: {key}"], 200),
        (["x-api-key:{key}"], 200),
        (["Authorization: Bearer {key}"], 200),
        (["X_Api_Key: {key}"], 401),
        (["HTTP_X_API_KEY: {key}"], 401),
        (["X-Api-Key : {key}"], 400),
        (["X-Api-Key\t: {key}"], 400),
        ([" X-Api-Key: {key}"], 400),
        (["X: y", " folded", "X-Api-Key: {key}"], 400),
        (["X-Api-Key: {key}", "X-Api-Key: {key}"], 401),
        (["X-Api-Key: {key}", "X-Api-Key: other"], 401),
        (["Authorization: Bearer {key}", "Authorization: Bearer other"], 401),
        (["X-Api-Key: {key}\x00"], 400),
        (["X-Api-Key: {key}\rX: y"], 400),
        (["Proxy-Authorization: Bearer {key}"], 401),
        (["Cookie: X-Api-Key={key}"], 401),
        (["X-Original-URL: /livez"], 401),
        (["Script_Name: /x", "X-Api-Key: {key}"], 200),
        (["Path_Info: /livez"], 401),
        (["X-Http-Method-Override: OPTIONS"], 401),
    ],
)
def test_a_credential_counts_once_and_in_a_header_of_its_exact_name(
    headers: list[str], status: int, wire: Wire
) -> None:
    lines = [line.format(key=wire.key) for line in headers]
    assert wire.ask("/v1/analytics/moods", *lines) == status


def test_a_request_that_cannot_be_read_leaves_nothing_of_itself_in_the_log(wire: Wire) -> None:
    secret = wire.key
    for head in (
        f"GET /v1/sessions/canary {secret} x HTTP/1.1",
        f"GET canary{secret} HTTP/1.1",
        f"CANARY-{secret} / HTTP/1.1",
        f"get-{secret} / HTTP/9.9",
        f"GET / HTTP/1.1\r\nX-Api-Key {secret} canary",
        f"GET / HTTP/1.1\r\nX-{secret} : canary",
        f"GET / HTTP/1.1\r\nX: y\r\n canary {secret}",
        f"GET / HTTP/1.1\r\nTransfer-Encoding: canary {secret}",
        f"GET / HTTP/1.1\r\nExpect: canary {secret}",
        f"POST /v1/tokens HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ncanary {secret}",
        f"GET /canary HTTP/1.1\r\nAuthorization: Bearer {secret}\x00",
        f"GET /canary?{secret}" + "x" * 9000 + " HTTP/1.1",
        f"GET /canary HTTP/1.1\r\nX: {secret}" + "x" * 9000,
    ):
        wire.send(f"{head}\r\nHost: x\r\n\r\n".encode("latin-1"))
    written = wire.log.read_text()
    assert written.count("Invalid request from ip=127.0.0.1") > 5
    assert secret[3:] not in written
    assert "canary" not in written.lower()


INNER = (
    b"POST /v1/keys/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b'Content-Length: 38\r\n\r\n{"customer_name": "X", "email": "a@b"}'
)
HEAD = b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nContent-Length: %d\r\n\r\n",
        b"Content-Length: %d\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2, %d\r\n\r\n",
        b"Content-Length: +2\r\n\r\n",
        b"Content-Length: 2 \x0b\r\n\r\n",
        b"Content-Length: 0x2\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity, chunked, chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer_Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\n\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"Content_Length: 2\r\nContent-Length: %d\r\n\r\n",
    ],
)
def test_no_request_hides_in_the_body_of_another(framing: bytes, wire: Wire) -> None:
    before = wire.accounts()
    framed = framing.replace(b"%d", b"%d" % (len(INNER) + 5))

    statuses = wire.send(HEAD + framed + INNER)

    assert len(statuses) <= 1
    assert all(status in {400, 401, 501} for status in statuses)
    assert wire.accounts() == before
    # The same request in the open is one that works.
    assert wire.send(INNER.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost", 1)) in (
        [201],
        [429],
    )
