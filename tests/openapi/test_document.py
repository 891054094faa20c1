"""The OpenAPI document: valid, complete, and true to its own schemas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from core import Blueprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import MakeApp

METHODS = ("get", "post", "put", "patch", "delete")
#: Where no answer is JSON with something in it.
NULL = {"type": "null"}
#: What each kind of caller shows, by how the address begins; the first that fits holds.
SECURITY: tuple[tuple[str, list[dict[str, list[str]]]], ...] = (
    ("/v1/keys/generate", []),
    ("/health", []),
    ("/livez", []),
    ("/readyz", []),
    ("/metrics", [{"MetricsToken": []}, {}]),
    ("/api/data/", [{"Token": []}]),
    ("/api/v1/clickstream/internal/", [{"ApiKey": []}, {"BearerKey": []}]),
    ("/api/v1/clickstream/", [{"ApiKey": []}, {"BearerKey": []}, {}]),
    ("/session", [{"ApiKey": []}, {"BearerKey": []}, {}]),
    ("/v1/search/", [{"ApiKey": []}, {"BearerKey": []}, {}]),
    ("/v1/stream/", [{"ApiKey": []}, {"BearerKey": []}, {"Token": []}]),
    ("/v1/upload/", [{"ApiKey": []}, {"BearerKey": []}, {"Token": []}]),
    ("/v1/", [{"ApiKey": []}, {"BearerKey": []}]),
)
#: The shape of errors, by how the address begins.
ERRORS = (
    ("/api/data/", "IngestionFailure"),
    ("/api/v1/clickstream/", "ClickstreamDetail"),
    ("/session", "ClickstreamDetail"),
    ("/v1/search/", "ClickstreamDetail"),
    ("/v1/tokens", "PlainError"),
    ("/metrics", "PlainError"),
    ("/v1/sessions/{session_id}/timeline", "PlainError"),
    ("/v1/stream/", "StreamProblem"),
    ("/v1/upload/", "StreamProblem"),
    ("/v1/", "MoodProblem"),
)
#: Answers that are no error, whatever their status.
HEALTH = {("/health", "503"), ("/readyz", "503")}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def first_fit(table: tuple[tuple[str, Any], ...], path: str) -> Any:
    return next(value for prefix, value in table if path.startswith(prefix))


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        yield "request", operation["requestBody"]["content"]["application/json"]
    for status, answer in operation["responses"].items():
        if "application/json" in answer.get("content", {}):
            yield status, answer["content"]["application/json"]


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    resource = DRAFT202012.create_resource(document)
    registry = Registry().with_resource("urn:document", resource)
    located = {"$ref": f"urn:document{schema['$ref']}"} if "$ref" in schema else schema
    checker = Draft202012Validator(
        located, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [error.message for error in checker.iter_errors(value)]


def test_it_is_a_valid_openapi_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_of_every_plugin_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if isinstance(app.blueprints.get(rule.endpoint.rpartition(".")[0]), Blueprint)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method) for path, method, _ in operations(document)}
    for plugin in ("ingestion", "clickstream", "mood", "stream"):
        assert any(name.startswith(plugin) for name in app.blueprints), plugin


def test_every_operation_says_what_it_is_and_has_a_name_of_its_own(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", operation["operationId"]), path
        assert operation["summary"].endswith("."), (path, method)
        assert all(tags[tag] for tag in operation["tags"]), (path, method)
        assert operation["tags"], (path, method)
        assert all(answer["description"] for answer in operation["responses"].values()), path


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        parameters = [
            *document["paths"][path].get("parameters", ()),
            *operation.get("parameters", ()),
        ]
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), path
        for parameter in parameters:
            where = (path, method, parameter["name"])
            assert {"type", "anyOf"} & parameter["schema"].keys(), where
            if parameter["in"] == "path":
                assert parameter["description"], where
                assert parameter["schema"]["minLength"] == 1, where


def test_bodies_and_answers_have_examples_that_fit_their_schemas(document: dict[str, Any]) -> None:
    checked = 0
    for path, method, operation in operations(document):
        for place, content in contents(operation):
            where = (path, method, place)
            schema = content.get("schema")
            if schema is None or schema == NULL:
                continue
            if "example" in content:
                assert faults(document, schema, content["example"]) == [], where
                checked += 1
            else:
                assert place.startswith("5"), where
    assert checked > 150


def test_errors_are_in_the_shape_of_their_api(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400" or (path, status) in HEALTH:
                continue
            schema = answer["content"]["application/json"]["schema"]
            name = first_fit(ERRORS, path)
            assert schema == {"$ref": f"#/components/schemas/{name}"}, (path, method, status)


def test_a_route_says_which_credentials_open_it(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        security = operation["security"]
        assert security == first_fit(SECURITY, path), (path, method)
        assert all(name in schemes for each in security for name in each)
        if security and path != "/metrics":
            assert {"401", "403", "429"} <= operation["responses"].keys(), (path, method)


def test_what_stores_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    storing = {
        path
        for path, _, operation in operations(document)
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    }
    assert storing == {
        "/api/data/events",
        "/api/data/facial",
        "/api/data/voice",
        "/session",
        "/session/events",
        "/api/v1/clickstream/session",
        "/api/v1/clickstream/session/events",
        "/api/v1/clickstream/internal/batch/release",
        "/v1/sessions/{session_id}/events",
        "/v1/sessions/{session_id}/feedback",
    }


def links(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for _, _, operation in operations(document):
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                yield operation["operationId"], link


def test_answers_lead_to_operations_that_there_are_with_parameters_that_they_take(
    document: dict[str, Any],
) -> None:
    takes = {
        operation["operationId"]: {
            each["name"]
            for each in (
                *document["paths"][path].get("parameters", ()),
                *operation.get("parameters", ()),
            )
        }
        for path, _, operation in operations(document)
    }
    for source, link in links(document):
        assert link.get("parameters", {}).keys() <= takes[link["operationId"]], (source, link)
        given = [*link.get("parameters", {}).values(), *link.get("requestBody", {}).values()]
        assert given, (source, link)
        for expression in given:
            assert re.match(r"\$(request|response)\.", expression), (source, link)


def test_what_is_known_of_a_session_leads_to_the_calls_of_all_plugins(
    document: dict[str, Any],
) -> None:
    led = {(source, link["operationId"]) for source, link in links(document)}
    for source in ("ingestion_post_events", "clickstream_create_session", "mood_post_events"):
        for target in (
            "get_timeline",
            "clickstream_get_session",
            "mood_get_mood",
            "mood_delete_session",
            "stream_get_session",
        ):
            assert (source, target) in led


def test_links_to_a_plugin_that_is_disabled_are_left_out(make_app: MakeApp) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=["mood"])
    document = app.test_client().get("/openapi.json").get_json()
    OpenAPIV31SpecValidator(document).validate()
    targets = {link["operationId"] for _, link in links(document)}
    assert "get_timeline" in targets
    assert not {name for name in targets if name.startswith("mood")}


def test_every_schema_is_used(document: dict[str, Any]) -> None:
    text = str(document)
    unused = [
        name
        for name in document["components"]["schemas"]
        if f"'#/components/schemas/{name}'" not in text
    ]
    assert unused == ["FlaskSmorestPaginationMetadata"]  # which smorest always adds


def test_the_page_to_read_it_asks_no_other_server(client: FlaskClient) -> None:
    page = client.get("/docs/").get_data(as_text=True)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for address in loaded:
        assert "//" not in address, address
        if not address.startswith("#"):
            with client.get(address) as file:
                assert file.status_code == 200, address
    configuration = page[page.index("var config") :] if "var config" in page else page
    assert '"validatorUrl": null' in configuration
    assert '"url": "/openapi.json"' in configuration
    assert not re.search(r"https?://(?!localhost)", configuration)
