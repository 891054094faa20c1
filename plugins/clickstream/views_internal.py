"""Batches of sessions for training: for administrators' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from core import (
    KEY_SECURITY,
    Blueprint,
    Outcome,
    caller,
    idempotency_key,
    once,
    raw_json_response,
    request_body,
    require,
)
from plugins.clickstream import batches, bodies, services, training
from plugins.clickstream.documentation import common_problems, json_body, null_answer
from plugins.clickstream.examples import BATCH, RELEASE, RELEASED, SESSION_REF
from plugins.clickstream.moments import MILLISECOND
from plugins.clickstream.problems import render
from plugins.clickstream.schemas import (
    BatchQuerySchema,
    BatchSessionsSchema,
    DetailSchema,
    ReleaseAnswerSchema,
    ReleaseSchema,
    SessionRefSchema,
)
from plugins.clickstream.streams import stream

if TYPE_CHECKING:
    from flask import Response


def build_internal_blueprint(name: str, prefix: str, media_types: frozenset[str]) -> Blueprint:
    """Build the routes of batches."""
    routes = Blueprint(
        name,
        __name__,
        url_prefix=prefix,
        description="Batches of search sessions for training.",
        render_error=render,
        error_schema=DetailSchema,
        security=KEY_SECURITY,
        media_types=media_types,
    )
    routes.before_request(require("admin"))

    @routes.route("/batch/release", methods=["POST"])
    @routes.doc(requestBody=json_body(ReleaseSchema, RELEASE))
    @routes.response(200, ReleaseAnswerSchema, example=RELEASED)
    @routes.link(200, f"{name}_get_batch_sessions", batch_id="$response.body#/batch_id")
    @routes.problem(404, example={"detail": "There is no collecting batch"})
    @common_problems(routes, body=True, once=True)
    def release_batch() -> Response:
        """Release the collecting batch; the same `release_id` gives the same batch again."""
        release_id = bodies.read_release_id()

        def act() -> Outcome:
            released = batches.release(caller().account_id, release_id)
            body = {
                "release_id": released.release_id,
                "batch_id": released.batch_id,
                "released_at": released.released_at // MILLISECOND,
            }
            return Outcome(200, orjson.dumps(body))

        outcome = once(
            caller().account_id, "clickstream.release", idempotency_key(), request_body(), act
        )
        return raw_json_response(outcome.body, outcome.status)

    @routes.route("/batch/sessions", methods=["GET"])
    @routes.arguments(BatchQuerySchema, location="query")
    @routes.response(200, BatchSessionsSchema, example=BATCH)
    @routes.link(
        200,
        f"{name}_get_batch_sessions",
        batch_id="$response.body#/batch_id",
        after_number="$response.body#/last_number",
    )
    @common_problems(routes)
    def get_batch_sessions(arguments: dict[str, Any]) -> Response:
        """Return sessions of a batch by `session_number`, strictly past `after_number`.

        An unknown batch has none. `last_number` is the number to go on from, null when there were no sessions.
        Irrelevant sessions are left out.
        """
        pieces = training.batch_sessions(caller().account_id, **arguments)
        return stream(pieces, "application/json")

    @routes.route("/session/use-for-improvement", methods=["POST"])
    @routes.doc(requestBody=json_body(SessionRefSchema, SESSION_REF))
    @null_answer(routes, "Marked")
    @routes.problem(404, example={"detail": "Session with id=sess-123 not found"})
    @common_problems(routes, body=True)
    def use_session_for_improvement() -> Response:
        """Choose a session for improvement; exports take `improvement=true`."""
        services.use_for_improvement(caller().account_id, bodies.read_session_id())
        return raw_json_response(b"null")

    return routes
