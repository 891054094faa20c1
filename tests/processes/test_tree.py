"""`python app.py`: the whole tree, started for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]
import pytest
import redis

from app import BUILTIN_PLUGINS
from core.foreman import shell_line
from core.processes import Tree, TreeError
from core.standalone import PortError, kept_secret, local_address, reserve_port
from core.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Callable

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
ENVIRONMENT = {
    "SUBTEXT_PLUGINS_DISABLED": ",".join(BUILTIN_PLUGINS),
    "REDIS_URL": "",
    "DATABASE_URL": "",
    "WEB_CONCURRENCY": "1",
}


def tree(data: Path, *arguments: str, **environment: str) -> Tree:
    return Tree(data, environment={**ENVIRONMENT, **environment}, arguments=arguments)


def get(url: str, **headers: str) -> Any:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def eventually(condition: Callable[[], object], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def alive(processes: list[psutil.Process]) -> list[str]:
    return [
        process.name()
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def test_one_command_brings_everything_up_and_takes_it_down_cleanly(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with tree(data) as first:
        assert get(f"{first.url}/health")["status"] == "ok"
        assert first.key.startswith("sm_"), "the first start makes an account"
        processes = psutil.Process(first.pid).children(recursive=True)
        output = "\n".join(first.output)
        assert "| web started" in output
        assert "| worker started" in output
        assert data.stat().st_mode & 0o777 == 0o700
        assert all(
            path.stat().st_mode & 0o077 == 0 for path in data.rglob("*") if not path.is_symlink()
        ), "nothing in it is for others"
        status = first.stop()
    assert status == 0, "\n".join(first.output)
    assert alive(processes) == []

    with tree(data) as second:
        assert second.key == "", "the key is shown once"
        assert (data / "jwt-secret").stat().st_mode & 0o777 == 0o600


def test_a_port_in_use_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            TreeError, match=rf"port {port} on 127\.0\.0\.1: Address already in use"
        ):
            Tree(tmp_path / "data", port=port, environment=ENVIRONMENT).start()
    assert not (tmp_path / "data").exists()


def test_a_second_tree_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as server:
        with pytest.raises(TreeError, match="another Subtext runs in"):
            tree(tmp_path).start()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping(), "the first one's queue is left alone"


class TestProcfile:
    """The same Procfile that a platform reads decides what runs."""

    def procfile(self, directory: Path, text: str) -> tuple[str, str]:
        (directory / "Procfile").write_text(textwrap.dedent(text))
        (directory / "web.py").write_text(
            textwrap.dedent(
                """
                import json, os
                def app(environ, start_response):
                    start_response("200 OK", [("Content-Type", "application/json")])
                    return [json.dumps({"status": "ok", "environment": dict(os.environ)}).encode()]
                """
            )
        )
        (directory / "wsgi.py").write_text(
            textwrap.dedent(
                """
                import click, flask
                app = flask.Flask("demo")
                keys = flask.cli.AppGroup("keys")
                app.cli.add_command(keys)
                @keys.command("list")
                def show(): click.echo("1")
                """
            )
        )
        return "--procfile", str(directory / "Procfile")

    def test_a_process_that_ends_by_itself_ends_the_tree_with_1(self, tmp_path: Path) -> None:
        arguments = self.procfile(
            tmp_path,
            "web: gunicorn web:app\nworker: while [ ! -f end ]; do sleep 0.1; done; exit 3",
        )
        with tree(tmp_path / "data", *arguments) as running:
            processes = psutil.Process(running.pid).children(recursive=True)
            (tmp_path / "end").touch()
            assert eventually(lambda: not psutil.pid_exists(running.pid) or not alive(processes))
            assert running.stop() == 1
        assert alive(processes) == []

    def test_a_release_that_fails_starts_nothing(self, tmp_path: Path) -> None:
        arguments = self.procfile(tmp_path, "release: false\nweb: touch started")
        with pytest.raises(TreeError, match="`false` ended with 1"):
            tree(tmp_path / "data", *arguments).start()
        assert not (tmp_path / "started").exists()

    def test_what_is_set_wins_over_what_development_sets(self, tmp_path: Path) -> None:
        arguments = self.procfile(tmp_path, "web: gunicorn web:app")
        with tree(
            tmp_path / "data", *arguments, "--workers", "3", SUBTEXT_JWT_SECRET="given"
        ) as running:
            seen = get(running.url)["environment"]
        assert seen["SUBTEXT_JWT_SECRET"] == "given"
        assert not (tmp_path / "data" / "jwt-secret").exists()
        assert seen["SUBTEXT_DATA"] == str(tmp_path / "data")
        assert seen["REDIS_URL"].startswith("unix://")
        assert seen["WORKER_CONCURRENCY"] == "3"
        assert seen["PATH"].startswith(str(Path(sys.executable).parent))

    @LINUX
    def test_nothing_outlives_a_tree_that_is_killed(self, tmp_path: Path) -> None:
        arguments = self.procfile(tmp_path, "web: gunicorn web:app\nworker: sleep 600")
        with tree(tmp_path / "data", *arguments) as running:
            processes = psutil.Process(running.pid).children(recursive=True)
            assert len(processes) >= 5, "web, its worker, sleep, two helpers, Valkey"
            os.kill(running.pid, signal.SIGKILL)
            assert eventually(lambda: not alive(processes)), alive(processes)

    def test_a_valkey_that_ends_ends_the_tree_with_1(self, tmp_path: Path) -> None:
        arguments = self.procfile(tmp_path, "web: gunicorn web:app")
        with tree(tmp_path / "data", *arguments) as running:
            (server,) = (
                process
                for process in psutil.Process(running.pid).children()
                if "valkey-server" in process.name()
            )
            server.kill()
            assert eventually(lambda: "subtext: Valkey has ended" in running.output)
            assert eventually(lambda: psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE)
            assert running.stop() == 1

    def test_ctrl_c_ends_it_too_and_a_process_that_ignores_it_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = self.procfile(
            tmp_path,
            f"web: gunicorn web:app\nworker: {sys.executable} -c 'import signal, time; "
            'signal.signal(signal.SIGTERM, lambda *a: print("not yet", flush=True)); '
            "[time.sleep(0.2) for _ in range(20)]'",
        )
        with tree(tmp_path / "data", *arguments) as running:
            os.kill(running.pid, signal.SIGINT)
            assert running.stop() == 0
            assert any("not yet" in line for line in running.output)


def test_a_signal_while_it_starts_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("release: touch releasing && sleep 600\nweb: false")
    with subprocess.Popen(
        [
            *(sys.executable, "app.py", "--data", str(tmp_path / "data"), "--port", "0"),
            *("--procfile", str(tmp_path / "Procfile")),
        ],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **ENVIRONMENT},
    ) as process:
        assert eventually((tmp_path / "releasing").exists)
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(30) == 0
    assert eventually(lambda: not alive(children))


def test_a_reserved_port_is_free_for_the_server_that_shares_it_and_for_nobody_else() -> None:
    held, port = reserve_port("127.0.0.1", 0)
    with held, socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = server.accept()
            connection.close()
        with pytest.raises(PortError, match="Address already in use"):
            reserve_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("sh -c true", "exec sh -c true"),
        ("sh -c 'true; false'", "exec sh -c 'true; false'"),
        ("A=1 sh", "A=1 sh"),
        ("sh -c true && sh", "sh -c true && sh"),
        ("while true; do sh; done", "while true; do sh; done"),
        ("(sh)", "(sh)"),
    ],
)
def test_a_single_command_replaces_its_shell(command: str, line: str) -> None:
    assert shell_line(command, os.environ["PATH"]) == line


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(PortError, match=r"no\.such\.host\.invalid"):
        reserve_port("no.such.host.invalid", 0)


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")],  # noqa: S104
)
def test_the_address_shown_is_one_to_open(host: str, address: str) -> None:
    assert local_address(host) == address


def test_the_secret_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    secret = kept_secret(tmp_path / "secret")
    assert len(secret) >= 32
    assert kept_secret(tmp_path / "secret") == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
