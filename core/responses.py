"""JSON answers, written by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return raw_json_response(orjson.dumps(body), status, headers)


def raw_json_response(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a JSON response from bytes that are JSON already."""
    return Response(body, status, headers, mimetype="application/json")


class OrjsonProvider(JSONProvider):
    """Write and read JSON with orjson in Flask's own answers too."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return JSON text."""
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Return the value of JSON text."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return an application/json response."""
        return json_response(self._prepare_response_obj(args, kwargs))
