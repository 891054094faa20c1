"""What clients may send, good and bad, drawn at random: few keys and few sessions, so that all of it meets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.resilience.model import Offered
from tests.resilience.picture import START, Request, iso

if TYPE_CHECKING:
    from tests.resilience.model import Memory

PATHS = {"event": "events", "frame": "facial", "segment": "voice"}
whose = st.integers(0, 1)
sessions = st.sampled_from(("s0", "s1", "s2"))
keys = st.sampled_from((None, None, "k0", "k1"))


def event(number: int, kind: str, event_id: str | None) -> Offered:
    """Return an interaction; without an id its content is its key."""
    body: dict[str, Any] = {"eventType": kind, "targetSelector": "#a", "timestamp": iso(number)}
    if event_id is None:
        return Offered(body, iso(number), (number, kind))
    return Offered({**body, "eventId": event_id}, iso(number), event_id)


def frame(number: int, confusion: float) -> Offered:
    """Return a frame that is one piece of evidence."""
    emotions = {"confusion": confusion, "neutral": 1 - confusion}
    at = iso(10 + number)
    body = {"frameIndex": number, "timestamp": at, "emotions": emotions, "attentionScore": 0.6}
    return Offered(body, at, number)


def segment(number: int, words: str) -> Offered:
    """Return a stretch of speech that is one piece of evidence."""
    body = {
        "segmentIndex": number,
        "startTime": iso(20 + number),
        "endTime": iso(22 + number),
        "transcript": words,
        "sentiment": "neutral",
        "sentimentScore": 0,
        "hesitationCount": 2,
    }
    return Offered(body, iso(20 + number), number)


NO_ITEMS: tuple[Any, ...] = (
    None,
    7,
    [],
    {},
    {"eventType": "click", "targetSelector": "#a", "timestamp": "9999-01-01T00:00:00Z"},
    {"eventType": "fly", "targetSelector": "#a", "timestamp": iso(1)},
    {**frame(1, 0.5).body, "emotions": {"confusion": 3}},
    {**segment(1, "").body, "endTime": iso(0)},
)
BAD = st.sampled_from([Offered(body) for body in NO_ITEMS])
GOOD = {
    "event": st.builds(
        event,
        st.integers(0, 5),
        st.sampled_from(("click", "error", "focus", "blur", "scroll", "input")),
        st.sampled_from((None, None, "e0", "e1")),
    ),
    "frame": st.builds(frame, st.integers(0, 3), st.sampled_from((0.5, 0.75))),
    "segment": st.builds(segment, st.integers(0, 2), st.sampled_from(("Hm.", "Where?"))),
}
batches = st.one_of(
    *(
        st.tuples(st.just(kind), st.lists(st.one_of(item, item, BAD), max_size=5))
        for kind, item in GOOD.items()
    )
)
feelings = st.fixed_dictionaries(
    {
        "type": st.sampled_from(("click", "rage_click", "error", "focus", "blur", "hover")),
        "ts": st.integers(START, START + 30),
    },
    optional={"id": st.sampled_from(("e0", "e1")), "x": st.integers(0, 9)},
)
no_feelings: st.SearchStrategy[Any] = st.sampled_from(
    ({"type": "fly"}, {"type": "click", "ts": True}, {"type": "error", "message": "x" * 513}, None)
)
searches = st.builds(
    lambda shown, query: {
        "search_query": query,
        "search_results": [{"object_id": f"o{n}"} for n in range(shown)],
        "created_at": START * 1000,
    },
    st.integers(0, 3),
    st.sampled_from(("lamp", "boots")),
)
clicks = st.builds(
    lambda number, shown, kind: {
        "event_id": f"c{number}",
        "object_id": f"o{shown}",
        "event_type": kind,
        "created_at": (START + 40 + number) * 1000,
    },
    st.integers(0, 5),
    st.integers(0, 4),
    st.sampled_from(("click", "click", "hover", "purchase")),
)
outcomes = st.sampled_from(({"was_helpful": True}, {"was_helpful": False}, {}))
signals = st.lists(
    st.tuples(st.sampled_from(("confusion", "interest", "stress")), st.integers(50, 59).map(float)),
    max_size=3,
    unique_by=lambda signal: signal[0],
)


def requests_of(session: str, memory: Memory) -> list[Request]:
    """Return the requests that make a session with the same items, in order and each once."""
    requests = []
    for kind, way in PATHS.items():
        held = [item.body for (its, _), item in memory.items.items() if its == kind]
        body = {"sessionId": session, "batch": held}
        requests.append(Request("POST", f"/api/data/{way}", body))
    if memory.felt:
        path = f"/v1/sessions/{session}/events"
        requests.append(Request("POST", path, {"events": list(memory.felt.values())}))
    if memory.search is not None:
        requests.append(Request("POST", "/session", memory.search))
    # What came after its search was marked irrelevant is no evidence of anything.
    done = [each for name, each in memory.clicks.items() if ("click", name) in memory.told]
    requests.append(Request("POST", "/session/events", {"session_id": session, "events": done}))
    return requests
