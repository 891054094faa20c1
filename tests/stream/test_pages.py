"""The pages of the stream, and the AsyncAPI document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from plugins.stream.analysis.rules import SIGNAL_TYPES

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp

OTHERS = ("ingestion", "clickstream", "mood")


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Boot the stream plugin alone."""
    return make_app(SUBTEXT_PLUGINS_DISABLED=OTHERS)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if "$ref" in value else []
        return found + [each for item in value.values() for each in references(item)]
    return [each for item in value for each in references(item)] if isinstance(value, list) else []


def test_the_asyncapi_document_names_every_message_and_its_references_hold(app: Flask) -> None:
    document = app.test_client().get("/asyncapi.json").get_json()
    assert document["asyncapi"] == "3.0.0"
    messages = document["components"]["messages"]
    named = {message["name"] for message in messages.values()}
    assert named >= {
        "session.ready",
        "session.updated",
        "signal.detected",
        "signal.updated",
        "signal.ended",
        "engagement.updated",
        "conversation_quality.updated",
        "error",
        "session.closing",
        "session.ended",
        "segment",
        "config",
        "close",
    }
    data = messages["signal_detected"]["payload"]["properties"]["data"]
    assert data["properties"]["signal_type"]["enum"] == list(SIGNAL_TYPES)
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


@pytest.mark.parametrize("path", ["/docs/stream", "/demo/stream"])
def test_a_page_loads_nothing_from_elsewhere(app: Flask, path: str) -> None:
    client = app.test_client()
    answer = client.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        with client.get(address) as found:
            assert found.status_code == 200


def test_the_page_of_the_messages_shows_each_with_an_example_and_each_code(app: Flask) -> None:
    client = app.test_client()
    text = client.get("/docs/stream").text
    for message in client.get("/asyncapi.json").get_json()["components"]["messages"].values():
        assert f'id="{message["name"]}"' in text
    for code in ("ih1001", "ih5006", "ih6004"):
        assert code in text


def test_the_address_of_the_socket_says_so_to_those_who_come_by_http(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/v1/stream/analyze").status_code == 401
    document = client.get("/openapi.json").get_json()
    assert "426" in document["paths"]["/v1/stream/analyze"]["get"]["responses"]
    assert "/v1/upload/analyze" in document["paths"]


def test_the_page_of_messages_shows_code_as_code(app: Flask) -> None:
    page = app.test_client().get("/docs/stream").get_data(as_text=True)
    assert "<code>Authorization: Bearer</code>" in page
    assert "`" not in page
