"""The core's own routes: tokens, the timeline of a session, health, metrics."""

from __future__ import annotations

import hmac
from typing import Any

import peewee
from flask import Response, request
from marshmallow import EXCLUDE, Schema, fields, validate
from playhouse.pool import MaxConnectionsExceeded

from core import clock
from core.blueprints import Blueprint
from core.errors import Unauthorized
from core.evidence import outbox_length
from core.fields import StrictInteger, StrictString
from core.health import overall, run_checks
from core.identity import caller, check_session_binding, demand, read_credentials, require
from core.metrics import CONTENT_TYPE
from core.openapi import KEY_SECURITY, SESSION_PARAMETER
from core.responses import json_response
from core.runtime import VERSION, current
from core.sessions import MAX_SESSION_ID_LENGTH, get_session
from core.timeline import MAX_ENTRIES, read_timeline
from core.tokens import DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, TOKEN_SCOPES, issue_token
from core.wire import JSON_TYPES


class TokenRequestSchema(Schema):
    """What a token is asked for; everything has a default."""

    class Meta:
        """Ignore what is not known."""

        unknown = EXCLUDE

    session_id = StrictString(
        allow_none=True,
        load_default=None,
        validate=validate.Length(1, MAX_SESSION_ID_LENGTH),
        metadata={"description": "The one session the token may write; none: any of the account."},
    )
    scope = StrictString(
        load_default="ingest",
        metadata={
            "description": "`ingest`, `stream`, or both separated by a space.",
            "pattern": "^(ingest|stream)( (ingest|stream))*$",
        },
    )
    ttl_seconds = StrictInteger(
        load_default=DEFAULT_TTL_SECONDS, metadata={"minimum": 1, "maximum": MAX_TTL_SECONDS}
    )


class TokenSchema(Schema):
    """A token that a browser may hold."""

    token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"enum": ["Bearer"]})
    scope = fields.String(required=True)
    expires_at = fields.String(required=True, metadata={"format": "date-time"})


class TimelineQuerySchema(Schema):
    """Where a page of the timeline begins and how long it is."""

    after = fields.Integer(
        load_default=0,
        validate=validate.Range(min=-(2**62), max=2**62),
        metadata={"description": "Microseconds UTC: `next_after` of the page before."},
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(min=1, max=MAX_ENTRIES))


class TimelineEntrySchema(Schema):
    """One thing that happened in a session."""

    at = fields.String(required=True, metadata={"format": "date-time"})
    source = fields.String(required=True, metadata={"description": "The plugin that knows it."})
    kind = fields.String(required=True)
    data = fields.Dict(required=True)


class TimelineSchema(Schema):
    """A page of what is known about a session."""

    session_id = fields.String(required=True)
    entries = fields.List(fields.Nested(TimelineEntrySchema), required=True)
    next_after = fields.Integer(required=True, allow_none=True)


class HealthSchema(Schema):
    """Whether the server works."""

    status = fields.String(required=True, metadata={"enum": ["ok", "degraded", "down"]})
    version = fields.String(required=True)


class CheckSchema(Schema):
    """One thing that must work."""

    name = fields.String(required=True)
    works = fields.Boolean(required=True)
    detail = fields.String(required=True)


class ReadinessSchema(HealthSchema):
    """Whether the server works, check by check."""

    checks = fields.List(fields.Nested(CheckSchema), required=True)


TOKEN_REQUEST = {"session_id": "sess_001", "scope": "ingest", "ttl_seconds": 3600}
TOKEN = {
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0ZW5hbnQiOiJhY21lIn0.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "scope": "ingest",
    "expires_at": "2026-03-16T11:14:32.000Z",
}
TIMELINE = {
    "session_id": "sess_001",
    "entries": [
        {
            "at": "2026-03-16T10:14:32.120Z",
            "source": "ingestion",
            "kind": "event",
            "data": {"eventType": "click", "targetSelector": "#checkout-btn"},
        }
    ],
    "next_after": None,
}


def _readiness(status: str, detail: str) -> dict[str, Any]:
    check = {"name": "database", "works": status == "ok", "detail": detail}
    return {"status": status, "version": VERSION, "checks": [check]}


def build_blueprints() -> list[Blueprint]:
    """Return the core's blueprints."""
    return [_token_routes(), _session_routes(), _operations()]


def _token_routes() -> Blueprint:
    routes = Blueprint(
        "core_tokens",
        __name__,
        description="Short-lived tokens for browsers.",
        security=KEY_SECURITY,
        media_types=JSON_TYPES | {""},
    )
    routes.before_request(require(None))

    @routes.route("/v1/tokens", methods=["POST"])
    @routes.arguments(TokenRequestSchema, required=False, example=TOKEN_REQUEST)
    @routes.response(201, TokenSchema, example=TOKEN)
    @routes.problem(400, "The body is no JSON, or the scope or the lifetime cannot be had.")
    @routes.problem(401)
    @routes.problem(403, "The key itself lacks the scope.")
    @routes.problem(413)
    @routes.problem(415)
    @routes.problem(422)
    @routes.problem(429)
    @routes.problem(503, "No secret is configured to sign with.")
    def create_token(arguments: dict[str, Any]) -> Response:
        """Issue a token for a browser; the key stays on the server."""
        for scope in arguments["scope"].split():
            if scope in TOKEN_SCOPES:
                demand(scope)
        check_session_binding(arguments["session_id"] or "")
        return json_response(issue_token(caller().tenant, **arguments), 201)

    return routes


def _session_routes() -> Blueprint:
    routes = Blueprint(
        "core_sessions",
        __name__,
        description="What is known about a session.",
        security=KEY_SECURITY,
    )
    routes.before_request(require("read"))

    @routes.route(
        "/v1/sessions/<path:session_id>/timeline", methods=["GET"], parameters=[SESSION_PARAMETER]
    )
    @routes.arguments(TimelineQuerySchema, location="query")
    @routes.response(200, TimelineSchema, example=TIMELINE)
    @routes.about_session("$response.body#/session_id")
    @routes.link(
        200,
        "get_timeline",
        session_id="$response.body#/session_id",
        after="$response.body#/next_after",
    )
    @routes.problem(401)
    @routes.problem(403)
    @routes.problem(404, "The account has no such session.")
    @routes.problem(422)
    @routes.problem(429)
    @routes.problem(503)
    def get_timeline(arguments: dict[str, Any], session_id: str) -> Response:
        """Return what all plugins know about a session, in the order in which it happened."""
        check_session_binding(session_id)
        session = get_session(caller().account_id, session_id)
        entries, next_after = read_timeline(session, **arguments)
        return json_response(
            {
                "session_id": session_id,
                "entries": [
                    {
                        "at": clock.isoformat(entry.at),
                        "source": entry.source,
                        "kind": entry.kind,
                        "data": entry.data,
                    }
                    for entry in entries
                ],
                "next_after": next_after,
            }
        )

    return routes


def _operations() -> Blueprint:
    routes = Blueprint(
        "core_operations", __name__, description="For operators and their monitors.", security=[]
    )

    @routes.route("/health", methods=["GET"])
    @routes.response(200, HealthSchema, example={"status": "ok", "version": VERSION})
    @routes.alt_response(
        503,
        schema=HealthSchema,
        description="The database cannot be written.",
        example={"status": "down", "version": VERSION},
    )
    def health() -> Response:
        """Say whether the server works: `ok`, `degraded` without queue or worker, `down` without database."""
        status = overall(run_checks())
        return json_response(
            {"status": status, "version": VERSION}, 503 if status == "down" else 200
        )

    @routes.route("/livez", methods=["GET"])
    @routes.response(200, HealthSchema, example={"status": "ok", "version": VERSION})
    def livez() -> Response:
        """Say that the process answers; asks nothing else."""
        return json_response({"status": "ok", "version": VERSION})

    @routes.route("/readyz", methods=["GET"])
    @routes.response(200, ReadinessSchema, example=_readiness("ok", "can be written"))
    @routes.alt_response(
        503,
        schema=ReadinessSchema,
        description="Requests cannot be served.",
        example=_readiness("down", "cannot be written"),
    )
    def readyz() -> Response:
        """Say check by check whether requests can be served."""
        checks = run_checks()
        status = overall(checks)
        body = {
            "status": status,
            "version": VERSION,
            "checks": [{"name": c.name, "works": c.works, "detail": c.detail} for c in checks],
        }
        return json_response(body, 503 if status == "down" else 200)

    @routes.route("/metrics", methods=["GET"])
    @routes.doc(security=[{"MetricsToken": []}, {}])
    @routes.response(200, content_type="text/plain", description="Prometheus text format.")
    @routes.problem(401, "`SUBTEXT_METRICS_TOKEN` is set and was not given.")
    def metrics() -> Response:
        """Return counters, durations and queue lengths; no account or session is in them."""
        runtime = current()
        wanted: str = runtime.settings["SUBTEXT_METRICS_TOKEN"]
        if wanted and not any(
            hmac.compare_digest(offered.encode(), wanted.encode())
            for offered in read_credentials(request)
        ):
            raise Unauthorized("Missing or invalid metrics token")
        text = runtime.metrics.render(
            runtime.jobs.queue_lengths(), runtime.jobs.totals(), _outbox()
        )
        return Response(text, content_type=CONTENT_TYPE)

    return routes


def _outbox() -> int | None:
    try:
        return outbox_length()
    except (peewee.PeeweeException, MaxConnectionsExceeded):
        return None  # the counters are wanted most when the database is away
