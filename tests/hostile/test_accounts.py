"""Two accounts that use the same ids for everything, over every address there is."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from core import accounts, now
from core.database import db, fetch_all
from core.testing import BOTH, bearer, drain
from plugins.stream import services
from plugins.stream.analysis.findings import EngagementUpdated, Result, SignalDetected
from plugins.stream.findings import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

#: What both accounts call theirs.
SESSION = "a/shared id"
USER, EVENT, OBJECT, RELEASE, ONCE = "user-1", "event-1", "object-1", "release-1", "once-1"
PATH = quote(SESSION, safe="")
TIME, LATER = "2026-03-16T10:14:32.120Z", "2026-03-16T10:14:34.120Z"
#: Tables in which nothing is anybody's.
NOBODYS = {"core_heartbeat"}
#: What no two answers have in common: ids of requests, and the length that goes with an id.
REQUEST_IDS = r"req_\w{16}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|Content-Length: \d+"


@dataclass(frozen=True)
class Attempt:
    """What the second account sends to an address, and what that comes to.

    `alone` is the status before it has anything of its own, `own` after; None sends nothing then. The path may name
    what the first account was given: `{batch}`, `{correlation}`; `{export}` is each export in turn.
    """

    path: str
    alone: int | None = 200
    own: int | None = 200
    body: Any = None
    by: str = "key"
    headers: dict[str, str] = field(default_factory=dict)


def item(mark: str, **fields: Any) -> dict[str, Any]:
    return {"sessionId": SESSION, "batch": [{"timestamp": TIME, **fields, "note": mark}]}


def bodies(mark: str) -> dict[str, Any]:
    """Return what an account writes: ids that both have, texts with its mark."""
    search = {
        "session_id": SESSION,
        "search_query": f"{mark} lamp",
        "search_results": [{"object_id": OBJECT, "rank": 1, "meta": {"who": mark, "score": 1}}],
        "search_meta": {"who": mark},
        "user_id": USER,
    }
    click = {"event_id": EVENT, "object_id": OBJECT, "meta": {"who": mark}}
    segment = {"segmentIndex": 0, "startTime": TIME, "endTime": LATER, "transcript": mark}
    return {
        "events": item(mark, eventType="click", targetSelector=f"#{mark}"),
        "facial": item(mark, frameIndex=0, emotions={"neutral": 1}, attentionScore=0.5),
        "voice": {"sessionId": SESSION, "batch": [segment | {"sentiment": "neutral"}]},
        "search": search,
        "click": {"session_id": SESSION, "events": [click]},
        "mood": {
            "events": [
                {"type": "error", "id": EVENT, "message": mark},
                {"type": "page_view", "id": "event-2", "url": f"/{mark}"},
            ]
        },
        "feedback": {"action_taken": "no_action", "was_helpful": True, "notes": mark},
        "settings": {"thresholds": {"rage_click_window_ms": 700}, "modality_weights": {"voice": 0}},
        "key": {"customer_name": mark, "email": f"{mark}@example.com", "plan": "starter"},
    }


TWO = bodies("ofthesecond")
REFERENCE = {"session_id": SESSION}
IDEMPOTENT = {"Idempotency-Key": ONCE}
INTERNAL = "/api/v1/clickstream/internal"


def clickstream(prefix: str) -> dict[str, Attempt]:
    """Return the attempts on the addresses that there are twice."""
    read = f"{prefix}/session?session_id={PATH}"
    return {
        f"GET {prefix}/session": Attempt(read, alone=404),
        f"GET {prefix}/session/": Attempt(f"{prefix}/session/?session_id={PATH}", 307, 307),
        f"POST {prefix}/session/": Attempt(f"{prefix}/session/", 307, 307, TWO["search"]),
        f"POST {prefix}/session/events/": Attempt(
            f"{prefix}/session/events/", 307, 307, TWO["click"]
        ),
        f"POST {prefix}/session/irrelevant/": Attempt(
            f"{prefix}/session/irrelevant/", 307, 307, REFERENCE
        ),
        f"POST {prefix}/session/irrelevant": Attempt(
            f"{prefix}/session/irrelevant", 404, 200, REFERENCE
        ),
        f"POST {prefix}/session": Attempt(
            f"{prefix}/session", body=TWO["search"], headers=IDEMPOTENT
        ),
        f"POST {prefix}/session/events": Attempt(
            f"{prefix}/session/events", body=TWO["click"], headers=IDEMPOTENT
        ),
    }


#: Every address with every method that it takes.
ATTEMPTS: dict[str, Attempt] = {
    "GET /v1/sessions/<path:session_id>/mood": Attempt(f"/v1/sessions/{PATH}/mood", alone=404),
    "GET /v1/sessions/<path:session_id>/timeline": Attempt(
        f"/v1/sessions/{PATH}/timeline", alone=404
    ),
    "GET /v1/stream/sessions/<path:session_id>": Attempt(f"/v1/stream/sessions/{PATH}", alone=404),
    "GET /v1/analytics/moods": Attempt("/v1/analytics/moods"),
    "GET /v1/analytics/interventions": Attempt("/v1/analytics/interventions"),
    "GET /v1/mood/settings": Attempt("/v1/mood/settings"),
    "GET /v1/search/metrics": Attempt(f"/v1/search/metrics?user_id={USER}"),
    "GET /v1/search/judgments": Attempt(f"/v1/search/judgments?user_id={USER}"),
    "GET /v1/search/exports": Attempt("/v1/search/exports"),
    "GET /v1/search/exports/<name>": Attempt("/v1/search/exports/{export}"),
    f"GET {INTERNAL}/batch/sessions": Attempt(f"{INTERNAL}/batch/sessions?batch_id={{batch}}"),
    f"GET {INTERNAL}/batch/sessions/": Attempt(f"{INTERNAL}/batch/sessions/?batch_id=1", 307, 307),
    f"POST {INTERNAL}/batch/release/": Attempt(f"{INTERNAL}/batch/release/", 307, 307, {}),
    f"POST {INTERNAL}/session/use-for-improvement/": Attempt(
        f"{INTERNAL}/session/use-for-improvement/", 307, 307, REFERENCE
    ),
    "DELETE /v1/sessions/<path:session_id>": Attempt(f"/v1/sessions/{PATH}", 404, None),
    "POST /v1/sessions/<path:session_id>/feedback": Attempt(
        f"/v1/sessions/{PATH}/feedback", 404, 200, TWO["feedback"], headers=IDEMPOTENT
    ),
    f"POST {INTERNAL}/session/use-for-improvement": Attempt(
        f"{INTERNAL}/session/use-for-improvement", 404, 200, REFERENCE
    ),
    f"POST {INTERNAL}/batch/release": Attempt(
        f"{INTERNAL}/batch/release", 404, 200, {"release_id": RELEASE}, headers=IDEMPOTENT
    ),
    **clickstream(""),
    **clickstream("/api/v1/clickstream"),
    "PATCH /v1/mood/settings": Attempt("/v1/mood/settings", body=TWO["settings"]),
    "POST /v1/sessions/<path:session_id>/events": Attempt(
        f"/v1/sessions/{PATH}/events", body=TWO["mood"], headers=IDEMPOTENT
    ),
    **{
        f"POST /api/data/{kind}": Attempt(
            f"/api/data/{kind}", body=TWO[kind], by="token", headers=IDEMPOTENT
        )
        for kind in ("events", "facial", "voice")
    },
    "POST /v1/tokens": Attempt("/v1/tokens", 201, 201, REFERENCE),
    "POST /v1/keys/generate": Attempt("/v1/keys/generate", 201, 201, TWO["key"], by="nothing"),
    # Without a Redis neither begins; what they store is stored by the services below.
    "POST /v1/upload/analyze": Attempt(f"/v1/upload/analyze?session_id={PATH}", 400, 400, "file"),
    "WS /v1/stream/analyze": Attempt(
        f"/v1/stream/analyze?session_id={PATH}",
        503,
        503,
        headers={
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    ),
    "GET /v1/stream/analyze": Attempt("/v1/stream/analyze", 426, 426),
    "GET /demo/stream/static/<path:filename>": Attempt("/demo/stream/static/stream.css", by=""),
    "GET /docs/<path:path>": Attempt("/docs/index.css", by=""),
    **{
        f"GET {path}": Attempt(path, by="")
        for path in (
            "/asyncapi.json",
            "/demo/stream",
            "/docs/",
            "/docs/stream",
            "/health",
            "/livez",
            "/metrics",
            "/openapi.json",
            "/readyz",
        )
    },
}


class Account:
    """One of the two: its credentials, and what it is given."""

    def __init__(self, app: Flask, caller: Caller, mark: str) -> None:
        self.app, self.mark = app, mark
        self.account_id, self.tenant = caller.account_id, caller.tenant
        token = bearer(app, caller.tenant, scope="ingest stream")
        self.credentials = {"key": caller.headers, "token": token}
        self.given = {"batch": "unknown-batch", "correlation": "unknown-recording"}

    def send(self, name: str, attempt: Attempt) -> Iterator[tuple[int, str]]:
        """Make an attempt and give status and text of each answer."""
        exports = EXPORTS if "{export}" in attempt.path else ("",)
        for export in exports:
            yield self.open(
                "GET" if name.startswith("WS") else name.partition(" ")[0],
                attempt.path.format(export=export, **self.given),
                attempt.body,
                self.credentials.get(attempt.by, {}) | attempt.headers,
            )

    def open(
        self, method: str, path: str, body: Any = None, headers: Any = None
    ) -> tuple[int, str]:
        options: dict[str, Any] = {"json": body} if body is not None else {}
        if body == "file":
            options = {"data": {"file": (io.BytesIO(b"no video"), "video.mp4")}}
        with self.app.test_client().open(path, method=method, headers=headers, **options) as got:
            return got.status_code, got.get_data(as_text=True) + str(got.headers)

    def settle(self) -> None:
        """Store something of every kind, in the session that both have."""
        own = bodies(self.mark)
        for path, kind, by in (
            ("/api/data/events", "events", "token"),
            ("/api/data/facial", "facial", "token"),
            ("/api/data/voice", "voice", "token"),
            ("/session", "search", "key"),
            ("/session/events", "click", "key"),
            (f"/v1/sessions/{PATH}/events", "mood", "key"),
            (f"/v1/sessions/{PATH}/feedback", "feedback", "key"),
        ):
            status, text = self.open("POST", path, own[kind], self.credentials[by] | IDEMPOTENT)
            assert status == 200, text
        with self.app.app_context():
            take = services.open_recording(
                self.account_id, SESSION, f"recording {self.mark}", services.LIVE
            )
            keeper = Keeper(take)
            keeper.keep(
                [
                    SignalDetected("confusion", 2.0, "high", self.mark),
                    EngagementUpdated("engaged", 0.0),
                ]
            )
            keeper.close(Result(3.0, (), (), {}, ()), 3.0)
        drain(self.app)
        body = {"release_id": RELEASE}
        status, text = self.open("POST", f"{INTERNAL}/batch/release", body, self.credentials["key"])
        assert status == 200, text
        found = re.search(r'"batch_id":"(\w+)"', text)
        assert found
        self.given = {"batch": found[1], "correlation": f"recording {self.mark}"}

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row that is this account's; a table that cannot be told apart fails."""
        mine = "IN (SELECT id FROM core_session WHERE account_id = ?)"
        found = {}
        with self.app.app_context():
            for table in db.get_tables():
                columns = {column.name for column in db.get_columns(table)}
                if table.startswith("migration_") or table in NOBODYS:
                    continue
                if table == "core_account":
                    condition = "id = ?"
                elif "account_id" in columns:
                    condition = "account_id = ?"
                else:
                    assert "session_key" in columns, f"whose are the rows of {table}?"
                    condition = f"session_key {mine}"
                query = f"SELECT * FROM {table} WHERE {condition}"  # noqa: S608
                found[table] = sorted(fetch_all(query, (self.account_id,)), key=repr)
        return found

    def view(self) -> dict[str, list[tuple[int, str]]]:
        """Return what the account reads of itself, of everything that can be read."""
        changing = "|".join([REQUEST_IDS, *map(re.escape, self.given.values())])
        return {
            name: [
                (status, re.sub(changing, "", text)) for status, text in self.send(name, attempt)
            ]
            for name, attempt in ATTEMPTS.items()
            if name.startswith("GET ") and attempt.by == "key"
        }


EXPORTS = (
    "fine-tuning",
    "judgments",
    "letor",
    "ubi-bulk",
    "ubi-events",
    "ubi-queries",
    "workbench",
)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def first(app: Flask, make_caller: MakeCaller) -> Account:
    return Account(app, make_caller(app, *accounts.SCOPES), "ofthefirst")


@pytest.fixture
def second(app: Flask, make_caller: MakeCaller) -> Account:
    return Account(app, make_caller(app, *accounts.SCOPES), "ofthesecond")


def test_every_address_that_is_served_is_attempted(app: Flask, first: Account) -> None:
    served = {
        f"{'WS' if rule.websocket else method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert served == set(ATTEMPTS)
    _, text = first.open("GET", "/v1/search/exports", headers=first.credentials["key"])
    assert sorted(re.findall(r'"name":"([^"]+)"', text)) == sorted(EXPORTS)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_whatever_one_account_sends_anywhere_the_other_is_neither_seen_nor_changed(
    first: Account, second: Account
) -> None:
    untouched = second.view()
    first.settle()
    rows, view = first.rows(), first.view()
    assert len([table for table in rows if rows[table]]) > 15, "there is something to see"
    secrets = (
        first.mark,
        first.tenant,
        *first.given.values(),
        first.credentials["key"]["X-Api-Key"],
    )
    second.given = dict(first.given)

    # What the second reads is to the letter what it read when the first had nothing.
    assert second.view() == untouched

    # What stores comes last.
    ordered = sorted(
        ATTEMPTS.items(), key=lambda each: each[0][:3] != "GET" and each[1].alone in {200, 201}
    )
    for turn in ("alone", "own"):
        for name, attempt in ordered:
            expected = getattr(attempt, turn)
            if expected is None:
                continue
            for status, text in second.send(name, attempt):
                assert status == expected, (turn, name, text)
                asked = attempt.path.format(export="", **second.given)
                assert not [each for each in secrets if each in text and each not in asked], name
            assert first.rows() == rows, (turn, name)
        drain(second.app)
        assert first.rows() == rows, turn

    assert first.view() == view
    assert (
        second.open("DELETE", f"/v1/sessions/{PATH}", headers=second.credentials["key"])[0] == 200
    )
    assert (first.rows(), first.view()) == (rows, view)


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_equal_ids_and_idempotency_keys_make_work_of_their_own_for_each_account(
    first: Account, second: Account
) -> None:
    first.settle()
    second.settle()

    def count(account: Account) -> dict[str, int]:
        return {table: len(found) for table, found in account.rows().items()}

    assert count(first) == count(second)
    for one, other in ((first, second), (second, first)):
        seen = str(one.view())
        assert one.mark in seen
        assert other.mark not in seen
        assert other.mark not in str(one.rows())


def test_a_recording_goes_on_for_the_account_that_began_it_alone(
    app: Flask, first: Account, second: Account
) -> None:
    with app.app_context():
        takes = [
            services.open_recording(account.account_id, SESSION, account.mark, services.UPLOAD)
            for account in (first, second)
        ]
        Keeper(takes[1]).keep([SignalDetected("confusion", 1.0, "high", second.mark)])
        before = now()
    drain(app)

    assert takes[0].session.key != takes[1].session.key
    assert takes[0].started_at <= before
    _, text = first.open("GET", f"/v1/stream/sessions/{PATH}", headers=first.credentials["key"])
    assert first.mark in text
    assert second.mark not in text
    assert "mood_evidence" in first.rows()
    assert first.rows()["mood_evidence"] == []
    assert len(second.rows()["mood_evidence"]) == 1
