"""Networks that reorder: the same items in any order, in any batches, told at any time, give the same state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core import accounts
from core.testing import BOTH, drain
from tests.resilience.picture import START, Party, Request, differences, iso, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Flask

    from core.testing import MakeCaller

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


class Item(NamedTuple):
    """One item of a session, on its way to one of the APIs."""

    session: str
    way: str
    body: dict[str, Any]


SESSIONS = ("s0", "s1", "s2")


def _interactions() -> list[dict[str, Any]]:
    spot = {"x": 10, "y": 20}
    told: list[tuple[str, float, dict[str, Any]]] = [
        ("click", 1.0, spot),
        ("click", 1.3, spot),
        ("click", 1.6, spot),  # a rage click
        ("error", 2.0, {}),
        ("navigation", 3.0, {"url": "/a"}),
        ("navigation", 5.0, {"url": "/b"}),
        ("navigation", 7.0, {"url": "/a"}),  # a quick back
        ("focus", 20.0, {}),
        ("blur", 21.0, {}),
        ("focus", 22.0, {}),
        ("scroll", 22.0, {"scrollY": 400}),
        ("input", 1_700.0, {"inputLength": 3}),  # everything before is out of memory by then
    ]
    return [
        {"eventType": kind, "targetSelector": "#a", "timestamp": iso(at), **more}
        for kind, at, more in told
    ]


def _feelings() -> list[dict[str, Any]]:
    told: list[tuple[str, float, dict[str, Any]]] = [
        ("rage_click", 10.0, {"x": 1, "y": 1}),
        ("error", 11.0, {"message": "Payment failed"}),
        ("scroll", 12.0, {"direction": "up"}),
        ("scroll", 13.0, {"direction": "down"}),  # a reversal
        ("scroll", 13.0, {"direction": "up", "speed": 4000}),  # at the same time as another one
        ("idle", 15.0, {"duration_ms": 4500}),
        ("focus", 16.0, {}),
        ("blur", 17.0, {}),
        ("click", 18.0, {"x": 5, "y": 5}),
        ("click", 18.2, {"x": 300, "y": 5}),  # a rapid click
        ("hover", 19.0, {}),
    ]
    return [{"type": kind, "ts": START + at, **more} for kind, at, more in told]


def _frames() -> list[dict[str, Any]]:
    return [
        {
            "frameIndex": n,
            "timestamp": iso(8 + n),
            "emotions": {"confusion": 0.3 + n / 10, "neutral": 0.7 - n / 10},
            "attentionScore": n / 4,
        }
        for n in range(4)
    ]


def _segments() -> list[dict[str, Any]]:
    return [
        {
            "segmentIndex": n,
            "startTime": iso(30 + n * 10),
            "endTime": iso(35 + n * 10),
            "transcript": "Hm.",
            "sentiment": sentiment,
            "sentimentScore": score,
            "hesitationCount": n,
        }
        for n, (sentiment, score) in enumerate((("negative", -0.8), ("positive", 0.4)))
    ]


def _clicks(shown: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"event_id": f"c{n}", "object_id": f"o{n}", "created_at": (START + 40 + at) * 1000}
        for at, n in enumerate(shown)
    ]


def items() -> list[Item]:
    """Return what there is to tell of three sessions, through every way in.

    The searches name no user: which search of a user rewrites or gives up which one before is told by the order of
    their receipt. The clicks of one search are at different times: of two at one time, the one stored first is first.
    """
    search = {"search_query": "lamp", "search_results": [{"object_id": f"o{n}"} for n in range(4)]}
    found = [
        *(Item("s0", "events", body) for body in _interactions()),
        *(Item("s1", "events", body) for body in _interactions()[:6]),
        *(Item("s0", "facial", body) for body in _frames()),
        *(Item("s2", "facial", body) for body in _frames()),
        *(Item("s1", "voice", body) for body in _segments()),
        *(Item("s1", "mood", body) for body in _feelings()),
        *(Item("s2", "mood", body) for body in _feelings()[4:]),
        *(Item("s0", "clicks", body) for body in _clicks((3, 1, 9))),
        *(Item("s2", "clicks", body) for body in _clicks((2,))),
    ]
    for number, session in enumerate(SESSIONS):
        body = {**search, "session_id": session, "created_at": (START + number) * 1000}
        if session == "s2":
            body["search_results"] = []
        found.append(Item(session, "search", body))
    return found


def request(batch: Sequence[Item]) -> Request:
    """Return the request that carries items of one session that go the same way."""
    session, way, first = batch[0]
    bodies = [item.body for item in batch]
    if way == "search":
        return Request("POST", "/session", first)
    if way == "clicks":
        return Request("POST", "/session/events", {"session_id": session, "events": bodies})
    if way == "mood":
        return Request("POST", f"/v1/sessions/{session}/events", {"events": bodies})
    return Request("POST", f"/api/data/{way}", {"sessionId": session, "batch": bodies})


class Course(NamedTuple):
    """Say in which order items go, how many of a kind share a request, and after which requests a worker runs."""

    order: list[Item]
    sizes: list[int]
    drains: list[bool]

    def send(self, party: Party) -> None:
        """Send everything and let the worker finish."""
        for number, batch in enumerate(self._batches()):
            answer = party.send(request(batch))
            assert answer.status_code == 200, answer.text
            if self.drains[number % len(self.drains)]:
                drain(party.app)
        drain(party.app)

    def _batches(self) -> list[list[Item]]:
        """Group the items: one goes with an earlier one of its session and way while there is room."""
        batches: list[list[Item]] = []
        rooms: dict[tuple[str, str], tuple[list[Item], int]] = {}
        for number, item in enumerate(self.order):
            ahead, room = rooms.get(item[:2], ([], 0))
            if len(ahead) >= room or item.way == "search":
                ahead, room = [], self.sizes[number % len(self.sizes)]
                batches.append(ahead)
                rooms[item[:2]] = (ahead, room)
            ahead.append(item)
        return batches


courses = st.builds(
    Course,
    st.permutations(items()),
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=8),
)


def check(app: Flask, make_caller: MakeCaller, examples: int) -> None:
    """Hold random courses against the plain one: everything in order, told at the end."""

    def party() -> Party:
        return Party(app, make_caller(app, *accounts.SCOPES))

    plain = party()
    Course(items(), [100], [False]).send(plain)
    wanted = picture(plain, SESSIONS)
    assert [wanted[f"mood {name}"][1]["mood"] for name in SESSIONS] != ["neutral"] * 3
    assert wanted["/v1/search/metrics"][1]["searches"] == 3

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(courses)
    def holds(course: Course) -> None:
        other = party()
        course.send(other)
        assert differences(wanted, picture(other, SESSIONS)) == {}

    run: Callable[[], None] = holds
    run()


@both
def test_any_order_and_any_batches_give_the_same_moods_timelines_and_metrics(
    app: Flask, make_caller: MakeCaller
) -> None:
    check(app, make_caller, examples=6)


@pytest.mark.soak
@both
def test_many_orders_give_the_same_moods_timelines_and_metrics(
    app: Flask, make_caller: MakeCaller
) -> None:
    check(app, make_caller, int(os.environ.get("SOAK_ORDERS", "150")))
