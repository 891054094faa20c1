"""What must be true of an installation after its load, whatever died meanwhile: read from its database and its API."""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from app import create_app
from core import current, fetch_all, isoformat
from examples.demo import replay
from examples.demo.client import Client
from plugins.ingestion.records import (
    event_evidence,
    frame_evidence,
    read_event,
    read_frame,
    read_segment,
    segment_evidence,
)
from plugins.ingestion.schemas import Event, Frame, Segment
from plugins.mood.account_settings import account_settings
from plugins.mood.engine import assess, recompute
from plugins.mood.store import stored_observations
from tests.resilience import calls
from tests.resilience.installation import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.resilience.installation import Installation
    from tests.resilience.traffic import Ledger

#: A mood that a lost job should have computed is computed by the periodic sweep, every 300 s.
SWEPT_SECONDS = 330.0
#: Why a job may have failed for good: what it needed was killed, or it was. What is due lies in the database, and a
#: later run has done it.
EXPLAINED = re.compile(
    r"OperationalError|InterfaceError|AdminShutdown|Unavailable|redis\.exceptions"
    r"|AbandonedJobError|stuck in intermediate queue"
    # A job that was done: RQ looks for its record of the run, which a Valkey that was killed has lost.
    r"|Execution \w+ not found in Redis"
)

#: Where an item of a kind leaves its mark: columns of the mark in a table with a session's key.
_MARKS = {
    calls.EVENT: "SELECT session_key, payload FROM ingestion_event",
    calls.FRAME: "SELECT session_key, key FROM ingestion_frame",
    calls.SEGMENT: "SELECT session_key, key FROM ingestion_segment",
    calls.MOOD: "SELECT session_key, fields FROM mood_event",
    calls.FEEDBACK: "SELECT session_key, notes FROM mood_feedback",
    calls.SEARCH: "SELECT session_key, session_id FROM clickstream_search",
    calls.CLICK: "SELECT session_key, event_id FROM clickstream_event",
    calls.UPLOAD: "SELECT r.session_key, s.session_id FROM stream_recording r"
    " JOIN core_session s ON s.id = r.session_key WHERE r.kind = 'upload' AND r.ended_at IS NOT NULL",
}
_INGESTED = (
    ("ingestion_event", Event(), read_event, event_evidence),
    ("ingestion_frame", Frame(), read_frame, frame_evidence),
    ("ingestion_segment", Segment(), read_segment, segment_evidence),
)


class Found(NamedTuple):
    """Say how much was looked at."""

    items: int
    moods: int
    evidence: int


def verify(installation: Installation, ledger: Ledger) -> Found:
    """Assert that what was acknowledged is there once, that all of it counted, and that nothing is left undone."""
    assert not ledger.complaints, "\n".join(ledger.complaints[:20])
    replay.settle(installation.url)
    app = create_app(
        DATABASE_URL=installation.environment["DATABASE_URL"],
        REDIS_URL=installation.environment["REDIS_URL"],
        SUBTEXT_DATA=installation.environment["SUBTEXT_DATA"],
    )
    with (
        app.app_context(),
        closing_database(),
        Client(installation.url, installation.by_key) as client,
    ):
        assert fetch_all("SELECT COUNT(*) FROM core_outbox") == [(0,)]
        assert eventually(_nothing_is_stale, SWEPT_SECONDS), "moods stay stale"
        items = _each_item_is_there_once(ledger)
        evidence = _evidence_reached_the_mood()
        moods = _moods_follow_from_what_is_stored(client)
        _figures_agree(client, ledger, moods)
        _parked_jobs_are_explained()
    return Found(items, sum(moods.values()), evidence)


@contextlib.contextmanager
def closing_database() -> Iterator[None]:
    """Close the connections of the active app at the end of the block."""
    try:
        yield
    finally:
        database = current().database
        database.close()
        database.close_all()


def _nothing_is_stale() -> bool:
    return fetch_all("SELECT COUNT(*) FROM mood_state WHERE is_stale = ?", (True,)) == [(0,)]


def _each_item_is_there_once(ledger: Ledger) -> int:
    names = dict(fetch_all("SELECT id, session_id FROM core_session"))
    total = 0
    for kind, query in _MARKS.items():
        stored: dict[str, Counter[int]] = defaultdict(Counter)
        for key, value in fetch_all(query):
            stored[names[key]][_mark(kind, value)] += 1
        acknowledged = ledger.marks(kind)
        for session, marks in acknowledged.items():
            assert marks - stored[session].keys() == set(), f"{kind} of {session} are lost"
        if kind != calls.UPLOAD:  # one that was not answered and came again is another recording
            for session, counts in stored.items():
                twice = {mark for mark, count in counts.items() if count > 1}
                assert not twice, f"{kind} of {session} are there twice"
        total += sum(map(len, acknowledged.values()))
    return total


def _mark(kind: str, value: Any) -> int:
    if kind in {calls.EVENT, calls.MOOD}:
        return int(orjson.loads(value)["x"])
    return value if isinstance(value, int) else int(value.rpartition("-")[2].lstrip("c"))


def _evidence_reached_the_mood() -> int:
    """Compare the mood's evidence with what the stored items are evidence of, made anew; return how much there is."""
    (account_id,) = fetch_all("SELECT DISTINCT account_id FROM mood_state")[0]
    rules = account_settings(account_id).rules
    known = {(rule.modality, rule.kind) for rule in rules.signal_rules}
    expected = Counter(
        (key, reference, kind)
        for key, (_, modality, kind, _, reference, _) in _ingested_evidence()
        if (modality, kind) in known
    )
    told = Counter(
        fetch_all(
            "SELECT session_key, reference, kind FROM mood_evidence WHERE source = ?",
            ("ingestion",),
        )
    )
    assert told == expected
    return told.total()


def _ingested_evidence() -> Iterator[tuple[int, tuple[Any, ...]]]:
    for table, schema, read, observe in _INGESTED:
        for key, payload in fetch_all(f"SELECT session_key, payload FROM {table}"):  # noqa: S608
            item = orjson.loads(payload)
            loaded: Any = schema.load(item)
            for row in observe(read(item, loaded), item, loaded):
                yield key, row


def _moods_follow_from_what_is_stored(client: Client) -> Counter[str]:
    """Compare each mood that is served with a fold of all that is stored, in any order; return them, counted."""
    dice = random.Random(1)  # noqa: S311 - dice, not keys
    moods: Counter[str] = Counter()
    sessions = fetch_all(
        "SELECT m.session_key, m.account_id, s.session_id FROM mood_state m"
        " JOIN core_session s ON s.id = m.session_key"
    )
    for key, account_id, session_id in sessions:
        observations, _ = stored_observations(key)
        # The mood is a function of the set.
        dice.shuffle(observations)
        rules = account_settings(account_id).rules
        state = recompute(observations, rules)
        fresh = assess(state, rules)
        expected = {
            "session_id": session_id,
            "mood": fresh.mood,
            "confidence": round(fresh.confidence, 2),
            "signals": list(fresh.signals),
            "suggested_action": fresh.action,
            "event_count": state.events or state.evidence,
            "updated_at": isoformat(state.latest or 0),
        }
        assert client.get(f"/v1/sessions/{session_id}/mood").body == expected
        events = fetch_all("SELECT COUNT(*) FROM mood_event WHERE session_key = ?", (key,))
        assert state.events == events[0][0]
        moods[fresh.mood] += 1
    return moods


def _figures_agree(client: Client, ledger: Ledger, moods: Counter[str]) -> None:
    with_feedback = ledger.marks(calls.FEEDBACK)
    analytics = client.get("/v1/analytics/moods").body
    assert analytics["total_sessions"] == moods.total()
    assert analytics["feedback_count"] == len(with_feedback)
    told = {each["mood"]: each["count"] for each in analytics["mood_distribution"]}
    assert {mood: count for mood, count in told.items() if count} == moods
    interventions = client.get("/v1/analytics/interventions").body["interventions"]
    assert sum(row["feedback"] for row in interventions) == sum(map(len, with_feedback.values()))
    searches = client.get("/v1/search/metrics").body
    assert searches["searches"] == len(ledger.marks(calls.SEARCH))
    counted = fetch_all("SELECT SUM(sessions) FROM mood_quota")[0][0] or 0
    assert counted == len(ledger.marks(calls.MOOD)), "the quota counts sessions with events"


def _parked_jobs_are_explained() -> None:
    queues = current().jobs.queues
    assert queues is not None
    parked = [f"{job.name}: {job.error}" for job in queues.list("parked", errors=True)]
    unexplained = [text for text in parked if not EXPLAINED.search(text)]
    assert not unexplained, "\n".join(unexplained)
