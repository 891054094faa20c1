"""Whatever a body is made of, it is answered as the document says, and costs its caps at most."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from core import accounts
from core.testing import BOTH, bearer, drain
from tests.hostile.bodies import VALUES, Hostile, hostile, replaced
from tests.openapi.test_document import faults, operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from core.testing import MakeApp, MakeCaller

#: Every how many values in every how many places are tried in the short run.
SPARSE = 7


class Api:
    """Call operations that take JSON, and judge the answers by the document."""

    def __init__(self, app: Flask, make_caller: MakeCaller) -> None:
        self.app = app
        self.client = app.test_client()
        self.document: dict[str, Any] = self.client.get("/openapi.json").get_json()
        caller = make_caller(app, *accounts.SCOPES, plan="pro")
        self.key, self.token = caller.headers, bearer(app, caller.tenant)

    def takers(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield method, address and operation of all that takes a JSON body."""
        for path, method, operation in operations(self.document):
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                yield method.upper(), path, operation

    def send(self, method: str, path: str, operation: dict[str, Any], each: Hostile) -> str | None:
        """Return what is wrong with the answer to a body, None when it is as it should be."""
        answer = self.client.open(
            path.replace("{session_id}", "s"),
            method=method,
            data=each.body,
            headers={
                "Content-Type": "application/json",
                **(self.token if path.startswith("/api/data/") else self.key),
                **each.headers,
            },
        )
        status = str(answer.status_code)
        if answer.status_code not in each.statuses or status not in operation["responses"]:
            return f"{method} {path}: {each.name}: {status} {answer.get_data(as_text=True)[:300]}"
        content = operation["responses"][status].get("content", {})
        if "application/json" not in content or not answer.is_json:
            return f"{method} {path}: {each.name}: {answer.content_type}"
        found = faults(self.document, content["application/json"]["schema"], answer.get_json())
        return f"{method} {path}: {each.name}: {found}" if found else None


def example(operation: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["example"]
    return shown


@pytest.fixture
def api(make_app: MakeApp, make_caller: MakeCaller) -> Api:
    return Api(make_app(), make_caller)


def test_each_api_answers_each_hostile_body_in_its_own_shape(api: Api) -> None:
    wrong = [
        complaint
        for method, path, operation in api.takers()
        for each in hostile(example(operation))
        if (complaint := api.send(method, path, operation, each))
    ]
    assert not wrong, "\n".join(wrong)


ANY = frozenset({200, 201, 400, 404, 410, 413, 422})


def values(api: Api, every: int) -> list[str]:
    wrong = []
    turn = count()
    for method, path, operation in api.takers():
        for value in VALUES:
            for body in replaced(example(operation), value):
                if next(turn) % every:
                    continue
                each = Hostile(value[:40], body, ANY)
                if complaint := api.send(method, path, operation, each):
                    wrong.append(f"{complaint} {body[:1000]!r}")
    return wrong


@pytest.mark.parametrize("storage", BOTH, indirect=True)
@pytest.mark.parametrize("every", [SPARSE, pytest.param(1, marks=pytest.mark.soak)])
def test_values_that_nobody_expects_are_refused_or_stored_and_told_on(api: Api, every: int) -> None:
    wrong = values(api, every)
    assert not wrong, "\n".join(wrong)
    while drain(api.app):
        pass
    for path in ("/v1/sessions/s/mood", "/v1/sessions/s/timeline", "/v1/analytics/moods"):
        assert api.client.get(path, headers=api.key).status_code in {200, 404}, path
