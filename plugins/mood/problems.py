"""What can be wrong with a request to the mood API, and how that looks in its answers."""

from __future__ import annotations

from typing import Any

from core import (
    AppError,
    BadRequest,
    Forbidden,
    IdempotencyMismatch,
    Invalid,
    MalformedBody,
    MethodNotAllowed,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    request_id,
)


class MissingField(BadRequest):
    """A required field is not there; `field` is its path."""

    default_message = "Missing required field"

    def __init__(self, field: str) -> None:
        super().__init__(field=field)


class InvalidValue(BadRequest):
    """A field has a value that cannot be taken; `field` is its path, `reason` says why."""

    default_message = "Invalid value"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field)
        self.extra["message"] = reason


class UnknownEventTypes(BadRequest):
    """Some events are of types that do not exist."""

    default_message = "Invalid event type(s)"


class CustomerNameRequired(BadRequest):
    """A key must belong to somebody."""

    default_message = "customer_name is required"


class UnknownPlan(BadRequest):
    """The plan asked for does not exist."""

    default_message = "Invalid plan"


class QuotaExceeded(RateLimited):
    """The account has used up the sessions of its plan in this calendar month."""


_TITLES: dict[type[AppError], str] = {
    Unauthorized: "Unauthorized",
    Forbidden: "Forbidden",
    MalformedBody: "Invalid JSON",
    Invalid: "Invalid value",
    IdempotencyMismatch: "Idempotency-Key mismatch",
    MethodNotAllowed: "Method not allowed",
    PayloadTooLarge: "Payload too large",
    UnsupportedMediaType: "Unsupported media type",
    Unavailable: "Service unavailable",
}
"""Short names of errors that are not this API's own; their sentence goes into `message`."""

SERVER_ERROR = 500


def render_error(error: AppError) -> dict[str, Any]:
    """Return the body of an error answer: `error`, then what the situation adds."""
    if error.status == SERVER_ERROR:
        return {"error": "Internal Server Error", "request_id": request_id()}
    title = _TITLES.get(type(error))
    if title is None:
        return {"error": error.message, **error.extra}
    body = {"error": title, "message": error.message, **error.extra}
    if error.status > SERVER_ERROR:
        body["request_id"] = request_id()
    return body
