"""The id of a request, and how its errors look."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from flask import has_request_context, request

from plugins.stream.problems import error_id

if TYPE_CHECKING:
    from core import AppError

CORRELATION_HEADER = "X-Correlation-ID"
EXAMPLE_ID = "5f0c6f0e-6f5e-4c1f-9a52-8f0e6d1f2b3a"
"""What stands in documents for the id of a request."""


def correlation_id() -> str:
    """Return the id of the current request: a UUID, on its answer and in every frame of its stream."""
    if not has_request_context():
        return EXAMPLE_ID
    value: str = request.environ.setdefault("subtext.correlation_id", str(uuid.uuid4()))
    return value


def render_error(error: AppError) -> dict[str, Any]:
    """Return the body of an error answer."""
    return {
        "error_id": error_id(error),
        "correlation_id": correlation_id(),
        "link": None,
        "message": error.message,
    }
