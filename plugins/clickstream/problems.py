"""Errors in the shape of the existing servers: `{"detail": …}`, a list of places on a 422."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import request

from core import AppError, Invalid, MalformedBody, json_response, request_body, request_json
from plugins.clickstream.wire import FIELD_REQUIRED, PROBLEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask import Response

MAX_PROBLEMS = 100
"""Faults told of one request."""

_LOCATIONS = {"json": "body", "query": "query"}


def render(error: AppError) -> dict[str, Any] | Response:
    """Give the error body of the clickstream API."""
    if isinstance(error, Invalid) and error.errors:
        return {"detail": list(_problems(error.errors))[:MAX_PROBLEMS]}
    if isinstance(error, MalformedBody):
        problem = _syntax_problem(error)
        if problem is not None:
            return json_response({"detail": [problem]}, 422)
    return {"detail": error.message}


def _syntax_problem(error: MalformedBody) -> dict[str, Any] | None:
    cause = error.__cause__
    if isinstance(cause, orjson.JSONDecodeError):
        return {
            "type": "json_invalid",
            "loc": ["body", cause.pos],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": cause.msg},
        }
    if cause is None and not _body().strip():
        return _problem(["body"], FIELD_REQUIRED, None)
    return None


def _body() -> bytes:
    try:
        return request_body()
    except AppError:  # the body itself was the fault
        return b"unread"


def _problems(errors: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for location, tree in errors.items():
        place = _LOCATIONS.get(location, location)
        sent = request_json() if place == "body" else request.args.to_dict()
        yield from _walk(tree, [place], sent)


def _walk(tree: Any, loc: list[str | int], value: Any) -> Iterator[dict[str, Any]]:
    """Walk marshmallow's messages and what was sent side by side."""
    if not isinstance(tree, dict):
        for message in tree if isinstance(tree, list) else [tree]:
            yield _problem(loc, str(message), value)
        return
    for key, below in tree.items():
        if key == "_schema":
            yield from _walk(below, loc, value)
        elif below == [FIELD_REQUIRED]:
            yield _problem([*loc, key], FIELD_REQUIRED, value)
        else:
            yield from _walk(below, [*loc, key], _part(value, key))


def _part(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def _problem(loc: list[str | int], message: str, value: Any) -> dict[str, Any]:
    kind = PROBLEM_TYPES.get(message, "value_error")
    if loc[0] == "query" and message == FIELD_REQUIRED:
        value = None
    return {"type": kind, "loc": loc, "msg": message, "input": _echo(value)}


def _echo(value: Any) -> Any:
    try:
        return orjson.Fragment(orjson.dumps(value))
    except TypeError:  # nested deeper than the writer goes
        return None
