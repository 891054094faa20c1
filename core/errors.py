"""The one family of errors.

Code below the views raises what happened, as one of these; `core.web` maps it to an answer once, in the
shape of the API that was called (see `core.web.Blueprint`). Nothing else turns an error into a response.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AppError(Exception):
    """Base of everything that a caller may be told.

    `status` is an HTTP status (RFC 9110), `message` a sentence a person can act on; it names what is wrong and
    never carries a secret or a stored value. `extra` holds fields that one API's error body wants.
    `headers` go on the answer, for example `Retry-After`.
    """

    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Internal server error"

    def __init__(
        self, message: str | None = None, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.headers = headers or {}
        self.extra = extra


class MalformedBody(AppError):
    """The body is not what its content type says (RFC 9110, 400)."""

    status = 400
    default_message = "The body is not valid JSON"


class Invalid(AppError):
    """The body was read, and its content breaks the contract.

    `errors` is marshmallow's message tree: field name or list index to a list of messages or a further tree.
    """

    status = 422
    default_message = "The request is not valid"

    def __init__(
        self,
        message: str | None = None,
        *,
        errors: Any = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message, headers=headers, **extra)
        self.errors = errors if errors is not None else {}


class BadRequest(AppError):
    """The request cannot be taken as it is."""

    status = 400
    default_message = "Bad request"


class Unauthorized(AppError):
    """No credential, or one that does not hold (RFC 6750)."""

    status = 401
    default_message = "Missing or invalid credential"

    def __init__(
        self,
        message: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        missing: bool = False,
        **extra: Any,
    ) -> None:
        super().__init__(
            message, headers={"WWW-Authenticate": "Bearer", **(headers or {})}, **extra
        )
        self.missing = missing


class Forbidden(AppError):
    """The credential holds, but not for this."""

    status = 403
    default_message = "The credential does not allow this"


class NotFound(AppError):
    """There is no such thing for this account."""

    status = 404
    default_message = "Not found"


class MethodNotAllowed(AppError):
    """The address exists, the method does not."""

    status = 405
    default_message = "Method not allowed"


class Conflict(AppError):
    """The request contradicts what is stored."""

    status = 409
    default_message = "Conflict"


class SessionErased(AppError):
    """The session was erased, and late data does not bring it back (410) while the tombstone stands."""

    status = 410
    default_message = "Session was erased"


class PayloadTooLarge(AppError):
    """The body is over its cap, on the wire or inflated."""

    status = 413
    default_message = "The body is too large"


class UnsupportedMediaType(AppError):
    """The content type or encoding is not one that this address reads."""

    status = 415
    default_message = "The content type must be application/json"


class IdempotencyMismatch(AppError):
    """The same Idempotency-Key came with another body (draft-ietf-httpapi-idempotency-key-header)."""

    status = 422
    default_message = "Idempotency-Key was used with a different request"


class RateLimited(AppError):
    """Too many requests (RFC 6585); `Retry-After` says when to come back."""

    status = 429
    default_message = "Rate limit exceeded"


class Unavailable(AppError):
    """Something that this request needs is away; nothing was acknowledged."""

    status = 503
    default_message = "Temporarily unavailable, try again"

    def __init__(
        self, message: str | None = None, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(message, headers={"Retry-After": "1", **(headers or {})}, **extra)


class ConfigurationError(Exception):
    """The app cannot start as it is configured; the message names the setting or the plugin."""
