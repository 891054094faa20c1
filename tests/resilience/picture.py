"""Everything the APIs show of an account, in a form that two accounts can be compared in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from core.testing import bearer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flask import Flask

    from core.testing import Caller

#: 2025-05-04 10:00:00 UTC in seconds, when everything in these tests happens: long ago, so no clock is ahead.
START = 1_746_352_800


class Request(NamedTuple):
    """One request as it goes over the wire."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] | None = None


class Party:
    """An account that speaks every API, from any thread: tokens where browsers do, the key elsewhere."""

    def __init__(self, app: Flask, caller: Caller) -> None:
        self.app = app
        self.caller = caller
        self.key = caller.headers
        self.token = bearer(app, caller.tenant)

    def send(self, request: Request) -> Any:
        """Send a request and return the answer, whatever its status."""
        who = self.token if request.path.startswith("/api/data/") else self.key
        return self.app.test_client().open(
            request.path,
            method=request.method,
            json=request.body,
            headers={**who, **(request.headers or {})},
        )

    def get(self, path: str) -> Any:
        """Return status and body of a page."""
        answer = self.send(Request("GET", path))
        return answer.status_code, answer.json if answer.is_json else answer.text


def iso(seconds: float) -> str:
    """Write a moment so many seconds after `START` as ISO 8601."""
    minutes, rest = divmod(seconds, 60)
    return f"2025-05-04T10:{int(minutes):02d}:{rest:06.3f}Z"


def canonical(value: Any) -> str:
    """Write JSON so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True)


def timeline(party: Party, session: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the status and all entries of a session's timeline, page by page, as they come."""
    entries: list[dict[str, Any]] = []
    after = 0
    while True:
        status, body = party.get(f"/v1/sessions/{session}/timeline?limit=1000&after={after}")
        if status != 200:
            return status, entries
        entries += body["entries"]
        if body["next_after"] is None:
            return status, entries
        after = body["next_after"]


def stored(entries: Iterable[dict[str, Any]]) -> list[str]:
    """Return what is stored of entries, in an order of its own.

    Left out: changes of the mood, which are the record of what was told when; and when the server took feedback.
    """
    kept = [
        {name: entry[name] for name in entry if (name, entry["kind"]) != ("at", "feedback")}
        for entry in entries
        if entry["kind"] != "mood_changed"
    ]
    return sorted(canonical(entry) for entry in kept)


def picture(party: Party, sessions: Iterable[str]) -> dict[str, Any]:
    """Return everything that the APIs show of an account and its sessions.

    Events of a search come in the order they were stored, which is no promise here: they are sorted by id.
    """
    shown: dict[str, Any] = {}
    for session in sessions:
        shown[f"mood {session}"] = party.get(f"/v1/sessions/{session}/mood")
        status, entries = timeline(party, session)
        told = [entry["data"]["mood"] for entry in entries if entry["kind"] == "mood_changed"]
        shown[f"timeline {session}"] = (status, stored(entries))
        shown[f"last mood told {session}"] = told[-1] if told else "neutral"
        status, search = party.get(f"/session?session_id={session}")
        if status == 200:
            search["events"].sort(key=lambda event: str(event["event_id"]))
        shown[f"search {session}"] = (status, search)
    for page in (
        "/v1/analytics/moods",
        "/v1/analytics/interventions",
        "/v1/mood/settings",
        "/v1/search/metrics",
    ):
        shown[page] = party.get(page)
    for export in party.get("/v1/search/exports")[1]["exports"]:
        status, text = party.get(f"/v1/search/exports/{export['name']}")
        lines = text.splitlines() if isinstance(text, str) else [canonical(text)]
        shown[f"export {export['name']}"] = (status, sorted(lines))
    return shown


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two pictures show differently, for a message that can be read."""
    return {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }
