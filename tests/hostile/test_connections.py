"""gunicorn as it is configured here, and clients that send and read as they like."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: Threads of the one process that serves here; one of them held up is a quarter of the server.
THREADS = 4
#: Seconds after which these tests call an answer missing. The server keeps idle connections for 75.
PATIENCE = 20
#: Answers POST without reading the body, and reads what PUT brings; a body that cannot be read is 6666 bytes long.
APP = """
    def read(stream):
        try:
            return stream.read()
        except OSError:
            return b"x" * 6666

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/endless":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return (b"x" * 65536 for _ in range(10_000_000))
        body = read(environ["wsgi.input"]) if environ["REQUEST_METHOD"] == "PUT" else b""
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return [b"%4d" % len(body)]
"""
#: The same configuration with little patience.
HASTY = """
    exec(compile(open({path!r}).read(), {path!r}, "exec"))
    REQUEST_SECONDS = STALLED_SECONDS = 1
"""


@pytest.fixture
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Serve the little app as the big one is served; `hasty` cuts slow clients off after a second."""
    (tmp_path / "little.py").write_text(textwrap.dedent(APP))
    configuration = ROOT / "gunicorn.conf.py"
    if getattr(request, "param", "") == "hasty":
        hasty = textwrap.dedent(HASTY).format(path=str(configuration))
        configuration = tmp_path / "hasty.conf.py"
        configuration.write_text(hasty)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    environment = {
        "PORT": str(free),
        "TMPDIR": str(tmp_path),
        "WEB_CONCURRENCY": "1",
        "SUBTEXT_WEB_THREADS": str(THREADS),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(configuration), "little:app"],
        cwd=tmp_path,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
    ) as server:
        try:
            _wait_until_open(free, server)
            yield free
        finally:
            server.terminate()
            server.wait(30)


def _wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    server.kill()
    pytest.fail("gunicorn does not answer")


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def answers(client: socket.socket, count: int) -> list[bytes]:
    """Return the bodies of the next answers; `TimeoutError` when one of them does not come."""
    received = b""
    while len(found := re.findall(rb"\r\n\r\n(.{4})", received)) < count:
        piece = client.recv(65536)
        assert piece, "the server hung up"
        received += piece
    return found


def test_requests_sent_without_waiting_are_all_answered_in_order(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(
            b"".join(
                b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (n, b"x" * n)
                for n in range(50)
            )
        )
        assert answers(client, 50) == [b"%4d" % n for n in range(50)]


def test_a_request_right_behind_a_body_that_nobody_read_is_answered(port: int) -> None:
    with closing(connect(port)) as client:
        for _ in range(20):
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
            assert answers(client, 1) == [b"   0"]
            # What is left of the body and the next request come in one piece.
            client.sendall(b"abcPUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            assert answers(client, 1) == [b"   1"]


@pytest.mark.parametrize("port", ["hasty"], indirect=True)
@pytest.mark.parametrize(
    "half",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
    ],
)
def test_half_requests_hold_the_server_up_for_a_bounded_time(port: int, half: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            stack.enter_context(closing(connect(port))).sendall(half)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("port", ["hasty"], indirect=True)
def test_clients_that_do_not_read_hold_the_server_up_for_a_bounded_time(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            client = stack.enter_context(closing(connect(port)))
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"0\r\n" + b"X-A: b\r\n" * 10_000, id="trailers without end"),
        pytest.param(b"1;" + b"a" * 100_000, id="an extension without end"),
        pytest.param(b"z\r\n", id="a size that is none"),
        pytest.param(b"1\r\nabc", id="more than the size says"),
    ],
)
def test_who_breaks_the_framing_has_sent_the_last_request_of_the_connection(
    port: int, framing: bytes
) -> None:
    with closing(connect(port)) as client:
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with suppress(ConnectionError):  # it hangs up before it has read all of it
            client.sendall(head + framing + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        received = b""
        with suppress(ConnectionError):
            while piece := client.recv(65536):
                received += piece
    assert re.findall(rb"\r\n\r\n(.{4})", received) == [b"6666"]
