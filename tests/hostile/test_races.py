"""Clients that all come at once: what is counted is counted once, and nothing outlives an erasure."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core import accounts
from core.database import db, fetch_all
from core.runtime import current
from core.testing import BOTH, bearer, drain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

#: Requests at a time: as many threads as two gunicorn workers have.
THREADS = 16
#: Sessions a month that the plan of these tests allows.
PLAN_LIMIT = 5
TIME = "2026-03-16T10:14:32.120Z"

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(
        SUBTEXT_DATABASE_POOL=THREADS + 4, SUBTEXT_MOOD_PLAN_LIMITS={"starter": PLAN_LIMIT}
    )


@pytest.fixture
def caller(app: Flask, make_caller: MakeCaller) -> Caller:
    return make_caller(app, *accounts.SCOPES)


class Client:
    """Speak all three APIs for one account; safe to call from any thread."""

    def __init__(self, app: Flask, caller: Caller) -> None:
        self.app = app
        self.key = caller.headers
        self.token = bearer(app, caller.tenant)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        who = self.token if path.startswith("/api/data/") else self.key
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().open(path, method=method, json=body, headers=who | named)

    def ingest(self, session: str, number: int = 0, **headers: str) -> Any:
        event = {"eventType": "click", "targetSelector": f"#b{number}", "timestamp": TIME}
        body = {"sessionId": session, "batch": [event]}
        return self("POST", "/api/data/events", body, **headers)

    def feel(self, session: str, number: int = 0, **headers: str) -> Any:
        body = {"events": [{"type": "rage_click", "id": f"e{number}"}]}
        return self("POST", f"/v1/sessions/{session}/events", body, **headers)

    def judge(self, session: str) -> Any:
        body = {"action_taken": "show_live_chat", "was_helpful": True}
        return self("POST", f"/v1/sessions/{session}/feedback", body, Idempotency_Key=session)

    def search(self, session: str, **headers: str) -> Any:
        shown = [{"object_id": f"o{n}"} for n in range(THREADS)]
        body = {
            "session_id": session,
            "search_query": "lamp",
            "search_results": shown,
            "user_id": "u",
        }
        return self("POST", "/session", body, **headers)

    def click(self, session: str, number: int = 0, **headers: str) -> Any:
        event = {"event_id": f"c{number}", "object_id": f"o{number % THREADS}"}
        body = {"session_id": session, "events": [event]}
        return self("POST", "/session/events", body, **headers)


@pytest.fixture
def client(app: Flask, caller: Caller) -> Client:
    return Client(app, caller)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Start all calls at the same moment and return what each came to."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(60) for each in [pool.submit(run, call) for call in calls]]


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers if hasattr(answer, "status_code"))


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return fetch_all(query)


def strays(app: Flask) -> dict[str, int]:
    """Return how many rows each table keeps of sessions that there are not."""
    with app.app_context():
        models = current().plugins.models()
        tables = [*(each._meta.table_name for each in models), "core_outbox", "core_answer"]
        found = {}
        for table in tables:
            if any(column.name == "session_key" for column in db.get_columns(table)):
                [(count,)] = fetch_all(
                    f"SELECT COUNT(*) FROM {table} WHERE session_key IS NOT NULL"  # noqa: S608
                    " AND session_key NOT IN (SELECT id FROM core_session)"
                )
                found[table] = count
    assert len(found) > 8, "the tables are there"
    return {table: count for table, count in found.items() if count}


@both
def test_first_batches_of_a_session_through_all_apis_make_one_session_that_counts_once(
    app: Flask, client: Client
) -> None:
    kinds = (client.ingest, client.feel, client.click, lambda s, _n: client.search(s))
    calls = [
        lambda kind=kinds[number % 4], number=number: kind("new", number)
        for number in range(THREADS - 1)
    ]
    answers = at_once(*calls, lambda: drain(app))
    assert statuses(answers) == {200: THREADS - 1}
    drain(app)
    assert rows(app, "SELECT COUNT(*) FROM core_session") == [(1,)]
    assert rows(app, "SELECT sessions FROM mood_quota") == [(1,)]
    assert rows(app, "SELECT COUNT(*) FROM core_outbox") == [(0,)]
    session = client("GET", "/session?session_id=new").json
    assert len(session["events"]) == len([n for n in range(THREADS - 1) if n % 4 == 2])
    assert rows(app, "SELECT COUNT(*) FROM clickstream_orphan") == [(0,)]


@both
def test_one_idempotency_key_sent_at_once_is_done_once(app: Flask, client: Client) -> None:
    answers = at_once(*[lambda: client.feel("s", Idempotency_Key="k")] * THREADS)
    assert statuses(answers) == {200: THREADS}
    assert len({answer.get_data() for answer in answers}) == 1
    assert rows(app, "SELECT COUNT(*) FROM mood_event") == [(1,)]


@both
def test_one_idempotency_key_with_different_bodies_takes_one_of_them(
    app: Flask, client: Client
) -> None:
    calls = [lambda n=n: client.feel("s", n, Idempotency_Key="k") for n in range(THREADS)]
    assert statuses(at_once(*calls)) == {200: 1, 422: THREADS - 1}
    assert rows(app, "SELECT COUNT(*) FROM mood_event") == [(1,)]


@both
def test_the_plans_sessions_are_never_exceeded(app: Flask, client: Client) -> None:
    answers = at_once(*[lambda n=n: client.feel(f"s{n}") for n in range(THREADS)])
    assert statuses(answers) == {200: PLAN_LIMIT, 429: THREADS - PLAN_LIMIT}
    assert rows(app, "SELECT sessions FROM mood_quota") == [(PLAN_LIMIT,)]
    assert rows(app, "SELECT COUNT(*) FROM mood_event") == [(PLAN_LIMIT,)]
    assert rows(app, "SELECT COUNT(*) FROM core_session") == [(PLAN_LIMIT,)]


@both
def test_nothing_outlives_an_erasure_that_comes_amid_everything_else(
    app: Flask, client: Client
) -> None:
    def storm(session: str) -> list[Any]:
        return at_once(
            *[lambda: client("DELETE", f"/v1/sessions/{session}")] * 2,
            *[lambda n=n: client.ingest(session, n) for n in range(3)],
            *[lambda n=n: client.feel(session, n) for n in range(3)],
            *[lambda: client.judge(session)] * 3,
            lambda: client.search(session),
            *[lambda n=n: client.click(session, n) for n in range(2)],
            *[lambda: drain(app)] * 2,
        )

    for turn in range(PLAN_LIMIT):
        session = f"s{turn}"
        assert client.feel(session).status_code == 200
        answers = storm(session)
        assert statuses(answers[:2]) == {200: 1, 404: 1}
        assert set(statuses(answers)) <= {200, 404, 410}
        drain(app)
        assert strays(app) == {}
    assert rows(app, "SELECT COUNT(*) FROM core_session") == [(0,)]


def test_a_kept_answer_is_erased_with_its_session(client: Client) -> None:
    sending: tuple[Callable[..., Any], ...] = (
        client.ingest,
        client.feel,
        client.click,
        client.search,
    )
    for number, send in enumerate(sending):
        session = f"s{number}"
        assert client.feel(session).status_code == 200
        assert send(session, Idempotency_Key=session).status_code == 200
        assert client("DELETE", f"/v1/sessions/{session}").status_code == 200
        assert send(session, Idempotency_Key=session).status_code == 410


@both
def test_two_releases_at_once_release_one_batch(client: Client) -> None:
    assert client.search("s").status_code == 200
    path = "/api/v1/clickstream/internal/batch/release"
    same = at_once(*[lambda: client("POST", path, {"release_id": "a"})] * 4)
    assert statuses(same) == {200: 4}
    assert len({answer.get_data() for answer in same}) == 1

    assert client.search("t").status_code == 200
    others = at_once(*[lambda n=n: client("POST", path, {"release_id": f"b{n}"}) for n in range(4)])
    assert statuses(others) == {200: 1, 404: 3}


@both
def test_sessions_created_amid_a_release_are_in_one_batch_each_under_numbers_without_gaps(
    app: Flask, client: Client
) -> None:
    assert client.search("first").status_code == 200
    path = "/api/v1/clickstream/internal/batch/release"
    answers = at_once(
        *[lambda n=n: client.search(f"s{n}") for n in range(THREADS - 2)],
        lambda: client("POST", path, {"release_id": "a"}),
    )
    assert statuses(answers) == {200: THREADS - 1}
    numbered = rows(app, "SELECT batch_id, number FROM clickstream_search ORDER BY 1, 2")
    by_batch = {batch: [n for b, n in numbered if b == batch] for batch, _ in numbered}
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_batch.values())
    assert sum(map(len, by_batch.values())) == THREADS - 1


@both
def test_clicks_that_race_with_their_search_are_all_in_it_once(app: Flask, client: Client) -> None:
    def race(session: str) -> list[Any]:
        return at_once(
            lambda: client.search(session),
            *[lambda n=n: client.click(session, n // 2) for n in range(THREADS - 2)],
            lambda: drain(app),
        )

    for turn in range(3):
        session = f"s{turn}"
        answers = race(session)
        assert statuses(answers) == {200: THREADS - 1}
        events = client("GET", f"/session?session_id={session}").json["events"]
        assert sorted(each["event_id"] for each in events) == sorted(
            f"c{n}" for n in range((THREADS - 2) // 2)
        )
        drain(app)
    evidence = "SELECT COUNT(*) FROM mood_evidence WHERE kind = 'result_click'"
    assert rows(app, evidence) == [(3 * ((THREADS - 2) // 2),)]
