"""Nothing that was acknowledged is lost or counts twice, whichever process ends, by SIGKILL or SIGTERM, under load."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import psutil  # type: ignore[import-untyped]
import pytest
import websocket

from tests.resilience.installation import READY_SECONDS, Installation, eventually, runs
from tests.resilience.oracle import verify
from tests.resilience.traffic import Ledger, Traffic
from tests.stream import scripts
from tests.stream.house import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.resilience.installation import Ending

#: What chooses victims and moments: SOAK_SEED repeats a run that failed. With this one the few kills of the short form
#: are of the web, one of its workers, a worker, the Valkey, a process of PostgreSQL and the first one of it.
SEED = int(os.environ.get("SOAK_SEED", "20269449"))
#: Kills in the long form, with each storage.
KILLS = int(os.environ.get("SOAK_KILLS", "100"))
#: How often a part is told to end in the long form, with each storage.
ENDS = int(os.environ.get("SOAK_ENDS", "26"))
#: Items that must have been acknowledged for each kill of the long form, on average.
ITEMS_A_KILL = 250
#: Seconds after which all is well again, in the long form.
RECOVERY_SECONDS = 10.0
#: Seconds in which a part that is told to end must have ended: platforms kill after 30.
END_SECONDS = 25.0
#: Processes that are started when they are needed, not when they are missed.
ON_DEMAND = frozenset({"worker: analysis", "postgres: backend", "postgres: helper"})
IDLE_SOCKETS = 3
GOING_AWAY = 1001


class Pace(NamedTuple):
    """Say how many seconds of load there are before a kill at most, and between two calls of a sender on average."""

    calm: float
    pause: float


SHORT, LONG = Pace(0.8, 0.15), Pace(2.5, 0.04)


class Kill(NamedTuple):
    """Say what was killed, and how many seconds it took until all was well again."""

    label: str
    recovery: float


def say(text: str) -> None:
    """Show how it goes: with `-s`, or where a test fails."""
    print(text, flush=True)  # noqa: T201 - see above


def by_label(installation: Installation) -> dict[str, list[psutil.Process]]:
    """Return all processes by what they are for, in the same order in every run."""
    found: dict[str, list[psutil.Process]] = {}
    for name, part in sorted(installation.parts.items()):
        for index, process in enumerate(part.members()):
            try:
                label = name if index == 0 else f"{name}: {role(process)}"
            except psutil.NoSuchProcess:
                continue
            found.setdefault(label, []).append(process)
    return found


def role(process: psutil.Process) -> str:
    """Name what a process below the first of its part does."""
    words = process.cmdline() or [process.name()]
    if words[0].startswith("postgres:"):
        return "backend" if "[local]" in words[0] else "helper"
    if "gunicorn" in " ".join(words):
        return "worker"
    return "analysis" if "plugins.stream.analysis.child_main" in words else words[-1]


def kill_one_by_one(
    installation: Installation, rounds: int, calm: float, dice: random.Random
) -> Iterator[Kill]:
    """Kill a process at a random moment, wait until all is well, and again; every kind gets its turn."""
    deck: list[str] = []
    while rounds:
        time.sleep(dice.uniform(0.1, calm))
        processes = by_label(installation)
        if not deck:
            deck = dice.sample(sorted(processes), len(processes))
        label = deck.pop()
        if label not in processes:
            continue
        victim = dice.choice(processes[label])
        needed = {name: len(found) for name, found in processes.items() if name not in ON_DEMAND}
        say(f"seed {SEED}: {label} ({victim.pid}) is killed")
        started = time.monotonic()
        victim.kill()

        def is_well(victim: psutil.Process = victim, needed: dict[str, int] = needed) -> bool:
            if runs(victim) or installation.health()["status"] != "ok":
                return False
            there = {name: len(found) for name, found in by_label(installation).items()}
            return all(there.get(name, 0) >= number for name, number in needed.items())

        well = eventually(is_well, READY_SECONDS)
        assert well, f"after {label}: {by_label(installation)}\n{installation.health()}"
        yield Kill(label, time.monotonic() - started)
        rounds -= 1


def kill_under_load(
    installation: Installation, ledger: Ledger, rounds: int, pace: Pace
) -> list[Kill]:
    """Kill processes under load, and hold what is left against what was acknowledged."""
    dice = random.Random(SEED)  # noqa: S311 - dice, not keys
    with Traffic(installation, ledger, seed=SEED, pause=pace.pause):
        kills = list(kill_one_by_one(installation, rounds, pace.calm, dice))
    found = verify(installation, ledger)
    say(
        f"{installation.storage}: {rounds} kills, {found.items} items {ledger.count()},"
        f" {ledger.failures} tries failed, {ledger.repeats} were repeated, {found.moods} moods,"
        f" {found.evidence} pieces of evidence; the longest {max(kills, key=lambda each: each.recovery)}"
    )
    return kills


def connect(installation: Installation) -> Client:
    """Open a stream and read its first frame."""
    socket = websocket.create_connection(
        installation.socket_url, timeout=60, header=installation.by_key, suppress_origin=True
    )
    client = Client(socket)
    assert client.frame()["type"] == "session.ready"
    return client


def open_streams(installation: Installation, stack: ExitStack) -> list[Client]:
    """Open streams: some idle, one that is just sending a segment, one whose segment is analysed."""
    streams = [stack.enter_context(connect(installation)) for _ in range(IDLE_SOCKETS + 2)]
    video = scripts.video(3.2, name="ending")
    frame = websocket.ABNF.create_frame(video, websocket.ABNF.OPCODE_BINARY).format()
    streams[-2].connection.sock.sendall(frame[: len(frame) // 2])
    streams[-1].send(video)
    return streams


def end_under_load(
    installation: Installation, ledger: Ledger, rounds: int, pace: Pace
) -> list[Ending]:
    """Tell web and worker in turns to end under load, and hold what is left against what was acknowledged.

    The load cannot be told apart when it is repeated: what the server took, it must have answered.
    """
    endings = []
    with (
        Traffic(installation, ledger, seed=SEED, pause=pace.pause, repeats=False),
        ThreadPoolExecutor(IDLE_SOCKETS + 2) as readers,
    ):
        for number in range(rounds):
            name = ("web", "worker")[number % 2]
            with ExitStack() as stack:
                streams = open_streams(installation, stack) if name == "web" else []
                codes = readers.map(Client.close_code, streams)
                endings.append(installation.end(name))
                assert list(codes) == [GOING_AWAY] * len(streams)
            installation.await_health()
    found = verify(installation, ledger)
    say(
        f"{installation.storage}: {rounds} ends, {found.items} items, {ledger.failures} tries failed,"
        f" the slowest took {max(each.seconds for each in endings):.1f} s"
    )
    assert {each.status for each in endings} == {0}
    assert not [each.left for each in endings if each.left]
    return endings


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Ledger]]:
    """Run an installation for the short forms, with what was acknowledged by it."""
    with Installation(tmp_path_factory.mktemp("ends"), WEB_CONCURRENCY="1") as installation:
        yield installation, Ledger()


def test_what_was_acknowledged_is_there_once_after_a_few_kills(
    on_sqlite: tuple[Installation, Ledger],
) -> None:
    assert kill_under_load(*on_sqlite, 4, SHORT)


def test_a_server_and_a_worker_that_are_told_to_end_answer_what_they_took(
    on_sqlite: tuple[Installation, Ledger],
) -> None:
    assert end_under_load(*on_sqlite, 2, SHORT)


def test_what_was_acknowledged_is_there_once_after_processes_of_postgresql_were_killed(
    tmp_path: Path,
) -> None:
    with Installation(tmp_path, storage="postgresql", WEB_CONCURRENCY="1") as installation:
        assert kill_under_load(installation, Ledger(), 2, SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_what_was_acknowledged_is_there_once_after_a_hundred_kills(
    tmp_path: Path, storage: str
) -> None:
    ledger = Ledger()
    with Installation(tmp_path, storage=storage) as installation:
        kills = kill_under_load(installation, ledger, KILLS, LONG)
    assert sum(ledger.count().values()) >= ITEMS_A_KILL * KILLS
    assert not [kill for kill in kills if kill.recovery > RECOVERY_SECONDS]


@pytest.mark.soak
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_a_server_and_a_worker_that_are_told_to_end_again_and_again_end_in_time(
    tmp_path: Path, storage: str
) -> None:
    with Installation(tmp_path, storage=storage) as installation:
        endings = end_under_load(installation, Ledger(), ENDS, LONG)
    assert max(ending.seconds for ending in endings) < END_SECONDS
