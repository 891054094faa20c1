"""Clocks that are wrong: a client's by an hour, a day or ages, and the server's own that jumps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt.api_jwt
import pytest

from core import clock
from core.database import fetch_all
from core.runtime import current
from core.sessions import drop_expired_tombstones
from core.testing import BOTH, drain
from plugins.stream import services
from plugins.stream.analysis.findings import Result
from plugins.stream.findings import Keeper
from tests.resilience.picture import Party, Request, timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

HOUR = 3_600.0
DAY = 24 * HOUR
#: Seconds by which the clock of a client may be wrong; a minute ahead is taken as it is.
WRONG = {
    "ten minutes ahead": 600.0,
    "an hour ahead": HOUR - 1,
    "an hour behind": -HOUR,
    "tomorrow": DAY,
    "in the year 2099": (datetime(2099, 6, 1, tzinfo=UTC) - datetime.now(UTC)).total_seconds(),
    "in 1970": -time.time() + 60,
}
FUTURE = [name for name, offset in WRONG.items() if offset > 0]
SIX = dict.fromkeys(
    ("quality_index", "clarity", "authority", "energy", "rapport", "learning"), 50.0
)


@dataclass
class ServerClock:
    """The clock of the server, wherever it is read; `offset` is in seconds."""

    offset: float = 0.0

    def seconds(self, read: Callable[[], float] = time.time) -> float:
        """Return what it shows."""
        return read() + self.offset


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerClock]:
    """Return the server's clock, to be set wrong."""
    shown = ServerClock()
    real, real_ns = time.time, time.time_ns

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(shown.seconds(real), tz)

    monkeypatch.setattr(time, "time", lambda: shown.seconds(real))
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(shown.offset * 1e9))
    monkeypatch.setattr(jwt.api_jwt, "datetime", Now)
    yield shown
    shown.offset = 0.0


@pytest.fixture
def party(app: Flask, caller: Caller) -> Party:
    return Party(app, caller)


def feel(party: Party, session: str, *events: dict[str, Any]) -> Any:
    answer = party.send(Request("POST", f"/v1/sessions/{session}/events", {"events": list(events)}))
    assert answer.status_code == 200, answer.text
    return answer.json


def ingest(party: Party, session: str, *items: dict[str, Any]) -> dict[str, Any]:
    body = {"sessionId": session, "batch": list(items)}
    answer = party.send(Request("POST", "/api/data/events", body))
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json["data"]
    return data


def interaction(kind: str, offset: float, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) + timedelta(seconds=offset)
    return {"eventType": kind, "targetSelector": "#a", "timestamp": at.isoformat(), **more}


def mood(party: Party, session: str) -> dict[str, Any]:
    status, body = party.get(f"/v1/sessions/{session}/mood")
    assert status == 200
    found: dict[str, Any] = body
    return found


def away(moment: str) -> float:
    """Return how many seconds a moment lies ahead of now."""
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


FRUSTRATED = ({"type": "error"}, {"type": "error"}, {"type": "rage_click"}, {"type": "back_nav"})


def test_what_a_wrong_clock_sends_is_kept_and_no_other_session_sees_it(
    app: Flask, party: Party
) -> None:
    feel(party, "right", *FRUSTRATED)
    drain(app)
    before = mood(party, "right")

    for name, offset in WRONG.items():
        now = time.time() + offset
        assert ingest(party, name, interaction("click", offset))["accepted"] == 1
        feel(party, name, *({"type": "page_view", "ts": now + n} for n in range(4)))
        search: dict[str, Any] = {"session_id": name, "search_query": "lamp", "search_results": []}
        # In seconds: milliseconds of the first years would be read as seconds.
        search["created_at"] = int(now)
        assert party.send(Request("POST", "/session", search)).status_code == 200
        drain(app)

        assert mood(party, "right") == before, name
        assert mood(party, name)["event_count"] == 4
        _, entries = timeline(party, name)
        kept = [entry for entry in entries if entry["kind"] != "mood_changed"]
        assert len(kept) == 6, name
        own = [away(entry["at"]) for entry in kept if entry["source"] != "mood"]
        assert own == [pytest.approx(offset, abs=60)] * 2, "as it was sent"
        assert party.get(f"/session?session_id={name}")[1]["created_at"] == search["created_at"]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_clock_ahead_takes_no_weight_from_what_others_saw_in_the_same_session(
    app: Flask, party: Party
) -> None:
    def see(session: str, error: float) -> dict[str, Any]:
        ingest(party, session, *(interaction("error", n / 10) for n in range(4)))
        drain(app)
        ingest(party, session, *(interaction("blur", error + n / 10) for n in range(2)))
        feel(party, session, {"type": "hover", "ts": time.time() + error})
        drain(app)
        feel(party, session, {"type": "back_nav"})
        return mood(party, session)

    for name in FUTURE:
        wanted, found = see(f"{name}, right", 0.0), see(name, WRONG[name])
        assert found["mood"] == wanted["mood"] == "frustrated", name
        assert found["signals"] == wanted["signals"]
        # A step of the decay may fall between two requests.
        assert found["confidence"] == pytest.approx(wanted["confidence"], abs=0.05)
        assert abs(away(found["updated_at"])) < 60


def test_what_a_clock_ahead_sends_together_keeps_its_distances(party: Party) -> None:
    spot = {"type": "click", "x": 9, "y": 9}
    for name, offset in {"right": 0.0, **{name: WRONG[name] for name in FUTURE}}.items():
        now = time.time() + offset
        # Ten seconds apart: patient, where all at once would be a rage.
        feel(party, name, *({**spot, "ts": now - 40 + n * 10} for n in range(5)))
        found = mood(party, name)
        assert (found["mood"], found["signals"]) == ("decisive", ["click_activity"]), name


def test_the_timeline_marks_an_event_that_counts_at_another_time(party: Party) -> None:
    for name in FUTURE:
        now = time.time()
        ahead = {"type": "click", "ts": now + WRONG[name]}
        feel(party, name, ahead, {"type": "error", "ts": now})
        entries = {entry["kind"]: entry for entry in timeline(party, name)[1]}
        assert abs(away(entries["click"]["at"])) < 60
        sent = away(entries["click"]["data"]["sent_at"])
        assert sent == pytest.approx(WRONG[name], abs=60), name
        assert "sent_at" not in entries["error"]["data"]


def test_one_event_from_another_age_takes_no_other_of_its_batch_along(party: Party) -> None:
    now = time.time()
    ages = [now + WRONG["in the year 2099"], now + DAY, 0]
    feel(party, "s", *FRUSTRATED, *({"type": "page_view", "ts": ts, "url": "/"} for ts in ages))
    found = mood(party, "s")
    assert (found["mood"], found["event_count"]) == ("frustrated", 7)


def test_an_item_from_no_century_of_ours_is_refused_by_name_and_spoils_no_other(
    app: Flask, party: Party
) -> None:
    year = "9999-12-31T23:59:59Z"
    good = [interaction("error", -n) for n in range(3)]
    data = ingest(party, "s", *good, {**interaction("click", 0), "timestamp": year})
    assert data["accepted"] == 3
    assert data["rejections"] == [
        {
            "index": 3,
            "reason": "Invalid value for timestamp: must be between the years 1970 and 2099",
        }
    ]
    drain(app)
    assert mood(party, "s")["mood"] == "frustrated"
    late = int(datetime.fromisoformat(year).timestamp() * 1000)
    body = {"events": [{"type": "click", "ts": late}]}
    answer = party.send(Request("POST", "/v1/sessions/s/events", body))
    assert answer.status_code == 400
    assert answer.json["field"] == "events[0].ts"
    search = {"session_id": "s", "search_query": "q", "search_results": [], "created_at": late}
    assert party.send(Request("POST", "/session", search)).status_code == 422


JUMPS = {"an hour back": -HOUR, "an hour forth": HOUR, "a day forth": DAY}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_evidence_that_waits_while_the_servers_clock_jumps_is_told(
    app: Flask, party: Party, server: ServerClock
) -> None:
    for name, jump in JUMPS.items():
        server.offset = 0.0
        ingest(party, name, *(interaction("error", -n) for n in range(3)))
        server.offset = jump
        assert drain(app) == 1
        assert mood(party, name)["mood"] == "frustrated"
    with app.app_context():
        assert fetch_all("SELECT COUNT(*) FROM core_outbox") == [(0,)]


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_everything_goes_on_while_the_servers_clock_jumps(
    app: Flask, party: Party, server: ServerClock, jump: float
) -> None:
    def use(name: str) -> None:
        for session in ("before", name):
            feel(party, session, *FRUSTRATED)
            ingest(party, session, interaction("click", server.offset))
        search = {"session_id": name, "search_query": "lamp", "search_results": []}
        assert party.send(Request("POST", "/session", search)).status_code == 200
        drain(app)
        with app.app_context():
            for job in current().jobs.periodic():
                current().jobs.run(job.name)
        assert party.get("/health")[0] == 200
        assert party.get("/v1/search/metrics")[0] == 200

    feel(party, "before", *FRUSTRATED)
    with app.app_context():
        take = services.open_recording(party.caller.account_id, "video", "a", services.LIVE)
    use("first")
    server.offset = jump
    party.token = {"Authorization": f"Bearer {new_token(party)}"}
    use("second")
    with app.app_context():
        Keeper(take).close(Result(3.0, (), (), SIX), 3.0)
    (recording,) = party.get("/v1/stream/sessions/video")[1]["recordings"]
    assert recording["started_at"] <= recording["ended_at"]
    server.offset = 0.0
    party.token = {"Authorization": f"Bearer {new_token(party)}"}
    use("third")
    for session in ("first", "second", "third"):
        assert mood(party, session)["mood"] == "frustrated"
    assert mood(party, "before")["event_count"] == 16
    with app.app_context():
        [(negative,)] = fetch_all("SELECT COUNT(*) FROM core_session WHERE last_seen < first_seen")
    assert negative == 0


def new_token(party: Party) -> str:
    answer = party.send(Request("POST", "/v1/tokens", {}))
    assert answer.status_code == 201
    return str(answer.json["token"])


def test_a_token_holds_as_long_as_the_servers_clock_says(party: Party, server: ServerClock) -> None:
    item = interaction("click", 0)

    def status(token: str) -> int:
        body = {"sessionId": "s", "batch": [item]}
        return int(
            party.app.test_client()
            .post("/api/data/events", json=body, headers={"Authorization": f"Bearer {token}"})
            .status_code
        )

    token = new_token(party)
    assert status(token) == 200
    server.offset = -HOUR
    assert status(token) == 200, "one that was seen to hold goes on"
    assert status(new_token(party)) == 200
    server.offset = DAY
    assert status(token) == 401
    assert status(new_token(party)) == 200


def test_an_erased_session_stays_erased_while_the_servers_clock_jumps(
    app: Flask, party: Party, server: ServerClock
) -> None:
    feel(party, "s", *FRUSTRATED)
    assert party.send(Request("DELETE", "/v1/sessions/s")).status_code == 200
    body = {"events": list(FRUSTRATED)}
    for server.offset in JUMPS.values():
        with app.app_context():
            drop_expired_tombstones()
        assert party.send(Request("POST", "/v1/sessions/s/events", body)).status_code == 410


def test_a_kept_answer_is_replayed_while_the_servers_clock_jumps(
    party: Party, server: ServerClock
) -> None:
    request = Request(
        "POST", "/v1/sessions/s/events", {"events": list(FRUSTRATED)}, {"Idempotency-Key": "k"}
    )
    first = party.send(request).get_data()
    for server.offset in (-HOUR, HOUR):
        assert party.send(request).get_data() == first
    assert mood(party, "s")["event_count"] == 4


def test_rate_limits_end_within_their_window_after_the_servers_clock_jumped(
    make_app: MakeApp, make_caller: MakeCaller, server: ServerClock
) -> None:
    app = make_app(SUBTEXT_RATE_LIMITS=True, SUBTEXT_RATE_LIMIT="3/minute")
    ask = Request("GET", "/v1/mood/settings")
    for jump in JUMPS.values():
        server.offset = 0.0
        party = Party(app, make_caller(app))
        assert [party.send(ask).status_code for _ in range(7)][-1] == 429
        server.offset = jump
        answers = [party.send(ask) for _ in range(7)]
        assert answers[-1].status_code == 429
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 120
        server.offset = jump + 121
        assert party.send(ask).status_code == 200


def test_times_that_the_server_gives_do_not_leave_its_calendar(
    app: Flask, party: Party, server: ServerClock
) -> None:
    """A clock that was never set begins in 1970, before every event."""
    server.offset = -time.time() + HOUR
    feel(party, "s", *FRUSTRATED, {"type": "click", "ts": 1_746_352_800})
    found = mood(party, "s")
    assert (found["mood"], found["event_count"]) == ("frustrated", 5)
    assert found["updated_at"].startswith("1970-01-01T01:")
    with app.app_context():
        assert clock.now() < clock.DAY
