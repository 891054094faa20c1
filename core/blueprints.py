"""Blueprints that speak one API's dialect: how it reads bodies, how its errors look, what it asks of callers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import flask_smorest
from flask import current_app, g, request
from flask_smorest.utils import deepupdate
from marshmallow import EXCLUDE, Schema, fields
from webargs import missing
from webargs.flaskparser import FlaskParser

from core.database import release_connection
from core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SessionErased,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from core.links import SESSION_MARK, link_to
from core.wire import (
    DEFAULT_LIMITS,
    JSON_TYPES,
    BodyLimits,
    check_media_type,
    parse_json,
    read_body,
)

ErrorRenderer = Callable[[AppError], Any]
#: The plain error of each status that is the client's fault.
_CLIENT_ERRORS: dict[int, type[AppError]] = {
    error.status: error
    for error in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        SessionErased,
        PayloadTooLarge,
        UnsupportedMediaType,
        Invalid,
        RateLimited,
    )
}
View = TypeVar("View", bound=Callable[..., Any])
#: Large bodies (`core.wire.LARGE_BYTES`) are worked on one after another in each process: a few of them at once would
#: take a hundred times the memory that they took on the wire.
_turn = threading.Semaphore()
#: Seconds that one waits for its turn.
TURN_SECONDS = 5.0


class PlainErrorSchema(Schema):
    """The error body of the core's own routes."""

    error = fields.String(required=True, metadata={"description": "What is wrong, for a person."})
    errors = fields.Dict(metadata={"description": "What is wrong, place by place."})
    session_id = fields.String(metadata={"description": "The session that was asked for."})
    request_id = fields.String(metadata={"description": "What to name when asking for help."})


def render_plain_error(error: AppError) -> dict[str, Any]:
    """Return the error body of routes that have no shape of their own."""
    body: dict[str, Any] = {"error": error.message, **error.extra}
    if isinstance(error, Invalid) and error.errors:
        body["errors"] = error.errors
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        body["request_id"] = g.get("request_id")
    return body


class JsonParser(FlaskParser):
    """Read bodies through `core.wire` and raise the core's errors, so that a schema's faults look like any other."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 (webargs declares it so)
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": EXCLUDE,
        "query": EXCLUDE,
    }

    def load_json(self, req: Any, schema: Any) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the body's JSON value; a request with neither body nor type says nothing, where that is taken."""
        if not request_body() and not request.content_type:
            return missing
        return request_json()

    def handle_error(self, error: Any, *_: Any, **__: Any) -> Any:
        """Raise Invalid with marshmallow's messages, keyed by location."""
        raise Invalid(errors=error.messages) from error


class Blueprint(flask_smorest.Blueprint):
    """Group the routes of one API.

    `render_error` turns an AppError into the body of this API's error answers, and `error_schema` documents that
    body. `security` are the OpenAPI security requirements of its routes. `media_types` and `body_limits` say which
    bodies are read and how long they may be.
    """

    ARGUMENTS_PARSER = JsonParser()

    def __init__(  # noqa: PLR0913 (all but the name by keyword)
        self,
        name: str,
        import_name: str,
        *,
        render_error: ErrorRenderer = render_plain_error,
        error_schema: type[Schema] = PlainErrorSchema,
        security: list[dict[str, list[str]]] | None = None,
        media_types: frozenset[str] | None = JSON_TYPES,
        body_limits: BodyLimits = DEFAULT_LIMITS,
        **options: Any,
    ) -> None:
        super().__init__(name, import_name, **options)
        self.render_error = render_error
        self.error_schema = error_schema
        self.security = security
        self.media_types = media_types
        self.body_limits = body_limits
        self._prepare_doc_cbks.append(self._prepare_security_doc)

    def add_url_rule(self, rule: str, *names: Any, **options: Any) -> None:
        """Serve a view at an address; its name in the document is the blueprint's and its own."""
        super().add_url_rule(rule, *names, **options)
        endpoint = self._endpoints[-1]
        methods = self._docs[endpoint].keys() - {"parameters"}
        owner = "" if self.name.startswith("core_") else f"{self.name}_"
        for method in methods:
            verb = f"_{method}" if len(methods) > 1 else ""
            documented = self._docs[endpoint][method].setdefault("manual_doc", {})
            documented.setdefault("operationId", f"{owner}{endpoint}{verb}")

    # The next five are smorest's own, with types.

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Serve a view at an address; options as of `flask_smorest.Blueprint.route`."""
        decorate: Callable[[View], View] = super().route(rule, **options)
        return decorate

    def arguments(self, schema: Any, **options: Any) -> Callable[[View], View]:
        """Parse and document what a view takes; faults are raised as Invalid."""
        decorate: Callable[[View], View] = super().arguments(schema, **options)
        return decorate

    def response(
        self, status_code: int, schema: Any = None, **options: Any
    ) -> Callable[[View], View]:
        """Document what a view answers."""
        decorate: Callable[[View], View] = super().response(status_code, schema, **options)
        return decorate

    def alt_response(self, status_code: int, **options: Any) -> Callable[[View], View]:
        """Document another answer of a view, which is not wrapped for it: that would cost every request a call."""
        document = super().alt_response(status_code, **options)

        def decorate(view: View) -> View:
            found = document(lambda: None)._apidoc  # noqa: SLF001 (where smorest keeps what it documents)
            documented = vars(view).setdefault("_apidoc", {})
            responses = documented.setdefault("response", {}).setdefault("responses", {})
            for status, answers in found["response"]["responses"].items():
                responses.setdefault(status, []).extend(answers)
            documented.setdefault("success_status_codes", []).extend(
                found.get("success_status_codes", [])
            )
            return view

        return decorate

    def doc(self, **options: Any) -> Callable[[View], View]:
        """Document anything else of a view, in OpenAPI's own words; the view is not wrapped for it either."""

        def decorate(view: View) -> View:
            documented = vars(view).setdefault("_apidoc", {})
            deepupdate(documented.setdefault("manual_doc", {}), options)
            return view

        return decorate

    def problem(
        self,
        status: int,
        description: str = "",
        *,
        example: Any = None,
        schema: type[Schema] | None = None,
    ) -> Callable[[View], View]:
        """Document one error answer of a view, in this API's shape.

        Without an example it is what the plain error of that status looks like, up to 499.
        """
        if example is None and status in _CLIENT_ERRORS:
            example = self.render_error(_CLIENT_ERRORS[status]())
        options: dict[str, Any] = {} if example is None else {"example": example}
        return self.alt_response(
            status,
            schema=schema or self.error_schema,
            description=description or HTTPStatus(status).phrase,
            success=False,
            **options,
        )

    def link(
        self, status: int, operation: str, *, body: Any = None, **parameters: str
    ) -> Callable[[View], View]:
        """Document that an answer leads to another operation, by its id.

        `parameters` and `body` say in runtime expressions (OpenAPI 3.1.1, 4.8.20.4) what of the request or the answer
        goes into it. Answers about a session are linked with all that takes one by `about_session`.
        """
        link = link_to(operation, parameters, body)
        return self.doc(responses={status: {"links": {operation: link}}})

    def about_session(self, expression: str, status: int = 200) -> Callable[[View], View]:
        """Document where an answer, or its request, has the id of a session that is now known.

        It leads to every operation of every plugin that takes a `session_id` in its path or query.
        """
        return self.doc(**{SESSION_MARK: (status, expression)})

    def _prepare_security_doc(self, doc: dict[str, Any], _info: Any, **_: Any) -> dict[str, Any]:
        if self.security is not None:
            doc["security"] = self.security
        return doc


def request_body() -> bytes:
    """Return the body of the request, inflated and within the caps of the blueprint that was called.

    Raises UnsupportedMediaType, PayloadTooLarge, MalformedBody. Reading twice gives the same bytes.
    """
    if "body" not in g:
        blueprint = _called_blueprint()
        check_media_type(request.headers.get("Content-Type", ""), blueprint.media_types)
        # Nobody's way of sending keeps a connection from the others.
        release_connection()
        g.body = read_body(
            request.stream,
            dict(request.headers),
            blueprint.body_limits,
            before_large=_wait_for_turn,
        )
    body: bytes = g.body
    return body


def _wait_for_turn() -> None:
    if not _turn.acquire(timeout=TURN_SECONDS):
        raise Unavailable("Too many large bodies at once, try again")
    g.has_turn = True


def end_turn() -> None:
    """Let the next large body in, when the request that ends had one."""
    if g.pop("has_turn", False):
        _turn.release()


def request_json() -> Any:
    """Return the JSON value of the request's body; raises as `request_body` does."""
    return parse_json(request_body())


def idempotency_key() -> str | None:
    """Return the request's Idempotency-Key, or None."""
    return request.headers.get("Idempotency-Key")


def _called_blueprint() -> Blueprint:
    blueprint = current_app.blueprints[request.blueprint or ""]
    assert isinstance(blueprint, Blueprint)  # noqa: S101 (typing only: nothing else reads bodies)
    return blueprint
