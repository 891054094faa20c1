"""What the OpenAPI document promises holds for requests that nobody thought of.

schemathesis makes requests from the document, good ones and broken ones, and compares the answers with it. Here the
run is short and the same every time. The long one, on both databases:

    FUZZ_EXAMPLES=2000 pytest tests/openapi/test_fuzz.py
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core import accounts
from core.testing import BOTH, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from core.testing import MakeApp, MakeCaller

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
#: Requests for each operation and kind of data in the short run.
SHORT = 10
#: SQLite alone in the short run: what a request may be is decided before the database is asked.
STORAGES = BOTH if EXAMPLES else BOTH[:1]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: A batch whose every item is wrong is read and answered item by item: its contract says so.
ITEM_BY_ITEM = "/api/data/"


def credentials(app: Flask, make_caller: MakeCaller, path: str) -> dict[str, str]:
    caller = make_caller(app, *accounts.SCOPES, plan="pro")
    return bearer(app, caller.tenant) if path.startswith(ITEM_BY_ITEM) else caller.headers


def operations(document: Any) -> Iterator[Any]:
    """Return every operation; one that schemathesis cannot read fails the test."""
    for found in document.get_all_operations():
        yield found.ok()


def fuzz(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> int:
    """Send requests of one kind for one operation, check the answers, and return how many were sent."""
    checks = list(CHECKS)
    if mode is GenerationMode.NEGATIVE and headers and not operation.path.startswith(ITEM_BY_ITEM):
        checks.append(negative_data_rejection)
    sent = 0

    @settings(
        max_examples=EXAMPLES or SHORT,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal sent
        sent += 1
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=checks, headers=headers)
        assert answer.headers["x-request-id"], "every answer can be named"

    send()
    return sent


@pytest.mark.parametrize("storage", STORAGES, indirect=True)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_as_documented_whatever_is_sent(
    make_app: MakeApp, make_caller: MakeCaller, mode: GenerationMode
) -> None:
    app = make_app()
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    sent = 0
    for operation in operations(document):
        if mode is GenerationMode.NEGATIVE and not _takes_anything(operation):
            continue
        sent += fuzz(operation, mode, credentials(app, make_caller, operation.path))
    assert sent > (EXAMPLES or SHORT) * 15


def test_strangers_get_documented_answers_too(make_app: MakeApp) -> None:
    app = make_app(SUBTEXT_CLICKSTREAM_ANONYMOUS=True)
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    for operation in operations(document):
        fuzz(operation, GenerationMode.POSITIVE, {})


def _takes_anything(operation: Any) -> bool:
    return bool(operation.body) or any(
        len(each) for each in (operation.query, operation.path_parameters, operation.headers)
    )
