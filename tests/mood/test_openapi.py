"""The OpenAPI document tells what the mood API does."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.mood.observations import EVENT_TYPES

ROUTES = {
    ("/v1/sessions/{session_id}/events", "post"): {400, 401, 403, 410, 413, 415, 422, 429, 503},
    ("/v1/sessions/{session_id}/mood", "get"): {401, 403, 404, 429, 503},
    ("/v1/sessions/{session_id}/feedback", "post"): {400, 401, 403, 404, 413, 415, 422, 429},
    ("/v1/sessions/{session_id}", "delete"): {401, 403, 404, 429, 503},
    ("/v1/analytics/moods", "get"): {401, 403, 429, 503},
    ("/v1/analytics/interventions", "get"): {401, 403, 429, 503},
    ("/v1/mood/settings", "get"): {401, 403, 429, 503},
    ("/v1/mood/settings", "patch"): {400, 401, 403, 413, 415, 429, 503},
    ("/v1/keys/generate", "post"): {400, 403, 413, 415, 429},
}


@pytest.fixture
def document(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json
    return found


def test_every_route_is_described_with_its_errors(document: dict[str, Any]) -> None:
    for (path, method), errors in ROUTES.items():
        operation = document["paths"][path][method]
        assert operation["summary"], path
        assert {str(each) for each in errors} <= set(operation["responses"]), path
        success = next(each for each in operation["responses"] if each.startswith("2"))
        assert operation["responses"][success]["content"]["application/json"]["schema"], path
        if method in {"post", "patch"}:
            body = operation["requestBody"]["content"]["application/json"]
            assert body["schema"]["$ref"].startswith("#/components/schemas/"), path
            assert body["example"], path


def test_a_key_is_asked_for_where_one_is_needed(document: dict[str, Any]) -> None:
    for path, method in ROUTES:
        security = document["paths"][path][method]["security"]
        assert bool(security) == (path != "/v1/keys/generate")


def test_the_twelve_event_types_are_listed(document: dict[str, Any]) -> None:
    event = document["components"]["schemas"]["MoodEvent"]
    assert event["properties"]["type"]["enum"] == list(EVENT_TYPES)
    assert event["required"] == ["type"]
