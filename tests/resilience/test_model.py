"""Random lives of an installation: every answer is the one that a small model in memory gives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from core import accounts
from core.testing import BOTH, Caller, drain
from tests.resilience.model import Account, Expected, Kept, Memory
from tests.resilience.offers import (
    GOOD,
    PATHS,
    batches,
    clicks,
    event,
    feelings,
    keys,
    no_feelings,
    outcomes,
    requests_of,
    searches,
    sessions,
    signals,
    whose,
)
from tests.resilience.picture import START, Party, Request, stored, timeline
from tests.resilience.recordings import begin, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from core.testing import MakeApp
    from plugins.stream.services import Take
    from tests.resilience.model import Offered

FEELING = {"type": "error", "ts": START}
SEARCH: dict[str, Any] = {"search_query": "", "search_results": [], "created_at": START * 1000}


class Life(RuleBasedStateMachine):
    """Drive two accounts with the same session ids through all APIs, and hold each answer against the model."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app = app
        self.models = [Account(), Account()]
        self.parties = [self._join() for _ in self.models]
        self.revoked: list[dict[str, str]] = []
        self.takes: list[tuple[int, str, int, Take]] = []

    @initialize(item=GOOD["event"], feeling=feelings, search=searches, session=sessions, who=whose)
    def fill(
        self,
        item: Offered,
        feeling: dict[str, Any],
        search: dict[str, Any],
        session: str,
        who: int,
    ) -> None:
        """Begin with a session that every API knows."""
        self.ingest(who, session, ("event", [item]), None)
        self.feel(who, session, [feeling], None, None)
        self.find(who, session, search, None)
        click = {"event_id": "first", "object_id": "o0", "event_type": "click"}
        self.click(who, session, [{**click, "created_at": (START + 39) * 1000}], None)

    @rule(who=whose, session=sessions, batch=batches, key=keys)
    def ingest(
        self, who: int, session: str, batch: tuple[str, list[Offered]], key: str | None
    ) -> None:
        kind, items = batch
        body = {"sessionId": session, "batch": [item.body for item in items]}
        has_good = any(item.key is not None for item in items)
        answer = self._send(
            who,
            Request("POST", f"/api/data/{PATHS[kind]}", body),
            lambda model: model.ingest(session, kind, items),
            key=key,
            operation=kind,
            session=session if has_good else None,
        )
        if answer is not None:
            data = answer.json["data"]
            data["rejected"] = [each["index"] for each in data["rejections"]]
            expected = self.wanted
            assert {name: data[name] for name in ("accepted", "rejected")} == expected

    @rule(
        who=whose,
        session=sessions,
        events=st.lists(feelings, min_size=1, max_size=5),
        spoiled=st.one_of(st.none(), st.none(), st.lists(no_feelings, max_size=1)),
        key=keys,
    )
    def feel(
        self,
        who: int,
        session: str,
        events: list[dict[str, Any]],
        spoiled: list[Any] | None,
        key: str | None,
    ) -> None:
        # No good: an item that is none, or no item at all.
        sent = events if spoiled is None else [*events, *spoiled] if spoiled else []
        answer = self._send(
            who,
            Request("POST", f"/v1/sessions/{session}/events", {"events": sent}),
            lambda model: model.feel(session, events, is_good=spoiled is None),
            key=key if spoiled is None else None,
            operation=f"feel {session}",
            session=session,
        )
        if answer is not None and answer.status_code == 200:
            assert {name: answer.json[name] for name in self.wanted} == self.wanted

    @rule(who=whose, session=sessions, search=searches, key=keys)
    def find(self, who: int, session: str, search: dict[str, Any], key: str | None) -> None:
        body = {**search, "session_id": session}
        self._send(
            who,
            Request("POST", "/session", body),
            lambda model: model.find(body),
            key=key,
            operation="find",
            session=session,
        )

    @rule(who=whose, session=sessions, events=st.lists(clicks, max_size=4), key=keys)
    def click(self, who: int, session: str, events: list[dict[str, Any]], key: str | None) -> None:
        there = session in self.models[who].sessions or bool(events)
        self._send(
            who,
            Request("POST", "/session/events", {"session_id": session, "events": events}),
            lambda model: model.click(session, events),
            key=key,
            operation="click",
            session=session if there else None,
        )

    @rule(who=whose, session=sessions)
    def mark_irrelevant(self, who: int, session: str) -> None:
        request = Request("POST", "/session/irrelevant", {"session_id": session})
        self._send(who, request, lambda model: model.mark_irrelevant(session))

    @rule(who=whose, session=sessions, outcome=outcomes, key=keys)
    def judge(self, who: int, session: str, outcome: dict[str, bool], key: str | None) -> None:
        body = {"action_taken": "show_tooltip", "notes": "so", **outcome}
        self._send(
            who,
            Request("POST", f"/v1/sessions/{session}/feedback", body),
            lambda model: model.judge(session, {"was_helpful": None, **body}),
            key=key,
            operation=f"judge {session}",
            session=session,
        )

    @rule(who=whose, session=sessions)
    def record(self, who: int, session: str) -> None:
        model = self.models[who]
        expected = model.record(session)
        take = begin(self.parties[who], session)
        assert (take is None) == (expected.status == 410)
        if take is not None:
            number = len(model.sessions[session].recordings) - 1
            self.takes.append((who, session, number, take))

    @rule(seen=signals)
    def see(self, seen: list[tuple[str, float]]) -> None:
        """What the analysis found comes when it is done, and the session may be gone by then."""
        if self.takes:
            who, session, number, take = self.takes.pop(0)
            expected = self.models[who].see(session, number, seen)
            assert see(self.parties[who], take, seen) == expected.status

    @rule(who=whose, session=sessions)
    def erase(self, who: int, session: str) -> None:
        request = Request("DELETE", f"/v1/sessions/{session}")
        self._send(who, request, lambda model: model.erase(session))

    @rule()
    def drain(self) -> None:
        drain(self.app)
        for model in self.models:
            model.drain()

    @rule(who=whose)
    def change_the_key(self, who: int) -> None:
        party = self.parties[who]
        self.revoked.append(party.key)
        with self.app.app_context():
            (standing,) = [
                each["id"]
                for each in accounts.list_keys(party.caller.account_id)
                if each["revoked_at"] is None
            ]
            party.key = {"X-Api-Key": accounts.rotate_key(standing)}

    @rule(session=sessions)
    def come_with_a_key_that_was_revoked(self, session: str) -> None:
        for key in self.revoked[-2:]:
            for method, path in (
                ("GET", f"/v1/sessions/{session}/mood"),
                ("DELETE", f"/v1/sessions/{session}"),
                ("POST", "/v1/tokens"),
            ):
                answer = self.app.test_client().open(path, method=method, headers=key)
                assert answer.status_code == 401

    @rule(who=whose, session=sessions, other=sessions)
    def come_with_a_token_for_one_session(self, who: int, session: str, other: str) -> None:
        party = self.parties[who]
        answer = party.send(Request("POST", "/v1/tokens", {"session_id": session}))
        assert answer.status_code == 201
        item = event(5, "focus", None)
        body = {"sessionId": other, "batch": [item.body]}
        sent = self.app.test_client().post(
            "/api/data/events",
            json=body,
            headers={"Authorization": f"Bearer {answer.json['token']}"},
        )
        if session != other:
            assert sent.status_code == 403
        else:
            expected = self.models[who].ingest(other, "event", [item])
            assert sent.status_code == expected.status

    @rule(who=whose, session=sessions)
    def look(self, who: int, session: str) -> None:
        party, memory = self.parties[who], self.models[who].sessions.get(session)
        status, entries = timeline(party, session)
        assert status == (200 if memory else 404)
        assert stored(entries) == (memory.timeline() if memory else [])
        assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
        self._look_at_the_search(party, session, memory)
        status, body = party.get(f"/v1/stream/sessions/{session}")
        assert status == (200 if memory else 404)
        found = [
            sorted((signal["type"], signal["start"]) for signal in recording["signals"])
            for recording in body.get("recordings", [])
        ]
        assert found == ([sorted(seen) for seen in memory.recordings] if memory else [])
        status, mood = party.get(f"/v1/sessions/{session}/mood")
        assert status == (200 if memory and memory.has_mood else 404)
        if status == 200 and memory is not None:
            assert mood["event_count"] == (len(memory.felt) or len(memory.told))
            told = [entry["data"]["mood"] for entry in entries if entry["kind"] == "mood_changed"]
            assert mood["mood"] == (told[-1] if told else "neutral")

    @rule(who=whose)
    def measure(self, who: int) -> None:
        party, model = self.parties[who], self.models[who]
        found = party.get("/v1/search/metrics")[1]
        for name, value in model.metrics().items():
            shown = found[name]["value"] if isinstance(found[name], dict) else found[name]
            assert shown == (None if value is None else pytest.approx(value)), name
        moods = party.get("/v1/analytics/moods")[1]
        with_mood = [each for each in model.sessions.values() if each.has_mood]
        assert moods["total_sessions"] == len(with_mood)
        assert moods["feedback_count"] == len([each for each in with_mood if each.feedback])
        assert sum(each["count"] for each in moods["mood_distribution"]) == len(with_mood)

    def teardown(self) -> None:
        """Let the worker finish, look at everything, repeat every request with a key, and erase everything.

        Each mood is that of the same items sent anew, in order.
        """
        for who, model in enumerate(self.models):
            for kept in model.answers.values():
                again = self.parties[who].send(kept.request)
                assert (again.status_code, again.get_data()) == (200, kept.body)
        self.drain()
        for who, model in enumerate(self.models):
            self.measure(who)
            for session in ("s0", "s1", "s2"):
                self.look(who, session)
            for session, memory in model.sessions.items():
                if memory.has_mood:
                    found = self.parties[who].get(f"/v1/sessions/{session}/mood")
                    assert found == self._mood_anew(session, memory)
            for session in list(model.sessions):
                self.erase(who, session)
                self.fill(event(1, "focus", None), FEELING, SEARCH, session, who)
                self.record(who, session)
                self.look(who, session)

    def _join(self) -> Party:
        """Sign up as a customer does."""
        wish = {"customer_name": "Test", "plan": "pro"}
        answer: Any = self.app.test_client().post("/v1/keys/generate", json=wish)
        key: str = answer.json["api_key"]
        with self.app.app_context():
            identity = accounts.authenticate_key(key)
        assert identity is not None
        return Party(self.app, Caller(identity.tenant, identity.account_id, key))

    def _send(
        self,
        who: int,
        request: Request,
        act: Callable[[Account], Expected],
        *,
        key: str | None = None,
        operation: str = "",
        session: str | None = None,
    ) -> Any:
        """Send a request, hold the status against the model, and return the answer when it was new.

        `wanted` is what the model says of the body. With a key the answer is kept, and erased with `session`.
        """
        model = self.models[who]
        name = (operation, key or "")
        kept = model.answers.get(name) if key else None
        if key:
            request = request._replace(headers={"Idempotency-Key": key})
        if kept is not None:
            answer = self.parties[who].send(request)
            if kept.request == request:
                assert (answer.status_code, answer.get_data()) == (200, kept.body)
            else:
                assert answer.status_code == 422
            return None
        expected = act(model)
        answer = self.parties[who].send(request)
        assert answer.status_code == expected.status, (request, answer.text)
        if key and expected.status == 200:
            model.answers[name] = Kept(request, session, answer.get_data())
        self.wanted = expected.body
        return answer if expected.status == 200 else None

    def _look_at_the_search(self, party: Party, session: str, memory: Memory | None) -> None:
        status, body = party.get(f"/session?session_id={session}")
        if memory is None or memory.search is None:
            assert status == 404
            return
        assert status == 200
        shown = {name: body[name] for name in ("search_query", "created_at", "is_irrelevant")}
        assert shown == {
            "search_query": memory.search["search_query"],
            "created_at": memory.search["created_at"],
            "is_irrelevant": memory.is_irrelevant,
        }
        assert [each["object_id"] for each in body["search_results"]] == memory.shown
        found = {event["event_id"]: event for event in body["events"]}
        assert len(found) == len(body["events"])
        assert found == {name: {**each, "meta": None} for name, each in memory.clicks.items()}

    def _mood_anew(self, session: str, memory: Memory) -> tuple[int, Any]:
        """Return the mood of a session of another account that gets the same items, in order, and nothing else."""
        party = self._join()
        for request in requests_of(session, memory):
            assert party.send(request).status_code == 200
        for seen in memory.recordings:
            take = begin(party, session)
            assert take is not None
            assert see(party, take, seen) == 200
        drain(self.app)
        status, mood = party.get(f"/v1/sessions/{session}/mood")
        return status, mood


def live(app: Flask, examples: int, steps: int) -> None:
    """Run random lives; the same ones every time."""
    run_state_machine_as_test(
        lambda: Life(app),  # type: ignore[arg-type]  # any maker of machines is taken
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            # Without shrinking, which takes many times as long as all else: a life is short enough to be read.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_every_answer_is_the_one_of_a_model_in_memory(make_app: MakeApp) -> None:
    live(make_app(), examples=5, steps=30)


@pytest.mark.soak
@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_thousands_of_answers_are_those_of_a_model_in_memory(make_app: MakeApp) -> None:
    live(make_app(), int(os.environ.get("SOAK_LIVES", "50")), steps=50)
