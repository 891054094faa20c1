"""The clickstream plugin, alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from core import hookimpl
from core.testing import drain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from core import Evidence, Session
    from core.testing import Caller, MakeApp

ALONE = ("ingestion", "mood", "stream")


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(SUBTEXT_PLUGINS_DISABLED=ALONE)


@dataclass
class Site:
    """A web site that sends what its users search and click."""

    client: FlaskClient
    headers: dict[str, str]
    prefix: str = ""

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.client.post(self.prefix + path, json=body, headers=self.headers | headers)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(self.prefix + path, query_string=query, headers=self.headers)

    def search(self, session_id: str = "s1", shown: str = "abc", **more: Any) -> TestResponse:
        body = {
            "session_id": session_id,
            "search_query": "boots",
            "search_results": [{"object_id": object_id} for object_id in shown],
        }
        response = self.post("/session", body | more)
        assert response.status_code == 200, response.text
        return response

    def click(self, session_id: str, *objects: str, **more: Any) -> TestResponse:
        events = [
            {"event_id": f"{session_id}-{object_id}-{number}", "object_id": object_id} | more
            for number, object_id in enumerate(objects)
        ]
        response = self.post("/session/events", {"session_id": session_id, "events": events})
        assert response.status_code == 200, response.text
        return response

    def session(self, session_id: str = "s1", **query: Any) -> Any:
        response = self.get("/session", session_id=session_id, **query)
        assert response.status_code == 200, response.text
        return response.json


@pytest.fixture
def site(client: FlaskClient, caller: Caller) -> Site:
    return Site(client, caller.headers)


class Listener:
    """A plugin that writes down the evidence it is told."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._told: list[tuple[str, str, dict[str, Any]]] = []
        plugins = app.extensions["subtext"].plugins
        plugins.manager.register(self, "listener")
        plugins.names.append("listener")

    @hookimpl
    def evidence_recorded(
        self, session: Session, source: str, evidence: Sequence[Evidence]
    ) -> None:
        assert source == "clickstream"
        for fact in evidence:
            assert fact.modality == "search"
            details = {"at": fact.at, "strength": fact.strength, "reference": fact.reference}
            self._told.append((session.session_id, fact.kind, details | (fact.fields or {})))

    def told(self) -> list[tuple[str, str]]:
        """Give (session, kind) of everything told since the last time."""
        return [(session_id, kind) for session_id, kind, _ in self.details()]

    def details(self) -> list[tuple[str, str, dict[str, Any]]]:
        drain(self.app)
        told, self._told = self._told, []
        return told


@pytest.fixture
def listener(app: Flask) -> Listener:
    return Listener(app)
