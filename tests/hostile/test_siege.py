"""A server under attack answers as documented, keeps its memory, and has time for everyone else."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from core import accounts
from core.wire import DEFAULT_LIMITS, MAX_VALUES
from examples.demo.client import Client
from tests.hostile.bodies import GZIP, bomb
from tests.hostile.siege import Server, Watch, chunked, pace, percentile, request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from core.testing import Caller, MakeApp, MakeCaller

MIB = 1024 * 1024
#: Bytes by which all processes of the server together may grow.
GROWTH = 32 * MIB
PATH = "/v1/sessions/s/events"
GOOD = b'{"events":[{"type":"click"}]}'
SIZED = {"Content-Length": str(len(GOOD))}
CHUNKED = {"Transfer-Encoding": "chunked"}
CLIENT = frozenset({400, 413, 415, 417, 431})
HTTP_SAYS = frozenset({501})
#: Requests whose framing is a lie: headers, pieces, what may be answered. 0 is no answer but a closed connection.
LIES: dict[str, tuple[dict[str, str], list[bytes], frozenset[int]]] = {
    "no length": ({}, [GOOD], CLIENT),
    "a short length": ({"Content-Length": "5"}, [GOOD], CLIENT),
    "a long length": ({"Content-Length": "500"}, [GOOD], CLIENT),
    "a negative length": ({"Content-Length": "-5"}, [GOOD], CLIENT),
    "a length in words": ({"Content-Length": "five"}, [GOOD], CLIENT),
    "a length with a sign": ({"Content-Length": "+29"}, [GOOD], CLIENT),
    "a length of 400 digits": ({"Content-Length": "9" * 400}, [GOOD], CLIENT),
    "two lengths": ({**SIZED, "content-length": "30"}, [GOOD], CLIENT),
    "a length and chunks": (SIZED | CHUNKED, [*chunked([GOOD])], CLIENT),
    "an unknown coding": ({"Transfer-Encoding": "foo"}, [GOOD], HTTP_SAYS),
    "a chunk of a word": (CHUNKED, [b"ZZ\r\n", GOOD], CLIENT),
    "a chunk below nothing": (CHUNKED, [b"-1\r\n", GOOD], CLIENT),
    "a chunk past all numbers": (CHUNKED, [b"F" * 40 + b"\r\n", GOOD], CLIENT),
    "a chunk that goes on": (CHUNKED, [b"5\r\n", GOOD], CLIENT),
    "a size that never ends": (CHUNKED, [b"0" * 500_000], CLIENT),
    "chunks that never end": (CHUNKED, [b"1\r\n \r\n" * 200_000], CLIENT),
    "an expectation": ({**SIZED, "Expect": "200-ok"}, [GOOD], CLIENT),
    "5,000 headers": (SIZED | {f"h{n}": "x" for n in range(5000)}, [GOOD], CLIENT),
    "a header of a megabyte": (SIZED | {"h": "x" * MIB}, [GOOD], CLIENT),
    "a declared bomb": (GZIP | {"Content-Length": str(10**7)}, [bomb(10_000)], CLIENT),
    "an endless bomb": (GZIP | CHUNKED, [*chunked([bomb(10_000)])], CLIENT),
    "a bomb in a bomb": (GZIP | CHUNKED, [*chunked([gzip.compress(bomb(10_000))])], CLIENT),
}
CROWD = gzip.compress(b'{"events":[' + b"{}," * (MAX_VALUES // 2 - 1) + b"{}]}", 1)
SPACE = gzip.compress(GOOD.ljust(DEFAULT_LIMITS.inflated), 1)
#: Bodies that cost as much as may be, many of which come at once.
COSTLY = {"bombs": bomb(900), "crowds": CROWD, "white space": SPACE}
#: Seconds in which a test makes its load, and in which it listens to others before.
SECONDS = float(os.environ.get("SIEGE_SECONDS", "30"))
#: Connections to the database that a process has at most (SUBTEXT_DATABASE_POOL).
POOL = 20
#: Clients that send a byte now and then: two processes have 216 threads.
SLOW_CLIENTS = 100
#: Attacks in a second, besides.
ATTACKS = 4.0
#: How much longer 95 % of the others' calls may take meanwhile, and what the clock of a busy machine adds in seconds.
SLOWER, JITTER = 1.5, 0.005


@pytest.fixture
def caller(make_app: MakeApp, make_caller: MakeCaller) -> Caller:
    return make_caller(make_app(), *accounts.SCOPES, plan="pro")


@pytest.fixture
def server(caller: Caller, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(tmp_path, getattr(request, "param", 1)) as server:
        yield server


def attack(caller: Caller, headers: dict[str, str], pieces: Iterable[bytes]) -> list[bytes]:
    return request(PATH, {**caller.headers, "Content-Type": "application/json", **headers}, pieces)


def cost(server: Server, caller: Caller, body: bytes) -> int:
    headers = GZIP | {"Content-Length": str(len(body))}
    return server.say(attack(caller, headers, [body]))[0]


def test_lies_about_a_body_are_refused_and_cost_no_memory(server: Server, caller: Caller) -> None:
    assert server.say(attack(caller, SIZED, [GOOD]))[0] == 200
    before = server.memory()
    for name, (headers, pieces, statuses) in LIES.items():
        status, body = server.say(attack(caller, headers, pieces), half=True)
        assert status in statuses, (name, status, body[:300])
        if body.startswith(b"{"):
            assert {"error", "message"} <= orjson.loads(body).keys(), name
    assert server.memory() - before < GROWTH
    assert server.say(attack(caller, SIZED, [GOOD]))[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_many_costly_bodies_at_once_leave_the_memory_as_it_was(
    server: Server, caller: Caller
) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: server.say(attack(caller, SIZED, [GOOD]))[0], range(16))) == {
            200
        }
        before = server.memory()
        for name, body in COSTLY.items():
            found = set(pool.map(lambda _, b=body: cost(server, caller, b), range(8)))
            assert found <= {200, 400, 413, 503}, (name, found)
    assert server.memory() - before < GROWTH


def test_who_sends_slowly_keeps_no_connection_of_the_database(
    server: Server, caller: Caller
) -> None:
    headers = {"Content-Length": str(len(GOOD))}
    (head, body) = attack(caller, headers, [GOOD])
    with ExitStack() as stack:
        for _ in range(POOL + 4):
            stack.enter_context(closing(server.connect())).sendall(head + body[:1])
        assert server.say(attack(caller, SIZED, [GOOD]))[0] == 200


def honest(server: Server, caller: Caller, seconds: float) -> list[float]:
    """Return how long each call of clients that mean no harm took."""
    taken: list[float] = []
    until = time.monotonic() + seconds

    def call(number: int) -> None:
        turn = pace(20)
        path, body = f"/v1/sessions/honest{number}/events", {"events": [{"type": "click"}]}
        with Client(server.url, caller.headers) as client:
            while time.monotonic() < until:
                turn()
                started = time.perf_counter()
                answer: Any = client.post(path, body)
                assert answer.status == 200, answer
                taken.append(time.perf_counter() - started)

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(call, range(4)):
            pass
    return taken


def creep(server: Server, caller: Caller, over: threading.Event) -> None:
    """Send requests a byte a second, half of them in their heads, half of them in their bodies."""
    whole = b"".join(attack(caller, {"Content-Length": "1000"}, [b" " * 1000]))
    head = whole.index(b"\r\n\r\n") + 4
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(server.connect())) for _ in range(SLOW_CLIENTS)]
        sent = [20 if number % 2 else head for number in range(SLOW_CLIENTS)]
        for client, place in zip(clients, sent, strict=True):
            client.sendall(whole[:place])
        while not over.wait(1):
            for number, client in enumerate(clients):
                with contextlib.suppress(OSError):  # it was cut off: a new one takes its place
                    client.sendall(whole[sent[number] : sent[number] + 1])
                    sent[number] += 1
                    continue
                client.close()
                clients[number] = stack.enter_context(closing(server.connect()))
                sent[number] = 20 if number % 2 else head
                clients[number].sendall(whole[: sent[number]])


def besiege(server: Server, caller: Caller, over: threading.Event) -> None:
    """Make one costly or lying request after another."""
    turn = pace(ATTACKS)
    attacks = [attack(caller, headers, pieces) for headers, pieces, _ in LIES.values()]
    attacks += [
        attack(caller, GZIP | {"Content-Length": str(len(body))}, [body])
        for body in COSTLY.values()
    ]
    while not over.is_set():
        for each in attacks:
            turn()
            if over.is_set():
                return
            assert server.say(each, half=True)[0] in CLIENT | HTTP_SAYS | {200, 503}


@pytest.mark.soak
@pytest.mark.parametrize("server", [2], indirect=True)
def test_others_are_served_while_attacks_go_on(
    server: Server, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    honest(server, caller, 3)
    before = honest(server, caller, SECONDS)
    over = threading.Event()
    with Watch(server.memory) as memory, ThreadPoolExecutor(2) as pool:
        attackers = [pool.submit(each, server, caller, over) for each in (creep, besiege)]
        try:
            time.sleep(2)
            during = honest(server, caller, SECONDS)
        finally:
            over.set()
        for attacker in attackers:
            attacker.result()
    time.sleep(1)
    p95 = percentile(before, 0.95), percentile(during, 0.95)
    grown = server.memory() - memory.before
    with capsys.disabled():
        sys.stdout.write(
            f"\np95 {p95[0] * 1000:.1f} ms before, {p95[1] * 1000:.1f} ms during;"
            f" memory +{grown / MIB:.1f} MiB, at most +{(memory.peak - memory.before) / MIB:.1f} MiB\n"
        )
    assert grown < GROWTH
    assert p95[1] <= SLOWER * p95[0] + JITTER
