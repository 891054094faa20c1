"""The routes of the document, at the bare paths and below `/api/v1/clickstream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import flask
from flask import Response, request

from core import (
    OPTIONAL_KEY_SECURITY,
    Blueprint,
    Outcome,
    caller,
    find_session,
    idempotency_key,
    json_response,
    once,
    raw_json_response,
    request_body,
    require,
)
from plugins.clickstream import bodies, services
from plugins.clickstream.documentation import common_problems, json_body, null_answer
from plugins.clickstream.examples import CREATE, EVENTS, SESSION, SESSION_REF
from plugins.clickstream.problems import render
from plugins.clickstream.schemas import (
    DetailSchema,
    EventsPushSchema,
    SessionAnswerSchema,
    SessionCreateSchema,
    SessionQuerySchema,
    SessionRefSchema,
)
from plugins.clickstream.views_internal import build_internal_blueprint
from plugins.clickstream.views_search import build_search_blueprint

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/api/v1/clickstream"
"""Where existing clients call."""

MEDIA_TYPES = frozenset({"application/json", ""})
"""The existing servers read a body without a type as JSON too."""

NULL = b"null"

SESSION_SENT = "$request.body#/session_id"
"""Where the session's id is: the answers have nothing in them."""


def build_blueprints() -> list[flask.Blueprint]:
    """Build the plugin's blueprints anew, so that each app has its own."""
    return [
        _client_blueprint("clickstream", ""),
        _client_blueprint("clickstream_v1", PREFIX),
        build_internal_blueprint("clickstream_internal", f"{PREFIX}/internal", MEDIA_TYPES),
        build_search_blueprint("clickstream_search", "/v1/search"),
        _redirects(),
    ]


def _client_blueprint(name: str, prefix: str) -> Blueprint:
    routes = Blueprint(
        name,
        __name__,
        url_prefix=prefix or None,
        description="Search sessions and what was clicked in them.",
        render_error=render,
        error_schema=DetailSchema,
        security=OPTIONAL_KEY_SECURITY,
        media_types=MEDIA_TYPES,
    )
    routes.before_request(require("clickstream", anonymous_setting="SUBTEXT_CLICKSTREAM_ANONYMOUS"))

    @routes.route("/session", methods=["POST"])
    @routes.doc(requestBody=json_body(SessionCreateSchema, CREATE))
    @null_answer(routes, "Stored, or known already")
    @routes.about_session(SESSION_SENT)
    @routes.link(200, f"{name}_push_events", body={"session_id": SESSION_SENT})
    @routes.link(200, f"{name}_mark_session_irrelevant", body={"session_id": SESSION_SENT})
    @common_problems(routes, body=True, once=True, erased=True)
    def create_session() -> Response:
        """Store a search and what was shown for it; repeated, the first body stays."""
        body = bodies.read_search()

        def act() -> Outcome:
            session, _ = services.create_search(caller().account_id, body())
            return Outcome(200, NULL, session.key)

        return _once("clickstream.create", act)

    @routes.route("/session", methods=["GET"])
    @routes.arguments(SessionQuerySchema, location="query")
    @routes.response(200, SessionAnswerSchema, example=SESSION)
    @routes.problem(404, example={"detail": "Session with id=sess-123 not found"})
    @common_problems(routes)
    def get_session(arguments: dict[str, Any]) -> Response:
        """Return a session with its events in the order they were stored, up to 10,000.

        With more of them the `Link` header has the address of the next page (`rel="next"`, RFC 8288).
        """
        body, last = services.read_session(caller().account_id, **arguments)
        headers = {}
        if last is not None:
            query = urlencode({"session_id": arguments["session_id"], "events_after": last})
            headers["Link"] = f'<{request.path}?{query}>; rel="next"'
        return json_response(body, headers=headers)

    @routes.route("/session/events", methods=["POST"])
    @routes.doc(requestBody=json_body(EventsPushSchema, EVENTS))
    @null_answer(routes, "Stored, repeats skipped")
    @routes.about_session(SESSION_SENT)
    @routes.problem(404, "The session is unknown, and `SUBTEXT_CLICKSTREAM_STRICT` is on.")
    @common_problems(routes, body=True, once=True, erased=True)
    def push_events() -> Response:
        """Store events of a session; an event is unique by its id within the session.

        Events that come before their session wait for it for a day.
        """
        session_id, events = bodies.read_events()

        def act() -> Outcome:
            account_id = caller().account_id
            services.push_events(account_id, session_id, events())
            session = find_session(account_id, session_id)
            # So that the answer is erased with the session.
            return Outcome(200, NULL, session.key if session is not None else None)

        return _once("clickstream.push", act)

    @routes.route("/session/irrelevant", methods=["POST"])
    @routes.doc(requestBody=json_body(SessionRefSchema, SESSION_REF))
    @null_answer(routes, "Marked")
    @routes.problem(404, example={"detail": "Session with id=sess-123 not found"})
    @common_problems(routes, body=True)
    def mark_session_irrelevant() -> Response:
        """Take a session out of all metrics, exports and batches."""
        services.mark_irrelevant(caller().account_id, bodies.read_session_id())
        return raw_json_response(NULL)

    return routes


def _once(operation: str, act: Callable[[], Outcome]) -> Response:
    outcome = once(caller().account_id, operation, idempotency_key(), request_body(), act)
    return raw_json_response(outcome.body, outcome.status)


def _redirects() -> flask.Blueprint:
    """Send a trailing slash on with 307, so that method and body survive."""
    routes = flask.Blueprint("clickstream_redirects", __name__)

    def redirect() -> Response:
        query = request.query_string.decode("latin-1")
        target = request.root_path + request.path.rstrip("/")
        return Response(status=307, headers={"Location": f"{target}?{query}" if query else target})

    for prefix in ("", PREFIX):
        for path, methods in _SLASHED:
            routes.add_url_rule(
                f"{prefix}{path}/", view_func=redirect, methods=methods, endpoint=f"r{prefix}{path}"
            )
    for path, methods in _SLASHED_INTERNAL:
        routes.add_url_rule(
            f"{PREFIX}/internal{path}/", view_func=redirect, methods=methods, endpoint=f"i{path}"
        )
    return routes


_SLASHED = (
    ("/session", ["GET", "POST"]),
    ("/session/events", ["POST"]),
    ("/session/irrelevant", ["POST"]),
)
_SLASHED_INTERNAL = (
    ("/batch/release", ["POST"]),
    ("/batch/sessions", ["GET"]),
    ("/session/use-for-improvement", ["POST"]),
)
