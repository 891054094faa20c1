"""An app with this plugin alone, and a client that may write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from app import BUILTIN_PLUGINS
from core.database import fetch_all
from core.testing import bearer

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import Caller, MakeApp

OTHERS = tuple(name for name in BUILTIN_PLUGINS if name != "ingestion")


@dataclass
class Writer:
    """Send batches with a token, and look at what came of them."""

    app: Flask
    headers: dict[str, str]
    key_headers: dict[str, str]

    def post(self, kind: str, body: Any, **headers: str) -> Any:
        """Send a body as it is (bytes) or as JSON."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **self.headers}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.app.test_client().post(f"/api/data/{kind}", data=data, headers=sent)

    def send(self, kind: str, *items: Any, session: str = "sess_001") -> dict[str, Any]:
        """Send items, check that they were read, and return `data` of the answer."""
        response = self.post(kind, {"sessionId": session, "batch": list(items)})
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json
        assert set(body) == {"success", "data", "error", "metadata"}
        assert (body["success"], body["error"], body["metadata"]) == (True, None, None)
        data: dict[str, Any] = body["data"]
        assert data["accepted"] + data["rejected"] == len(items)
        assert data["rejected"] == len(data["rejections"])
        return data

    def reason(self, kind: str, item: Any) -> str:
        """Send one item that is rejected and return why."""
        data = self.send(kind, item)
        assert data["accepted"] == 0
        return str(data["rejections"][0]["reason"])

    def timeline(self, session: str = "sess_001", **query: int) -> list[dict[str, Any]]:
        """Return the entries of a session's timeline, nothing for an unknown session."""
        client: Any = self.app.test_client()
        response = client.get(
            f"/v1/sessions/{session}/timeline", query_string=query, headers=self.key_headers
        )
        return [] if response.status_code == 404 else list(response.json["entries"])

    def stored(self, session: str = "sess_001") -> list[dict[str, Any]]:
        """Return the stored payloads of a session in time order."""
        return [entry["data"] for entry in self.timeline(session, limit=1000)]

    def outbox(self) -> list[list[list[Any]]]:
        """Return the evidence that waits: for each batch the rows."""
        with self.app.app_context():
            rows = fetch_all("SELECT payload FROM core_outbox ORDER BY id")
        return [orjson.loads(payload) for (payload,) in rows]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(SUBTEXT_PLUGINS_DISABLED=OTHERS)


@pytest.fixture
def writer(app: Flask, caller: Caller) -> Writer:
    return Writer(app, bearer(app, caller.tenant), caller.headers)
