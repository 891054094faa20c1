"""What clients send: a kind of request for each API, made ahead of time so that sending costs next to nothing.

Four of five writes go to sessions that began just now, fifty of them at a time, the others to any of those that are
stored already. Every request is 5 s later than the one before, in all sessions: nobody's clock is wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from benchmarks.load import Request
from examples.demo.observing import VOICES, frame, iso, segment
from examples.demo.searching import Click, click_event, search, session_body
from examples.demo.visitors import INTENTS, event_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.server import Server
    from examples.demo.replay import Credentials

#: The share of the writes that go to sessions of before.
OLD = 0.2
#: New sessions that take turns, and writes to each until another one takes its place.
SESSIONS_AT_ONCE, WRITES_PER_SESSION = 50, 20
ITEMS_PER_BATCH, EVENTS_PER_MOOD = 100, 3
#: Microseconds between two requests, and between two items of one.
BETWEEN, BETWEEN_ITEMS = 5_000_000, 40_000
#: Microseconds before now at which the requests of a server begin: what is stored is older, nothing is in the future.
BEGIN = 86_400_000_000
#: What a visitor does, over and over.
MOOD_EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "scroll", "speed": 400, "direction": "down"},
    {"type": "click", "x": 10, "y": 20},
    {"type": "hover", "duration_ms": 900},
)


@dataclass
class Traffic:
    """Make the requests of one client; another seed makes others."""

    server: Server
    seed: int
    at: int = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - reproducible, not secret
        self.at = time.time_ns() // 1000 - BEGIN
        self.batches: Iterator[dict[str, Any]] = event_batches(ITEMS_PER_BATCH, seed=self.seed)
        self.items = count()

    def make(self, kind: Kind, requests: int) -> list[Request]:
        """Return so many requests of a kind."""
        made = []
        for _ in range(requests):
            self.number += 1
            self.at += BETWEEN
            made.append(kind.make(self))
        return made

    def account(self) -> Credentials:
        """Choose one of the accounts."""
        return self.random.choice(self.server.accounts)

    def session(self) -> tuple[Credentials, str]:
        """Choose a session to write to."""
        if self.random.random() < OLD:
            return self.account(), self.random.choice(self.server.sessions)
        wave = self.number // (SESSIONS_AT_ONCE * WRITES_PER_SESSION)
        new = wave * SESSIONS_AT_ONCE + self.number % SESSIONS_AT_ONCE
        return self.server.accounts[new % len(self.server.accounts)], f"new-{self.seed}-{new}"


@dataclass(frozen=True)
class Kind:
    """Name a kind of request, how many items it carries, and what makes one."""

    name: str
    items: int
    make: Callable[[Traffic], Request]


def _by_token(who: Credentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token}"}


def _by_key(who: Credentials) -> dict[str, str]:
    return {"X-Api-Key": who.key}


def _post(path: str, headers: dict[str, str], body: Any) -> Request:
    return Request(
        "POST", path, {**headers, "Content-Type": "application/json"}, orjson.dumps(body)
    )


def _events(path: str) -> Callable[[Traffic], Request]:
    def make(traffic: Traffic) -> Request:
        who, session = traffic.session()
        batch = next(traffic.batches)["batch"]
        for index, event in enumerate(batch):
            event["timestamp"] = iso(traffic.at + index * BETWEEN_ITEMS)
        return _post(path, _by_token(who), {"sessionId": session, "batch": batch})

    return make


def _observations(
    path: str, item: Callable[[Random, int, int], Any]
) -> Callable[[Traffic], Request]:
    def make(traffic: Traffic) -> Request:
        who, session = traffic.session()
        moments = range(traffic.at, traffic.at + ITEMS_PER_BATCH * BETWEEN_ITEMS, BETWEEN_ITEMS)
        # What visitors of the filled sessions were seen to do has low numbers.
        batch = [item(traffic.random, 1_000_000 + next(traffic.items), at) for at in moments]
        return _post(path, _by_token(who), {"sessionId": session, "batch": batch})

    return make


def _frame(random: Random, index: int, at: int) -> Any:
    return frame(random.choice(INTENTS), random, index, at)


def _segment(random: Random, index: int, at: int) -> Any:
    return segment(random.choice(tuple(VOICES)), random, index, at)


def _search(traffic: Traffic) -> Request:
    session = f"search-{traffic.seed}-{traffic.number}"
    done = search(traffic.random.choice(INTENTS), traffic.random)
    body = session_body(session, f"user-{traffic.number % 1000}", done, traffic.at // 1000)
    return _post("/session", _by_key(traffic.account()), body)


def _click(traffic: Traffic) -> Request:
    event = click_event(0, Click(1.0, "product-00", 1), traffic.at // 1000)
    event["event_id"] = f"click-{traffic.seed}-{traffic.number}"
    session = traffic.random.choice(traffic.server.searches)
    body = {"session_id": session, "events": [event]}
    return _post("/session/events", _by_key(traffic.account()), body)


def _mood_events(traffic: Traffic) -> Request:
    who, session = traffic.session()
    events = [
        {**event, "ts": (traffic.at + index * BETWEEN_ITEMS) / 1e6}
        for index, event in enumerate(MOOD_EVENTS)
    ]
    return _post(f"/v1/sessions/{quote(session)}/events", _by_key(who), {"events": events})


def _get(path: str, sessions: str = "sessions") -> Callable[[Traffic], Request]:
    def make(traffic: Traffic) -> Request:
        session = traffic.random.choice(getattr(traffic.server, sessions))
        filled = path.format(session=quote(session))
        return Request("GET", filled, _by_key(traffic.account()))

    return make


PARSE = Kind("parse only", ITEMS_PER_BATCH, _events("/v1/baseline/parse"))
EVENTS = Kind("POST /api/data/events", ITEMS_PER_BATCH, _events("/api/data/events"))
NAIVE = Kind("marshmallow + insert_many", ITEMS_PER_BATCH, _events("/v1/baseline/naive"))
FRAMES = Kind("POST /api/data/facial", ITEMS_PER_BATCH, _observations("/api/data/facial", _frame))
SEGMENTS = Kind("POST /api/data/voice", ITEMS_PER_BATCH, _observations("/api/data/voice", _segment))
SEARCH = Kind("POST /session", 1, _search)
CLICK = Kind("POST /session/events", 1, _click)
READ_SEARCH = Kind("GET /session", 1, _get("/session?session_id={session}", "searches"))
SEARCH_METRICS = Kind("GET /v1/search/metrics", 1, _get("/v1/search/metrics"))
POST_MOOD = Kind("POST /v1/sessions/…/events", EVENTS_PER_MOOD, _mood_events)
READ_MOOD = Kind("GET /v1/sessions/…/mood", 1, _get("/v1/sessions/{session}/mood", "moods"))
MOOD_ANALYTICS = Kind("GET /v1/analytics/moods", 1, _get("/v1/analytics/moods"))
TIMELINE = Kind("GET /v1/sessions/…/timeline", 1, _get("/v1/sessions/{session}/timeline"))

KINDS = (
    PARSE,
    EVENTS,
    NAIVE,
    FRAMES,
    SEGMENTS,
    SEARCH,
    CLICK,
    READ_SEARCH,
    SEARCH_METRICS,
    POST_MOOD,
    READ_MOOD,
    MOOD_ANALYTICS,
    TIMELINE,
)
"""All of them; the handlers to compare with first."""
