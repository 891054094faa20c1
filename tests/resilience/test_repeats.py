"""Clients that send again: however often and in whatever order, the state is that of sending each request once."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core import accounts
from core.database import fetch_all
from core.runtime import current
from core.testing import BOTH, drain
from tests.resilience.picture import START, Party, Request, differences, iso, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from core.testing import MakeApp, MakeCaller

#: Clients at a time: as many threads as two gunicorn workers have.
THREADS = 16
#: How often each request is sent.
TIMES = 3
#: Tables whose number of rows depends on the order: the record of the moods that were told.
TOLD = frozenset({"mood_change"})


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(SUBTEXT_DATABASE_POOL=THREADS + 4)


def recorded(sessions: int, seed: int) -> list[Request]:
    """Return what the pages of some sessions send, through every API, in no order that matters.

    Items that carry their identity are sent without an `Idempotency-Key`, those that carry none with one. Searches
    name no user: which search of a user was the last is told by the order of their receipt.
    """
    chance = random.Random(seed)  # noqa: S311
    requests: list[Request] = []
    for number in range(sessions):
        session = f"s{number}"
        requests += [
            Request("POST", "/api/data/events", _events(session, chance, part)) for part in range(2)
        ]
        frames = [
            {
                "frameIndex": n,
                "timestamp": iso(40 + n),
                "emotions": {"confusion": 0.6, "neutral": 0.4},
                "attentionScore": chance.choice((0.3, 0.6, 0.9)),
            }
            for n in range(4)
        ]
        requests.append(
            Request("POST", "/api/data/facial", {"sessionId": session, "batch": frames})
        )
        speech = {
            "segmentIndex": 0,
            "startTime": iso(50),
            "endTime": iso(55),
            "transcript": "Where is it?",
            "sentiment": "negative",
            "sentimentScore": -0.6,
            "hesitationCount": chance.randrange(5),
        }
        requests.append(
            Request("POST", "/api/data/voice", {"sessionId": session, "batch": [speech, {}]})
        )
        feelings = [
            {"type": kind, "ts": START + n * 3 + chance.random()}
            for n, kind in enumerate(("hover", "rage_click", "error", "focus", "blur", "backtrack"))
        ]
        path = f"/v1/sessions/{session}/events"
        requests.append(
            Request("POST", path, {"events": feelings}, {"Idempotency-Key": f"{session}-felt"})
        )
        named = [{"type": "click", "ts": START + n, "id": f"e{n}"} for n in range(4)]
        requests.append(Request("POST", path, {"events": named}))
        search = {
            "session_id": session,
            "search_query": f"lamp {number % 3}",
            "search_results": [{"object_id": f"o{n}"} for n in range(5 if number % 4 else 0)],
            "created_at": (START + number) * 1000,
        }
        requests.append(Request("POST", "/session", search))
        for part in range(2):
            clicks = [
                {
                    "event_id": f"c{part}{n}",
                    "object_id": f"o{chance.randrange(6)}",
                    "created_at": (START + 60 + part * 10 + n) * 1000,
                }
                for n in range(2)
            ]
            requests.append(
                Request("POST", "/session/events", {"session_id": session, "events": clicks})
            )
    return requests


def _events(session: str, chance: random.Random, part: int) -> dict[str, Any]:
    kinds = ("click", "scroll", "navigation", "error", "focus", "input")
    items: list[Any] = [
        {
            "eventType": chance.choice(kinds),
            "targetSelector": f"#b{n}",
            "timestamp": iso(part * 20 + n + chance.randrange(1000) / 1000),
            **({"eventId": f"{part}-{n}"} if n % 2 else {}),
        }
        for n in range(6)
    ]
    return {"sessionId": session, "batch": [*items, {"eventType": "click"}, items[0]]}


def settings() -> list[Request]:
    """Return changes of the settings that touch different ones: of one setting, the last change would stay."""
    changes: tuple[dict[str, Any], ...] = (
        {"thresholds": {"rage_click_window_ms": 800}},
        {"thresholds": {"quick_back_window_ms": 8_000}},
        {"thresholds": {"unsettled_confidence": 0.5}},
        {"modality_weights": {"facial": 0.5}},
        {"modality_weights": {"voice": 2}},
        {"modality_weights": {"search": 0.25}},
    )
    return [Request("PATCH", "/v1/mood/settings", change) for change in changes]


def judgements(sessions: int) -> list[Request]:
    """Return what is said about sessions that are there: what of it comes too early is a 404, as it must be."""
    requests = []
    for number in range(sessions):
        path = f"/v1/sessions/s{number}/feedback"
        body = {
            "action_taken": "show_tooltip",
            "was_helpful": number % 2 == 0,
            "notes": f"{number}",
        }
        requests.append(Request("POST", path, body, {"Idempotency-Key": f"f{number}"}))
        if number % 3 == 0:
            requests.append(Request("POST", "/session/irrelevant", {"session_id": f"s{number}"}))
    return requests


def send_once(party: Party, requests: Sequence[Request]) -> None:
    """Send each request once, one after the other."""
    for request in requests:
        answer = party.send(request)
        assert answer.status_code == 200, (request, answer.text)


def send_repeatedly(party: Party, requests: Sequence[Request], seed: int) -> None:
    """Send each request three times, shuffled, from many threads, while a worker drains the outbox."""
    sending = [number for number in range(len(requests)) for _ in range(TIMES)]
    random.Random(seed).shuffle(sending)  # noqa: S311
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            drain(party.app)

    with ThreadPoolExecutor(THREADS) as clients, ThreadPoolExecutor(1) as workers:
        worker = workers.submit(work)
        try:
            answers = list(clients.map(lambda n: party.send(requests[n]), sending, timeout=300))
        finally:
            over.set()
        worker.result(60)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: len(sending)}, statuses
    replayed: dict[int, set[bytes]] = {}
    for number, answer in zip(sending, answers, strict=True):
        if requests[number].headers is not None:
            replayed.setdefault(number, set()).add(answer.get_data())
    assert all(len(bodies) == 1 for bodies in replayed.values()), "a repeat gets the first answer"


def settle(app: Flask) -> None:
    """Do what workers do: tell all evidence, and read every session that new settings made stale."""
    drain(app)
    with app.app_context():
        while current().jobs.run("mood.sweep"):
            pass


def rows(app: Flask, account_id: int) -> dict[str, int]:
    """Return how many rows each table has of an account's sessions."""
    found = {}
    with app.app_context():
        for model in current().plugins.models():
            table, columns = model._meta.table_name, model._meta.columns
            if "session_key" in columns and table not in TOLD:
                [(found[table],)] = fetch_all(
                    f"SELECT COUNT(*) FROM {table} WHERE session_key IN"  # noqa: S608
                    " (SELECT id FROM core_session WHERE account_id = ?)",
                    (account_id,),
                )
        for table in ("core_session", "core_answer", "core_outbox", "mood_quota"):
            [(found[table],)] = fetch_all(
                f"SELECT COUNT(*) FROM {table} WHERE account_id = ?",  # noqa: S608
                (account_id,),
            )
        [(found["sessions counted"],)] = fetch_all(
            "SELECT SUM(sessions) FROM mood_quota WHERE account_id = ?", (account_id,)
        )
    return found


def check(app: Flask, make_caller: MakeCaller, sessions: int, seed: int) -> None:
    """Let one account send each request once and another one again and again, and compare them."""
    calm, eager = (Party(app, make_caller(app, *accounts.SCOPES)) for _ in range(2))
    for requests in ([*recorded(sessions, seed), *settings()], judgements(sessions)):
        send_once(calm, requests)
        send_repeatedly(eager, requests, seed)
        settle(app)
    names = [f"s{number}" for number in range(sessions)]
    assert differences(picture(calm, names), picture(eager, names)) == {}
    counts = rows(app, calm.caller.account_id)
    assert counts == rows(app, eager.caller.account_id)
    assert counts["core_outbox"] == 0
    assert all(counts[table] for table in ("mood_event", "mood_evidence", "clickstream_event"))


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_requests_sent_three_times_from_many_threads_leave_the_state_of_one_serial_run(
    app: Flask, make_caller: MakeCaller
) -> None:
    check(app, make_caller, sessions=8, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_many_requests_sent_three_times_leave_the_state_of_one_serial_run(
    app: Flask, make_caller: MakeCaller
) -> None:
    for seed in range(int(os.environ.get("SOAK_REPEATS", "5"))):
        check(app, make_caller, sessions=40, seed=seed)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_changes_of_different_settings_that_come_at_once_all_hold(
    app: Flask, make_caller: MakeCaller
) -> None:
    for _ in range(5):
        party = Party(app, make_caller(app))
        start = threading.Barrier(len(settings()))

        def change(request: Request, party: Party = party, start: Any = start) -> int:
            start.wait(60)
            return int(party.send(request).status_code)

        with ThreadPoolExecutor(len(settings())) as clients:
            assert set(clients.map(change, settings(), timeout=60)) == {200}
        serial = Party(app, make_caller(app))
        send_once(serial, settings())
        page = "/v1/mood/settings"
        assert party.get(page) == serial.get(page)
