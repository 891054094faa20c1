"""gunicorn as it is configured here, serving for real."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.resilience.installation import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
APP = """
    import os
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {environ['wsgi.url_scheme']}".encode()]
"""


@contextmanager
def serving(tmp_path: Path, **environment: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    (tmp_path / "hello.py").write_text(textwrap.dedent(APP))
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "hello:app"],
        cwd=tmp_path,
        env=os.environ | {"PORT": str(port), "TMPDIR": str(tmp_path)} | environment,
        stderr=subprocess.PIPE,
    ) as server:
        try:
            wait_until_open(port, server)
            yield port, server
        finally:
            server.terminate()
            server.wait(30)


def wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            get(port)
        except OSError:
            time.sleep(0.05)
        else:
            return
    server.kill()
    pytest.fail(f"gunicorn does not answer: {server.communicate()[1].decode()}")


def get(port: int, **headers: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_as_many_processes_as_asked_share_one_port_and_end_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="2") as (port, server):
        pids: set[str] = set()
        deadline = time.monotonic() + 30
        while len(pids) < 2 and time.monotonic() < deadline:  # the second may still be starting
            pids.add(get(port).split()[0])
        assert len(pids) == 2
        assert len(list(tmp_path.glob("subtext-metrics-*"))) == 1
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert not list(tmp_path.glob("subtext-metrics-*")), "no directory of counters is left"


def test_a_client_that_does_not_close_its_side_holds_nobody_up(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="1") as (port, _server):
        lingering = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        try:
            for client in lingering:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            for client in lingering:
                assert client.recv(12) == b"HTTP/1.1 200"
            # At two seconds for each one, this would take 40 s and end in urllib's timeout.
            assert get(port)
        finally:
            for client in lingering:
                client.close()


@pytest.mark.parametrize(("proxies", "scheme"), [("0", "http"), ("1", "https")])
def test_the_scheme_is_the_routers_when_there_is_one(
    tmp_path: Path, proxies: str, scheme: str
) -> None:
    environment = {"SUBTEXT_PROXIES": proxies, "WEB_CONCURRENCY": "1"}
    if proxies == "0":
        environment["FORWARDED_ALLOW_IPS"] = "192.0.2.1"  # nobody here
    with serving(tmp_path, **environment) as (port, _server):
        assert get(port, X_Forwarded_Proto="https").split()[1] == scheme


def test_a_header_over_its_limit_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="1") as (port, _server):
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(port, X_Long="x" * 9_000)
        assert caught.value.code in {400, 431}
        caught.value.close()


def test_nothing_is_left_in_the_home_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with serving(tmp_path, WEB_CONCURRENCY="1", HOME=str(home), XDG_RUNTIME_DIR=str(home)):
        assert list(home.rglob("*")) == []
