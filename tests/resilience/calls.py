"""The requests of the load: batches of every kind, whose items can be told apart by their marks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plugins.ingestion.schemas import EVENT_TYPES as INTERACTIONS
from plugins.mood.observations import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from examples.demo.client import Answer

    #: Makes a call to a session from the numbers of its items.
    Maker = Callable[[Random, str, Callable[[], int]], "Call"]

EVENT, FRAME, SEGMENT = "event", "frame", "segment"
MOOD, FEEDBACK = "mood", "feedback"
SEARCH, CLICK, UPLOAD = "search", "click", "upload"

#: 2026-03-16T10:14:00Z, when the items begin to happen.
START = 1_773_656_040
#: Seconds from one item to the next, and by how much they come out of order.
STEP, JITTER = 0.2, 5.0
MAX_ITEMS = 20
RESULTS = 5
ACTIONS = ("offer_help", "show_discount", "simplify_page")


@dataclass(frozen=True)
class Call:
    """One POST request; `marks` are the numbers of its items, `key` its Idempotency-Key."""

    kind: str
    session: str
    marks: tuple[int, ...]
    path: str
    body: Any
    by_token: bool = False
    key: str | None = None

    def is_acknowledged_by(self, answer: Answer) -> bool:
        """Tell whether an answer says that every item was taken."""
        if answer.status != 200:
            return False
        if self.kind in {EVENT, FRAME, SEGMENT}:
            return bool(answer.body["data"]["accepted"] == len(self.marks))
        if self.kind == MOOD:
            return bool(answer.body["events_stored"] == len(self.marks))
        return True


def choose(dice: Random) -> str:
    """Choose a kind of call."""
    return dice.choices(list(SHARES), list(SHARES.values()))[0]


def interactions(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return a batch of events, half of them with an id of their own."""
    marks = _marks(dice, number)
    items = [
        {
            "eventType": dice.choice(INTERACTIONS),
            "targetSelector": "#buy",
            "timestamp": _iso(_moment(dice, mark)),
            "x": mark,
            "y": dice.randrange(40),
            **({"eventId": f"e{mark}"} if dice.random() < 0.5 else {}),
        }
        for mark in marks
    ]
    return _batch(dice, EVENT, "/api/data/events", session, marks, items)


def frames(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return a batch of facial frames."""
    marks = _marks(dice, number)
    items = []
    for mark in marks:
        joy = round(dice.random(), 3)
        emotions = {dice.choice(("joy", "anger")): joy, "neutral": round(1 - joy, 3)}
        items.append(
            {
                "frameIndex": mark,
                "timestamp": _iso(_moment(dice, mark)),
                "emotions": emotions,
                "attentionScore": round(dice.random(), 3),
            }
        )
    return _batch(dice, FRAME, "/api/data/facial", session, marks, items)


def segments(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return a batch of voice segments."""
    marks = _marks(dice, number)
    items = []
    for mark in marks:
        at = _moment(dice, mark)
        items.append(
            {
                "segmentIndex": mark,
                "startTime": _iso(at),
                "endTime": _iso(at + 2),
                "transcript": "well, I do not know",
                "sentiment": dice.choice(("positive", "neutral", "negative")),
                "sentimentScore": round(dice.uniform(-1, 1), 3),
                "hesitationCount": dice.randrange(4),
            }
        )
    return _batch(dice, SEGMENT, "/api/data/voice", session, marks, items)


def mood_events(
    dice: Random, session: str, number: Callable[[], int], *, is_marked: bool = True
) -> Call:
    """Return events of the mood API, with ids or a key for all of them, or with neither."""
    marks = _marks(dice, number)
    has_ids = is_marked and dice.random() < 0.5
    events = [
        {
            "type": dice.choice(EVENT_TYPES),
            "ts": round(_moment(dice, mark), 3),
            "x": mark,
            "y": dice.randrange(40),
            "duration_ms": dice.randrange(20_000),
            "speed": dice.randrange(6_000),
            "direction": dice.choice(("up", "down")),
            "url": f"/{dice.randrange(3)}",
            **({"id": f"m{mark}"} if has_ids else {}),
        }
        for mark in marks
    ]
    key = f"m{marks[0]}" if is_marked and not has_ids else None
    path = f"/v1/sessions/{session}/events"
    return Call(MOOD, session, marks, path, {"events": events}, key=key)


def feedback(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return feedback, which its key alone tells apart from other feedback."""
    mark = number()
    body = {
        "action_taken": dice.choice(ACTIONS),
        "was_helpful": dice.random() < 0.5,
        "notes": str(mark),
    }
    path = f"/v1/sessions/{session}/feedback"
    return Call(FEEDBACK, session, (mark,), path, body, key=f"feedback-{mark}")


def search(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return a search of one of a few users, in a session of its own."""
    mark = number()
    session = search_session(mark)
    results = [{"object_id": f"r{n}", "rank": n + 1} for n in range(RESULTS)]
    body = {
        "session_id": session,
        "search_query": dice.choice(("red shoes", "red shoe", "tea", "green tea")),
        "search_results": results if dice.random() < 0.8 else [],
        "user_id": f"user-{dice.randrange(8)}",
        "created_at": int(_moment(dice, mark)),
    }
    return _maybe_keyed(dice, Call(SEARCH, session, (mark,), "/session", body))


def clicks(dice: Random, session: str, number: Callable[[], int]) -> Call:
    """Return events of a search, some of them before it is known."""
    marks = _marks(dice, number)
    if dice.random() < 0.2:
        session = search_session(marks[0])  # nobody will create it
    events = [
        {
            "event_id": f"c{mark}",
            "object_id": f"r{dice.randrange(RESULTS)}",
            "created_at": int(_moment(dice, mark)),
        }
        for mark in marks
    ]
    body = {"session_id": session, "events": events}
    return _maybe_keyed(dice, Call(CLICK, session, marks, "/session/events", body))


def upload(mark: int) -> Call:
    """Return the upload of a file, in a session of its own."""
    session = f"upload-{mark}"
    return Call(UPLOAD, session, (mark,), f"/v1/upload/analyze?session_id={session}", None)


def form(file: bytes) -> tuple[bytes, str]:
    """Return a form with one file, and its content type (RFC 7578)."""
    boundary = "between-the-parts-of-this-form"
    head = (
        'Content-Disposition: form-data; name="file"; filename="v.mp4"\r\nContent-Type: video/mp4'
    )
    body = f"--{boundary}\r\n{head}\r\n\r\n".encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def search_session(mark: int) -> str:
    """Return the name of the session of a search."""
    return f"search-{mark}"


SHARES: Mapping[str, float] = {
    EVENT: 0.28,
    FRAME: 0.15,
    SEGMENT: 0.1,
    MOOD: 0.25,
    FEEDBACK: 0.07,
    SEARCH: 0.08,
    CLICK: 0.07,
}
MAKERS: Mapping[str, Maker] = {
    EVENT: interactions,
    FRAME: frames,
    SEGMENT: segments,
    MOOD: mood_events,
    FEEDBACK: feedback,
    SEARCH: search,
    CLICK: clicks,
}


def _marks(dice: Random, number: Callable[[], int]) -> tuple[int, ...]:
    return tuple(number() for _ in range(dice.randint(1, MAX_ITEMS)))


def _moment(dice: Random, mark: int) -> float:
    """Return when an item happened (s, UTC): most of them come a little early or late."""
    return START + mark * STEP + dice.uniform(-JITTER, JITTER)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _batch(  # noqa: PLR0917 - all that a batch is
    dice: Random, kind: str, path: str, session: str, marks: tuple[int, ...], items: list[Any]
) -> Call:
    body = {"sessionId": session, "batch": items}
    return _maybe_keyed(dice, Call(kind, session, marks, path, body, by_token=True))


def _maybe_keyed(dice: Random, call: Call) -> Call:
    if dice.random() < 0.5:
        return call
    key = f"{call.kind}-{call.marks[0]}"
    return Call(call.kind, call.session, call.marks, call.path, call.body, call.by_token, key)
