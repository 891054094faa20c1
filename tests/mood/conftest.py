"""An app with the mood plugin alone, and a client that speaks its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller, MakeApp

OTHERS = ("ingestion", "clickstream", "stream")


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Boot the mood plugin alone."""
    return make_app(SUBTEXT_PLUGINS_DISABLED=OTHERS)


@pytest.fixture
def send(client: FlaskClient, caller: Caller) -> Callable[..., Any]:
    """Return a function that posts events to a session and returns the answer."""

    def post(events: Any, session_id: str = "user_abc", **headers: str) -> Any:
        return client.post(
            f"/v1/sessions/{session_id}/events",
            json={"events": events},
            headers={**caller.headers, **headers},
        )

    return post


@pytest.fixture
def mood(client: FlaskClient, caller: Caller) -> Callable[..., Any]:
    """Return a function that reads the mood of a session."""

    def get(session_id: str = "user_abc") -> Any:
        return client.get(f"/v1/sessions/{session_id}/mood", headers=caller.headers)

    return get
