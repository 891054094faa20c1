"""Secrets that are easy to recognise are planted, a plugin fails in every way, and everything is searched."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib
import io
import json
import logging
import math
import re
import sqlite3
import sys
import textwrap
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis

from core import enqueue
from core.database import db, release_connection
from core.logs import configure_logging
from core.testing import BOTH, drain
from tests.hostile.test_accounts import ATTEMPTS, SESSION, bodies
from tests.resilience.installation import Installation, eventually
from workers.worker import QueueWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from core.testing import MakeApp
    from core.valkey import EmbeddedValkey

#: Characters of a secret that are of no use to anybody: half a secret has more.
SHORTEST = 12
MARK = "canary-4f1d-typed"
JWT_SECRET = "canary-jwt-9a77c0de51-secret-of-32-bytes"
METRICS_TOKEN = "canary-metrics-55d0e1b2f3a4"
DATABASE_PASSWORD = "canary-database-7be1904cd2"
REDIS_PASSWORD = "canary-redis-83c5d1f0a6b9"
#: Fails wherever a plugin can, and quotes all it knows.
LEAKY = """
    from flask import Response, request
    from core import Blueprint, Job, enqueue, hookimpl, json_response, require, setting

    def fail(**_):
        raise RuntimeError(f"cannot reach {setting('DATABASE_URL')} with {setting('REDIS_URL')}")

    @hookimpl
    def register_jobs():
        return [Job("leaky.fail", fail, retry=1)]

    @hookimpl
    def evidence_recorded(session, source, evidence):
        fail()

    @hookimpl
    def check_health():
        fail()

    @hookimpl
    def session_timeline(session, after, limit):
        fail()

    @hookimpl
    def register_blueprints():
        routes = Blueprint("leaky", __name__)
        routes.before_request(require(None, credentials=("key", "token")))

        @routes.route("/leaky/now", methods=["GET"])
        def break_now():
            try:
                fail()
            except RuntimeError as error:
                raise ValueError(f"with {dict(request.headers)}") from error

        @routes.route("/leaky/later", methods=["POST"])
        def break_later():
            return json_response({"sent": enqueue("leaky.fail")})

        return [routes]
"""


def forms(secret: str) -> set[bytes]:
    """Return how a secret, or half of it, can look: as it is, escaped, in hex, within base64."""
    raw = secret.encode()
    half = max(SHORTEST, math.ceil(len(raw) / 2))
    found: set[bytes] = set()
    for piece in {raw[:half], raw[-half:]}:
        found |= {piece, quote(piece, safe="").encode(), json.dumps(piece.decode())[1:-1].encode()}
        found |= {piece.hex().encode(), piece.hex().upper().encode()}
        for shift in range(3):
            # What stands before and behind changes the characters at both ends.
            within = base64.b64encode(b"\0" * shift + piece)[math.ceil(shift * 8 / 6) : -4]
            found |= {within, within.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def unusable(secret: str) -> str:
    """Return the part of a credential that is its alone: a key's first digits tell it apart, and may be shown."""
    if secret.startswith("sm_"):
        return secret.removeprefix("sm_")
    return secret.rpartition(".")[2] if secret.startswith("eyJ") else secret


def inflated(data: bytes) -> bytes:
    """Return data with what lies in it compressed, as RQ keeps tracebacks."""
    pieces = [data]
    for text in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", data):
        with contextlib.suppress(ValueError, zlib.error):
            pieces.append(zlib.decompress(base64.b64decode(text + b"=" * (-len(text) % 4))))
    for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data):
        with contextlib.suppress(zlib.error):
            pieces.append(zlib.decompressobj().decompress(data[start.start() :]))
    return b"\n".join(pieces)


@dataclass
class Search:
    """What was planted, and where it was found."""

    secrets: dict[str, str]
    personal: dict[str, str]
    answers: list[str] = field(default_factory=list)
    looked: dict[str, int] = field(default_factory=dict)

    def found(self, place: str, data: bytes, *, personal: bool) -> list[str]:
        """Return what lies in a place: of the secrets, and of what users said where that does not belong."""
        wanted = self.secrets | (self.personal if personal else {})
        self.looked[place] = len(data)
        return [
            f"{name} in {place}"
            for name, secret in wanted.items()
            for form in forms(unusable(secret))
            if form in data
        ]


def use_everything(speak: Any) -> Search:
    """Make keys and tokens and use every address with them, well and badly; return what was planted."""
    given: dict[str, str] = {}
    answers: list[str] = []

    def ask(method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, str]:
        status, text = speak(method, path, body, headers or {})
        answers.append(text)
        return int(status), text

    status, text = speak("POST", "/v1/keys/generate", bodies(MARK)["key"], {})
    assert status == 201, text
    given["the key"] = json.loads(text.partition("\n\n")[0])["api_key"]
    by_key = {"X-Api-Key": given["the key"]}
    for name, body in (
        ("the token", {"scope": "ingest stream"}),
        ("the bound token", {"session_id": SESSION}),
    ):
        status, text = speak("POST", "/v1/tokens", body, by_key)
        assert status == 201, text
        given[name] = json.loads(text.partition("\n\n")[0])["token"]
    by_token = {"Authorization": f"Bearer {given['the token']}"}
    both = by_key | by_token
    own = bodies(MARK)
    writes = {
        "/session": own["search"],
        "/session/events": own["click"],
        "/v1/sessions/a%2Fshared%20id/events": own["mood"],
        "/v1/sessions/a%2Fshared%20id/feedback": own["feedback"],
        **{f"/api/data/{kind}": own[kind] for kind in ("events", "facial", "voice")},
    }
    for path, body in writes.items():
        once = {"Idempotency-Key": f"{MARK}-once"}
        who = by_token if path.startswith("/api/") else by_key
        assert ask("POST", path, body, who | once)[0] == 200, path
        ask("POST", path, [MARK], who)
        ask("POST", path, "x" * 1_100_000, who)
    for name, attempt in ATTEMPTS.items():
        if (
            attempt.path == "/v1/keys/generate"
            or attempt.body == "file"
            or name == "POST /v1/tokens"
        ):
            continue
        if name.startswith(("DELETE", "WS")):
            continue
        path = attempt.path.format(batch="b", export="judgments")
        method = name.partition(" ")[0]
        ask(method, path, attempt.body, both)
        ask(method, path, attempt.body, {"X-Api-Key": given["the key"] + "0"})
        ask("PUT", path, None, both)
        ask("OPTIONS", path, None, both)
    ask(
        "GET",
        "/v1/stream/analyze",
        None,
        ATTEMPTS["WS /v1/stream/analyze"].headers
        | {"Sec-WebSocket-Protocol": f"access_token, {given['the bound token']}"},
    )
    ask("GET", "/metrics", None, {"Authorization": f"Bearer {METRICS_TOKEN}"})
    ask("GET", "/metrics", None, {"Authorization": f"Bearer {METRICS_TOKEN}x"})
    ask("GET", f"/nowhere/{MARK}?key={given['the key']}", None, both)
    assert ask("GET", "/leaky/now", None, both)[0] == 500
    assert ask("GET", "/leaky/now", None, by_token)[0] == 500
    assert '"sent":true' in ask("POST", "/leaky/later", None, by_key)[1]
    planted = {
        "the secret of tokens": JWT_SECRET,
        "the token of metrics": METRICS_TOKEN,
        "the password of the database": DATABASE_PASSWORD,
        "the password of Redis": REDIS_PASSWORD,
    }
    said = {"the session id": SESSION, "what was typed": MARK}
    return Search(given | planted, said, answers)


def stored(client: redis.Redis) -> bytes:
    """Return all keys of a Redis with all that they hold."""
    pieces: list[bytes] = []
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    for key in client.scan_iter():
        kind: Any = client.type(key)
        if kind != b"none":  # it expired meanwhile
            pieces += [key, b"\n".join(_leaves(readers[kind](key)))]
    return inflated(b"\n".join(pieces))


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set):
        for each in value:
            yield from _leaves(each)
    elif value is not None:
        yield value if isinstance(value, bytes) else str(value).encode()


def rows() -> bytes:
    """Return every row of every table of the active app's database, as text."""
    pieces = []
    for table in db.get_tables():
        cursor = db.execute_sql(f'SELECT * FROM "{table}"')  # noqa: S608
        for row in cursor.fetchall():
            pieces += [
                bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row
            ]
    return b"\n".join(pieces)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    from core.valkey import EmbeddedValkey

    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@contextlib.contextmanager
def all_logs() -> Iterator[io.StringIO]:
    """Log everything as the server does, into what is returned."""
    root, statements = logging.getLogger(), logging.getLogger("peewee")
    before, level, below = root.handlers[:], root.level, statements.level
    configure_logging("debug")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    try:
        yield written
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        statements.setLevel(below)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_no_secret_leaves_and_nothing_that_users_said_goes_where_it_does_not_belong(
    request: pytest.FixtureRequest,
    make_app: MakeApp,
    valkey: EmbeddedValkey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "leaky_canary.py").write_text(textwrap.dedent(LEAKY))
    monkeypatch.delitem(sys.modules, "leaky_canary", raising=False)
    settings: dict[str, Any] = {
        "REDIS_URL": valkey.url.replace("unix://", f"unix://default:{REDIS_PASSWORD}@"),
        "SUBTEXT_JWT_SECRET": JWT_SECRET,
        "SUBTEXT_METRICS_TOKEN": METRICS_TOKEN,
        "SUBTEXT_RATE_LIMITS": True,
        "SUBTEXT_CORS_ORIGINS": ("https://shop.example",),
    }
    if request.getfixturevalue("storage") == "postgresql":
        url = request.getfixturevalue("postgres_database")
        settings["DATABASE_URL"] = with_password(url)
    with redis.Redis.from_url(valkey.url) as client, all_logs() as written:
        client.flushall()
        app = make_app(plugins={"leaky": importlib.import_module("leaky_canary")}, **settings)
        search = use_everything(in_process(app))
        drain(app)
        monkeypatch.setattr(QueueWorker, "_install_signal_handlers", lambda _self: None)
        with redis.Redis.from_url(settings["REDIS_URL"]) as known:
            QueueWorker(app, "default", known).work(burst=True)
        logs = written.getvalue()
        assert logs.count("cannot reach") > 3, "the plugin failed where it could"
        assert "[removed]" in logs
        with app.app_context():
            places = {"the rows of the database": rows()}
            assert enqueue("leaky.fail")
            release_connection()
        places["the Valkey"] = stored(client)
        assert b"RuntimeError" in places["the Valkey"], "the failed job is kept"
    places |= {
        f"{path.name} of Valkey": inflated(path.read_bytes()) for path in files(valkey.directory)
    }
    of_sqlite = [path for path in files(tmp_path) if path.name.startswith("subtext.db")]
    places |= {path.name: path.read_bytes() for path in of_sqlite}
    own = {"the rows of the database", *(path.name for path in of_sqlite)}
    places["the answers"] = "\n".join(search.answers).encode()
    places["the logs"] = logs.encode()
    for path in ("/metrics", "/openapi.json", "/readyz", "/health", "/asyncapi.json"):
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        places[path] = in_process(app)("GET", path, None, headers)[1].encode()

    found = [
        what
        for place, data in places.items()
        for what in search.found(place, data, personal=place not in own | {"the answers"})
    ]
    assert found == []
    assert all(search.looked.values()), search.looked
    assert MARK.encode() in places["the rows of the database"], "what was typed is where it belongs"


def in_process(app: Flask) -> Any:
    def speak(method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
        options: dict[str, Any] = {"json": body} if body is not None else {}
        with app.test_client().open(path, method=method, headers=headers, **options) as answer:
            return answer.status_code, f"{answer.get_data(as_text=True)}\n\n{answer.headers}"

    return speak


def with_password(url: str) -> str:
    """Return the URL of a PostgreSQL with a password, for which it does not ask."""
    return re.sub(r"://(\w+):?@", rf"://\1:{DATABASE_PASSWORD}@", url)


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size]


def over_http(port: int) -> Any:
    def speak(method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, data, {**kind, **headers})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        return answer.status, f"{text}\n\n{answer.headers}"

    return speak


@pytest.mark.soak
@pytest.mark.parametrize("storage", BOTH)
def test_no_secret_leaves_a_whole_installation(storage: str, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    entry = packages / "leaky_canary-1.dist-info" / "entry_points.txt"
    entry.parent.mkdir(parents=True)
    (packages / "leaky_canary.py").write_text(textwrap.dedent(LEAKY))
    entry.write_text("[subtext.plugins]\nleaky = leaky_canary\n")
    (entry.parent / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: leaky_canary\nVersion: 1\n"
    )
    installation = Installation(
        tmp_path,
        storage=storage,
        PYTHONPATH=str(packages),
        SUBTEXT_LOG_LEVEL="DEBUG",
        SUBTEXT_RATE_LIMITS="1",
        SUBTEXT_JWT_SECRET=JWT_SECRET,
        SUBTEXT_METRICS_TOKEN=METRICS_TOKEN,
    )
    settings = installation.environment
    plain = settings["REDIS_URL"]
    settings["REDIS_URL"] = plain.replace("unix://", f"unix://default:{REDIS_PASSWORD}@")
    settings["DATABASE_URL"] = with_password(settings["DATABASE_URL"])
    with contextlib.ExitStack() as stack:
        # The plugin's check fails, so it is well as it can be when it is degraded.
        installation.await_health = lambda *_: 0.0  # type: ignore[method-assign]
        stack.enter_context(installation)
        assert eventually(lambda: installation.health()["status"] == "degraded"), installation.log(
            "web"
        )
        search = use_everything(over_http(installation.port))
        search.secrets["the operator's key"] = installation.key
        broker = stack.enter_context(redis.Redis.from_url(plain))
        assert eventually(lambda: b"RuntimeError" in stored(broker)), installation.log("worker")
        seen = b"\n".join(
            " ".join([process.name(), *process.cmdline()]).encode()
            for _, process in installation.victims()
        )
        places = {"the Valkey": stored(broker), "what ps shows": seen}
        for path in ("/metrics", "/openapi.json", "/readyz", "/health", "/asyncapi.json"):
            headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
            _, text = over_http(installation.port)("GET", path, None, headers)
            places[path] = text.encode()
        places["a dump of the database"] = dump(settings["DATABASE_URL"])
        for name in installation.parts:
            places[f"the log of {name}"] = installation.log(name).encode() or b"-"
        places |= {
            f"{path.name} of Valkey": inflated(path.read_bytes())
            for path in files(tmp_path / "valkey")
        }
        places["the answers"] = "\n".join(search.answers).encode()
    found = [
        what
        for place, data in places.items()
        for what in search.found(
            place, data, personal=place not in {"the answers", "a dump of the database"}
        )
    ]
    assert found == []
    assert all(search.looked.values()), search.looked
    assert MARK.encode() in places["a dump of the database"]
    assert b"cannot reach" in places["the log of web"] + places["the log of worker"]


def dump(url: str) -> bytes:
    """Return everything in a database, as its own tools write it down."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            script = "\n".join(connection.iterdump())
        return script.encode() + b"".join(
            each.read_bytes() for each in path.parent.glob(f"{path.name}*")
        )
    import psycopg

    pieces: list[bytes] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT'.encode()) as copy:
                pieces += [bytes(piece) for piece in copy]
    return b"\n".join(pieces)


def test_a_search_finds_what_is_planted_in_any_form() -> None:
    secret = "sm_" + "0123456789abcdef" * 3
    search = Search({"it": secret}, {})
    half = secret[3:27]
    for shown in (
        secret,
        f"prefix{half}",
        secret[-24:],
        half.encode().hex(),
        *(base64.b64encode(f"{'x' * n}{half}y".encode()).decode() for n in range(3)),
    ):
        assert search.found("here", shown.encode(), personal=False), shown
    packed = base64.b64encode(zlib.compress(f"Traceback {secret}".encode() * 9))
    assert search.found("there", inflated(packed), personal=False)
    assert not search.found("elsewhere", secret[:10].encode(), personal=False)
