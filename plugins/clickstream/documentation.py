"""What the routes say of themselves in the OpenAPI document, where they say it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import IDEMPOTENCY_PARAMETER
from plugins.clickstream.examples import VALIDATION_PROBLEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from marshmallow import Schema

    from core import Blueprint


def null_answer(routes: Blueprint, description: str) -> Callable[[Any], Any]:
    """Document the answer of a route that has nothing to say."""
    return routes.response(
        200, {"type": "null"}, description=f"{description}: the JSON literal `null`."
    )


def json_body(schema: type[Schema], example: Any) -> dict[str, Any]:
    """Document a body that a view reads itself."""
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def common_problems(
    routes: Blueprint, *, body: bool = False, once: bool = False, erased: bool = False
) -> Callable[[Any], Any]:
    """Document the errors that routes have in common.

    Those of a `body`, of a request that is done `once` by its key, and of a session that was `erased`.
    """

    def decorate(view: Any) -> Any:
        if body:
            view = routes.problem(
                400,
                "The body ended before its time or is no gzip, the `Idempotency-Key` cannot be one, or a"
                " timestamp lies outside of the configured window.",
                example={"detail": "Invalid utc timestamp: 1701012345678"},
            )(view)
        if once:
            view = routes.doc(parameters=[IDEMPOTENCY_PARAMETER])(view)
        if erased:
            view = routes.problem(410, "The session was erased.")(view)
        if body:
            view = routes.problem(413)(view)
            view = routes.problem(415)(view)
        view = routes.problem(401)(view)
        view = routes.problem(403)(view)
        view = routes.problem(422, "The request breaks the contract.", example=VALIDATION_PROBLEM)(
            view
        )
        view = routes.problem(429)(view)
        return routes.problem(503)(view)

    return decorate
