"""The id of a request, and how its errors look."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from flask import g

from core import AppError, json_response
from plugins.stream.problems import error_id

if TYPE_CHECKING:
    from flask import Response

CORRELATION_HEADER = "X-Correlation-ID"


def correlation_id() -> str:
    """Return the id of the current request: a UUID, on its answer and in every frame of its stream."""
    if "correlation_id" not in g:
        g.correlation_id = str(uuid.uuid4())
    value: str = g.correlation_id
    return value


def describe_error(error: AppError) -> dict[str, Any]:
    """Return the body of an error answer."""
    return {
        "error_id": error_id(error),
        "correlation_id": correlation_id(),
        "link": None,
        "message": error.message,
    }


def render_error(error: AppError) -> Response:
    """Return the answer that a request gets for an error."""
    headers = {**error.headers, CORRELATION_HEADER: correlation_id()}
    return json_response(describe_error(error), error.status, headers)
