"""A real server for tests: gunicorn, Valkey, a worker, and a plugin whose analyzer does what its media says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil  # type: ignore[import-untyped]
import websocket

from core.queues import Queues
from tests.resilience.installation import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

ROOT = Path(__file__).parents[2]
APP = """
    from app import BUILTIN_PLUGINS
    from core.factory import build_app

    def create_app(**settings):
        names = ("mood", "stream")
        return build_app({**{n: BUILTIN_PLUGINS[n] for n in names}, "scripted": "scripted"}, settings, discover=False)
"""
WSGI = """
    from house_app import create_app
    from core.logs import configure_logging
    app = create_app()
    configure_logging("INFO")
"""
SCRIPTED = '''
    """An analyzer that sees what the title of a file says: `{"sleep": 1, "crash": true, ...}`."""
    import io, json, os, time
    from pathlib import Path
    import av
    from core import hookimpl

    NOTES = Path(__file__).parent / "notes"

    @hookimpl
    def register_analyzers():
        return {"scripted": "scripted:Scripted"}

    class Scripted:
        def __init__(self, *, face, voice, words):
            self.switches = (face, voice, words)

        def observe(self, data, *, start=None, progress=None):
            from plugins.stream.analysis.decode import probe
            from plugins.stream.analysis.errors import Unreadable
            from plugins.stream.analysis.observations import BLENDSHAPES, FaceFrame, Observations
            with av.open(io.BytesIO(data)) as container:
                script = json.loads(container.metadata.get("title", "{}"))
            duration = max(probe(data, start).duration, 0.1)
            NOTES.mkdir(exist_ok=True)
            name = script.get("name", "segment")
            with (NOTES / name).open("a") as notes:
                notes.write(f"{os.getppid()}\\n")
            tries = len((NOTES / name).read_text().splitlines())
            if script.get("crash", 0) >= tries:
                os._exit(7)
            if script.get("broken"):
                raise Unreadable("The media is broken.")
            if tries <= script.get("hang", 1_000):
                time.sleep(script.get("sleep", 0))
            at = [n / 10 for n in range(int(duration * 10))]
            neutral = tuple(0.0 for _ in BLENDSHAPES)
            faces = [
                FaceFrame(t, neutral, 0.0, 0.0, 0.0, (0.0, 0.0), 0.3, (0.5, 0.5)) for t in at
            ]
            if script.get("away"):
                faces = []
            return Observations(duration, tuple(at), tuple(faces), None, None)
'''


class House:
    """One server in a directory, with an account's key; `url` is its address."""

    def __init__(self, directory: Path, redis_url: str, **settings: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket_url = f"ws://127.0.0.1:{self.port}/v1/stream/analyze"
        for name, text in {"house_app": APP, "house_wsgi": WSGI, "scripted": SCRIPTED}.items():
            (directory / f"{name}.py").write_text(textwrap.dedent(text))
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("SUBTEXT_")
        }
        self.environment = {
            **kept,
            "PYTHONPATH": os.pathsep.join((str(directory), str(ROOT))),
            "PORT": str(self.port),
            "REDIS_URL": redis_url,
            "DATABASE_URL": f"sqlite:///{directory / 'test.db'}",
            "SUBTEXT_DATA": str(directory / "data"),
            "SUBTEXT_JWT_SECRET": "a secret that only tests use, 32 bytes and more",
            "SUBTEXT_STREAM_ANALYZER": "scripted",
            "SUBTEXT_RATE_LIMITS": "0",
            "WEB_CONCURRENCY": "1",
            "TMPDIR": str(directory),
            "FLASK_APP": "house_wsgi:app",
            **settings,
        }
        self.web: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.key = ""

    def __enter__(self) -> Self:
        self.flask("db", "upgrade")
        self.key = self.flask("keys", "create", "--name", "Test").split()[-1]
        self.start_web()
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers, self.web]:
            if process is not None and process.poll() is None:
                process.terminate()
        for process in [*self.workers, self.web]:
            if process is not None:
                try:
                    process.wait(40)
                finally:
                    process.kill()

    def start_web(self) -> None:
        """Start gunicorn, and wait until it answers."""
        command = ["-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "house_wsgi:app"]
        self.web = self._start(command, "web")
        assert eventually(lambda: self.answers("/livez")), self.log("web")

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker for the queue `stream`."""
        code = "import workers.worker as w; w.APP_FACTORY = 'house_app:create_app'; w.run_worker('stream')"
        worker = self._start(["-c", code], "worker")
        self.workers.append(worker)
        return worker

    def await_worker(self, broker: redis.Redis) -> None:
        """Wait until a worker has shown itself."""
        assert eventually(lambda: Queues(broker).worker_count()), self.log("worker")

    def answers(self, path: str) -> bool:
        """Tell whether a page answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """Return the JSON of a page."""
        return self.request("GET", path)[1]

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Return status, JSON and headers of an answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url + path, body, {"Authorization": f"Bearer {self.key}", **given}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers

    def connect(self, query: str = "", **options: Any) -> Client:
        """Open a stream."""
        options.setdefault("header", {"Authorization": f"Bearer {self.key}"})
        options.setdefault("suppress_origin", "origin" not in options)
        return Client(websocket.create_connection(self.socket_url + query, timeout=30, **options))

    def log(self, name: str) -> str:
        """Return what a process wrote."""
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def notes(self, name: str = "segment") -> list[str]:
        """Return one line for each analysis of media of that name: the worker's id."""
        path = self.directory / "notes" / name
        return path.read_text().split() if path.exists() else []

    def media_left(self) -> int:
        """Return how many files of media there are."""
        return len(list((self.directory / "data" / "media").glob("*")))

    def web_memory(self) -> int:
        """Return the resident bytes of the process that serves."""
        assert self.web is not None
        (child,) = psutil.Process(self.web.pid).children()
        return int(child.memory_info().rss)

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=self.directory,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def flask(self, *arguments: str) -> str:
        """Run a command, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Client:
    """A WebSocket client that reads frames."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def send(self, data: bytes | dict[str, Any] | str) -> None:
        """Send media, or a text frame."""
        if isinstance(data, bytes):
            self.connection.send_binary(data)
        else:
            self.connection.send(data if isinstance(data, str) else json.dumps(data))

    def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        found: dict[str, Any] = json.loads(self.connection.recv())
        return found

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Return frames up to the first of a kind."""
        frames = [self.frame()]
        while frames[-1]["type"] != kind:
            frames.append(self.frame())
        return frames

    def close_code(self) -> int:
        """Read on and return with what code the server closes."""
        while True:
            opcode, data = self.connection.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2])

    def finish(self) -> list[dict[str, Any]]:
        """Ask for the end and return all frames until the last."""
        self.send({"type": "session.close"})
        return self.until("session.ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, websocket.WebSocketException):
            self.connection.close(timeout=1)
        self.connection.shutdown()


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    """Return the types of frames."""
    return [frame["type"] for frame in frames]


def eventually(condition: Callable[[], object], seconds: float = 40) -> bool:
    """Tell whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process as the kernel's memory killer would."""
    process.send_signal(signal.SIGKILL)
    process.wait()
