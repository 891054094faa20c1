"""Replay simulated visitors through every API of a running server and see what it makes of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from examples.demo.client import Client
from examples.demo.visitors import INGESTION, in_time_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from examples.demo.client import Answer
    from examples.demo.visitors import Call, Visitor

#: Mistakes that are remembered one by one.
MAX_MISTAKES = 20
#: The background work is done when nothing waits and nothing has moved for so many seconds …
QUIET = 1.5
#: … and something is wrong when that takes longer than so many.
PATIENCE = 120.0
POLL = 0.25
#: The share of the visitors whose intent must have been recognised.
RECOGNISED = 0.8


class ReplayError(RuntimeError):
    """Say why the replay could not go on."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Hold what the replay sends with: a key for the server, a token such as browsers hold."""

    key: str
    token: str


@dataclass(slots=True)
class Tally:
    """Count what became of the calls to one API."""

    calls: int = 0
    accepted: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Outcome:
    """Hold what came out: tallies by API, the mood of each session, the search metrics, mistakes."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    moods: dict[str, dict[str, Any]] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def blame(self, mistake: str) -> None:
        """Note that something is not as it must be."""
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(mistake)


def sign_up(url: str) -> Credentials:
    """Make an account with a key, and a token for it, as a customer would; raises ReplayError."""
    with Client(url) as client:
        wish = {"customer_name": "Demo", "plan": "pro"}
        key = _expect(client.post("/v1/keys/generate", wish), 201)["api_key"]
        token = _expect(client.post("/v1/tokens", {}, {"X-Api-Key": key}), 201)["token"]
    return Credentials(key, token)


def send(
    url: str,
    credentials: Credentials,
    visitors: Sequence[Visitor],
    sent: Callable[[], object],
) -> Outcome:
    """Send all calls in time order, hold the answers against what must come, call `sent` after each."""
    outcome = Outcome()
    with Client(url) as client:
        for call in in_time_order(visitors):
            answer = client.post(call.path, call.body, headers_for(call, credentials))
            tally = outcome.tallies.setdefault(call.api, Tally())
            tally.calls += 1
            accepted, rejected = _count(call, answer)
            tally.accepted += accepted
            tally.rejected += rejected
            if (answer.status, accepted, rejected) != (call.status, call.accepted, call.rejected):
                outcome.blame(f"POST {call.path}: {answer.status} {answer.body}")
            elif call.reasons and call.reasons != _reasons(answer):
                outcome.blame(f"POST {call.path}: rejected because of {_reasons(answer)}")
            sent()
    return outcome


def headers_for(call: Call, credentials: Credentials) -> dict[str, str]:
    """Return the headers that a call is sent with."""
    who = (
        {"Authorization": f"Bearer {credentials.token}"}
        if call.api == INGESTION
        else {"X-Api-Key": credentials.key}
    )
    return {**who, "Idempotency-Key": call.idempotency_key}


def settle(url: str) -> None:
    """Wait until workers have told every plugin what all others found out; raises ReplayError."""
    deadline = time.monotonic() + PATIENCE
    seen: dict[str, float] = {}
    since = time.monotonic()
    with Client(url) as client:
        while time.monotonic() < deadline:
            now = _background(_expect(client.get("/metrics"), 200))
            if now != seen:
                seen, since = now, time.monotonic()
            waiting = now.get("outbox", 0) + now.get("queued", 0)
            if waiting == 0 and time.monotonic() - since >= QUIET:
                return
            time.sleep(POLL)
    raise ReplayError(f"the background work is not done after {PATIENCE:.0f} s: {seen}")


def look(url: str, credentials: Credentials, visitors: Sequence[Visitor], outcome: Outcome) -> None:
    """Read the moods, the search metrics and the health into `outcome`, and note what is wrong."""
    with Client(url, {"X-Api-Key": credentials.key}) as client:
        for visitor in visitors:
            answer = client.get(f"/v1/sessions/{visitor.session_id}/mood")
            if answer.status == 200:
                outcome.moods[visitor.session_id] = answer.body
            else:
                outcome.blame(f"no mood of {visitor.session_id}: {answer.status} {answer.body}")
        outcome.search = _expect(client.get("/v1/search/metrics"), 200)
        health = client.get("/health")
        if health.status != 200 or health.body["status"] != "ok":
            outcome.blame(f"the server is not well: {health.body}")
    recognised = sum(
        outcome.moods.get(visitor.session_id, {}).get("mood") == visitor.intent
        for visitor in visitors
    )
    if recognised < RECOGNISED * len(visitors):
        outcome.blame(f"only {recognised} of {len(visitors)} intents were recognised")


def confusion(visitors: Sequence[Visitor], outcome: Outcome) -> Counter[tuple[str, str]]:
    """Count visitors by (intent, mood)."""
    return Counter(
        (visitor.intent, outcome.moods[visitor.session_id]["mood"])
        for visitor in visitors
        if visitor.session_id in outcome.moods
    )


def _count(call: Call, answer: Answer) -> tuple[int, int]:
    """Return how many items of a call were accepted and rejected."""
    if answer.status != 200:
        return 0, call.accepted + call.rejected
    if call.api == INGESTION:
        return answer.body["data"]["accepted"], answer.body["data"]["rejected"]
    return call.accepted, call.rejected


def _reasons(answer: Answer) -> tuple[str, ...]:
    return tuple(each["reason"] for each in answer.body["data"]["rejections"])


def _background(text: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if name := _GAUGES.get(sample.name):
                found[name] += int(sample.value)
    return dict(found)


_GAUGES = {
    "subtext_outbox_length": "outbox",
    "subtext_queue_length": "queued",
    "subtext_jobs_total": "run",
}


def _expect(answer: Answer, status: int) -> Any:
    if answer.status != status:
        raise ReplayError(f"{answer.status}, not {status}: {answer.body}")
    return answer.body
