"""Simulated visitors whose intent is known: no real person, no recording, nothing learned from one.

A visitor does what somebody of their intent plausibly would, and what they do is written as request
bodies, ready to send:

- every visitor who is no tester sends behavioural events to the mood API;
- every second one searches: the clickstream API gets the search and the clicks on its results, whose
  true relevance `examples.demo.searching.relevance` knows;
- every third one is a tester in front of a camera: the ingestion API gets interactions, facial frames
  and voice segments instead, and the mood comes from them alone;
- every fifth one has a faulty client: items that must be rejected, and requests that must be refused.

The session id of a visitor is the same in every API. A visitor depends on `seed`, `start` and their
number alone, so a sample of any size begins like every larger one, and two runs are equal:

    from examples.demo.visitors import simulate

    for visitor in simulate(120, seed=7):
        for call in visitor.calls:
            print(visitor.intent, call.path, call.body)

That the moods are recognised shows that the rules find what they look for. It says nothing about how
well they read people.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from examples.demo.behaviour import INTENTS, behave
from examples.demo.observing import SECOND, frame, interactions, iso, segment
from examples.demo.searching import Search, click_event, search, session_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from examples.demo.behaviour import Act

__all__ = ["INTENTS", "Call", "Visitor", "event_batches", "in_time_order", "simulate"]

#: 2026-03-16 10:14 UTC in microseconds: when the first visitor arrives unless told otherwise.
START = 1_773_656_040 * SECOND
ARRIVAL = 5 * SECOND  # from one visitor to the next
SESSIONS_AT_ONCE, BATCHES_PER_SESSION = 50, 20  # in a stream of load bodies
SEARCHER_EVERY, TESTER_EVERY, FAULTY_EVERY = 2, 3, 5
EVENTS_PER_CALL, FRAMES_PER_CALL, SEGMENTS_PER_CALL = 8, 30, 4
FRAME_EVERY = 3 * SECOND
SPEECH_PAUSE = (15, 25)  # seconds between two segments

MOOD, CLICKSTREAM, INGESTION = "mood", "clickstream", "ingestion"

Timed = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """One POST request and what must come of it.

    `at` is when the client sends it (µs UTC). `status` is the expected HTTP status, `accepted` and
    `rejected` the expected numbers of items, `reasons` the expected reasons in the order of the
    rejected items. The idempotency key makes a second try harmless.
    """

    api: str
    path: str
    body: dict[str, Any]
    at: int
    idempotency_key: str
    accepted: int
    rejected: int = 0
    status: int = 200
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """One simulated visit: whose session, with what intent, and the calls it leads to."""

    session_id: str
    intent: str
    calls: tuple[Call, ...]
    searched: Search | None = None
    is_tester: bool = False


def simulate(count: int, *, seed: int = 1, start: int = START) -> Iterator[Visitor]:
    """Yield `count` visitors, the first of whom arrives at `start` (µs UTC), one every 5 s."""
    for number in range(count):
        yield _visit(seed, start, number)


def in_time_order(visitors: Iterable[Visitor]) -> list[Call]:
    """Return the calls of all visitors as a server meets them."""
    return sorted(
        (call for visitor in visitors for call in visitor.calls),
        key=lambda call: (call.at, call.idempotency_key),
    )


def event_batches(size: int, *, seed: int = 1, start: int = START) -> Iterator[dict[str, Any]]:
    """Yield bodies of `POST /api/data/events` with `size` valid events, of ever new times.

    SESSIONS_AT_ONCE sessions take turns; each is followed by a new one after BATCHES_PER_SESSION batches.
    """
    number = 0
    while True:
        random = _dice("batch", seed, number)
        wave = number // (SESSIONS_AT_ONCE * BATCHES_PER_SESSION)
        session_id = _name(
            "batch", seed, start, wave * SESSIONS_AT_ONCE + number % SESSIONS_AT_ONCE
        )
        at, batch = start + number * ARRIVAL, list[dict[str, Any]]()
        while len(batch) < size:
            for moment, act, position in _timed(behave(random.choice(INTENTS), random), at):
                at = moment
                batch += [event for _, event in interactions(act, moment, position)]
        yield {"sessionId": session_id, "batch": batch[:size]}
        number += 1


def _visit(seed: int, start: int, number: int) -> Visitor:
    random = _dice("visitor", seed, number)
    draft = _Draft(_name("visit", seed, start, number), has_faults=number % FAULTY_EVERY == 0)
    arrival = start + number * ARRIVAL
    intent = _intent(seed, number)
    acts = list(_timed(behave(intent, random), arrival))
    is_tester = number % TESTER_EVERY == 0
    if is_tester:
        _observe(draft, random, intent, acts)
    else:
        events = [(at, {"type": act.kind, "ts": at / SECOND, **act.fields}) for at, act, _ in acts]
        draft.send_mood(events)
    searched = None
    if number % SEARCHER_EVERY == 0:
        searched = search(intent, random)
        draft.send_search(searched, _name("user", seed, number), arrival)
    return Visitor(draft.session_id, intent, tuple(draft.calls), searched, is_tester)


def _intent(seed: int, number: int) -> str:
    """Deal the intents like cards, so that every six visitors have all of them."""
    block, place = divmod(number, len(INTENTS))
    return _dice("intents", seed, block).sample(INTENTS, len(INTENTS))[place]


def _timed(acts: Iterable[Act], start: int) -> Iterator[tuple[int, Act, int]]:
    at = start
    for position, act in enumerate(acts, start=1):
        at += round(act.wait * SECOND) // 1000 * 1000
        yield at, act, position


def _observe(draft: _Draft, random: Random, intent: str, acts: list[tuple[int, Act, int]]) -> None:
    start, end = acts[0][0], acts[-1][0]
    draft.send_items("events", [each for at, act, n in acts for each in interactions(act, at, n)])
    moments = enumerate(range(start, end + 1, FRAME_EVERY))
    draft.send_items("facial", [(at, frame(intent, random, index, at)) for index, at in moments])
    spoken: list[Timed] = []
    at = start + random.randint(*SPEECH_PAUSE) * SECOND // 4
    while at < end and (said := segment(intent, random, len(spoken), at)) is not None:
        spoken.append((at, said))
        at += random.randint(*SPEECH_PAUSE) * SECOND
    draft.send_items("voice", spoken)


def _dice(*parts: str | int) -> Random:
    return Random("/".join(map(str, parts)))  # noqa: S311 - reproducible, not secret


def _name(kind: str, *parts: int) -> str:
    """Return an opaque id; the same parts give the same."""
    text = "/".join((kind, *map(str, parts)))
    return f"{kind}-{hashlib.blake2b(text.encode(), digest_size=9).hexdigest()}"


@dataclass(slots=True)
class _Draft:
    """Collect the calls of one session."""

    session_id: str
    has_faults: bool
    calls: list[Call] = field(default_factory=list)

    def send_mood(self, events: list[Timed]) -> None:
        path = f"/v1/sessions/{self.session_id}/events"
        for chunk in _chunks(events, EVENTS_PER_CALL):
            body = {"events": [event for _, event in chunk]}
            self._add(MOOD, path, body, chunk[-1][0], accepted=len(chunk))
        if self.has_faults:
            at = events[-1][0] + SECOND
            body = {"events": [{"type": "click", "ts": at / SECOND}, {"type": "page_visit"}]}
            self._add(MOOD, path, body, at, rejected=2, status=400)

    def send_search(self, done: Search, user_id: str, at: int) -> None:
        body = session_body(self.session_id, user_id, done, at // 1000)
        self._add(CLICKSTREAM, "/session", body, at, accepted=1)
        for number, click in enumerate(done.clicks, start=1):
            at += round(click.wait * SECOND)
            event = click_event(number, click, at // 1000)
            self._add(CLICKSTREAM, "/session/events", self._pushed(event), at, accepted=1)
        if self.has_faults:
            at += SECOND
            event = {"event_id": "fault", "created_at": at // 1000}
            self._add(
                CLICKSTREAM, "/session/events", self._pushed(event), at, rejected=1, status=422
            )

    def send_items(self, kind: str, items: list[Timed]) -> None:
        for position, chunk in enumerate(_chunks(items, _ITEMS_PER_CALL[kind])):
            at = chunk[-1][0]
            batch = [item for _, item in chunk]
            accepted, reasons = len(batch), tuple[str, ...]()
            if self.has_faults and position == 0:
                fault, reason = _fault(kind, at)
                batch, reasons = [*batch, fault], (reason,)
            body = {"sessionId": self.session_id, "batch": batch}
            path = f"/api/data/{kind}"
            self._add(
                INGESTION,
                path,
                body,
                at,
                accepted=accepted,
                rejected=len(reasons),
                reasons=reasons,
            )

    def _pushed(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"session_id": self.session_id, "events": [event]}

    def _add(  # noqa: PLR0913 - the fields of a call
        self,
        api: str,
        path: str,
        body: dict[str, Any],
        at: int,
        *,
        accepted: int = 0,
        rejected: int = 0,
        status: int = 200,
        reasons: tuple[str, ...] = (),
    ) -> None:
        key = f"{self.session_id}-{len(self.calls)}"
        self.calls.append(Call(api, path, body, at, key, accepted, rejected, status, reasons))


_ITEMS_PER_CALL = {
    "events": EVENTS_PER_CALL,
    "facial": FRAMES_PER_CALL,
    "voice": SEGMENTS_PER_CALL,
}


def _fault(kind: str, at: int) -> tuple[dict[str, Any], str]:
    """Return an item that must be rejected, and why."""
    if kind == "events":
        return (
            {"targetSelector": "#buy", "timestamp": iso(at)},
            "Missing required field: eventType",
        )
    if kind == "facial":
        return (
            {
                "frameIndex": 100_000,
                "timestamp": iso(at),
                "emotions": {"neutral": 1.0},
                "attentionScore": 1.4,
            },
            "Invalid value for attentionScore: must be between 0 and 1",
        )
    return (
        {
            "segmentIndex": 100_000,
            "startTime": iso(at),
            "endTime": iso(at),
            "transcript": "Hm.",
            "sentiment": "angry",
            "sentimentScore": -1.0,
        },
        "Invalid value for sentiment: must be one of positive, neutral, negative",
    )


def _chunks(items: list[Timed], size: int) -> Iterator[list[Timed]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
