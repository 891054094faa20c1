"""The routes of the mood API: parse, one service call, respond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from core import (
    IDEMPOTENCY_PARAMETER,
    KEY_SECURITY,
    MAX_SESSION_ID_LENGTH,
    SESSION_PARAMETER,
    Blueprint,
    Forbidden,
    Invalid,
    Outcome,
    caller,
    check_session_id,
    erase_session,
    idempotency_key,
    json_response,
    limit_by_address,
    once,
    raw_json_response,
    request_body,
    request_json,
    require,
    setting,
)
from plugins.mood import examples, outcomes, schemas, services
from plugins.mood.account_settings import change_settings, describe_settings
from plugins.mood.problems import CustomerNameRequired, InvalidValue, UnknownPlan, render_error
from plugins.mood.quota import DEFAULT_PLAN, PLAN_LIMITS
from plugins.mood.schemas import load, read_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

UNAUTHORIZED = "Missing or invalid API key"
SESSION_PATH = "/v1/sessions/<path:session_id>"


def build_blueprints() -> list[Blueprint]:
    """Return the plugin's blueprints: what needs a key, and where a key comes from."""
    routes = Blueprint(
        "mood",
        __name__,
        description="The mood of a session, from what the visitor does.",
        render_error=render_error,
        error_schema=schemas.ProblemSchema,
        security=KEY_SECURITY,
    )
    routes.before_request(require("mood", message=UNAUTHORIZED))
    for add in (_add_session_routes, _add_analytics_routes, _add_settings_routes):
        add(routes)
    return [routes, _key_routes()]


def _add_session_routes(routes: Blueprint) -> None:
    @routes.route(f"{SESSION_PATH}/events", methods=["POST"], parameters=[SESSION_PARAMETER])
    @routes.doc(
        requestBody=_body(schemas.EventsSchema, examples.EVENTS), parameters=[IDEMPOTENCY_PARAMETER]
    )
    @routes.response(200, schemas.ReceiptSchema, example=examples.RECEIPT)
    @routes.about_session("$response.body#/session_id")
    @routes.problem(400, "One event is wrong: none is stored.", example=examples.UNKNOWN_TYPE)
    @_common_problems(routes)
    @_body_problems(routes)
    @routes.problem(410, "The session was erased.", example=examples.ERASED)
    @routes.problem(
        422, "Idempotency-Key was used with another body.", example=examples.KEY_MISMATCH
    )
    def post_events(session_id: str) -> Response:
        """Store behavioural events and return the mood that follows from them."""
        events = read_events(request_json())
        _check(session_id)
        identity = caller()

        def act() -> Outcome:
            receipt = services.record_events(identity.account_id, identity.plan, session_id, events)
            body = {
                "session_id": session_id,
                "events_stored": receipt.stored,
                "total_events": receipt.total,
                "current_mood": receipt.mood,
            }
            return Outcome(200, orjson.dumps(body), receipt.session.key)

        return _once(f"mood.events:{session_id}", act)

    @routes.route(f"{SESSION_PATH}/mood", methods=["GET"], parameters=[SESSION_PARAMETER])
    @routes.response(200, schemas.MoodSchema, example=examples.MOOD)
    @routes.about_session("$response.body#/session_id")
    @routes.problem(404, "Nothing is known of the session.", example=examples.NOT_FOUND)
    @_common_problems(routes)
    def get_mood(session_id: str) -> Response:
        """Return the mood of a session, why it was inferred, and what to do."""
        return json_response(services.read_mood(caller().account_id, session_id))

    @routes.route(f"{SESSION_PATH}/feedback", methods=["POST"], parameters=[SESSION_PARAMETER])
    @routes.doc(
        requestBody=_body(schemas.FeedbackSchema, examples.FEEDBACK),
        parameters=[IDEMPOTENCY_PARAMETER],
    )
    @routes.response(200, schemas.FeedbackReceiptSchema, example=examples.FEEDBACK_RECEIPT)
    @routes.about_session("$response.body#/session_id")
    @routes.problem(400, example=examples.MISSING_ACTION)
    @routes.problem(404, "Nothing is known of the session.", example=examples.NOT_FOUND)
    @_common_problems(routes)
    @_body_problems(routes)
    @routes.problem(
        422, "Idempotency-Key was used with another body.", example=examples.KEY_MISMATCH
    )
    def post_feedback(session_id: str) -> Response:
        """Record what came of an action that the mood triggered."""
        feedback = load(schemas.FeedbackSchema(), request_json())
        account_id = caller().account_id

        def act() -> Outcome:
            session = outcomes.give_feedback(
                account_id,
                session_id,
                action=feedback["action_taken"],
                helpful=feedback.get("was_helpful"),
                notes=feedback.get("notes"),
            )
            body = {"session_id": session_id, "feedback_recorded": True}
            return Outcome(200, orjson.dumps(body), session.key)

        return _once(f"mood.feedback:{session_id}", act)

    @routes.route(SESSION_PATH, methods=["DELETE"], parameters=[SESSION_PARAMETER])
    @routes.response(200, schemas.DeletionSchema, example=examples.DELETION)
    @routes.problem(404, "Nothing is known of the session.", example=examples.NOT_FOUND)
    @_common_problems(routes)
    def delete_session(session_id: str) -> Response:
        """Erase a session in every plugin, for good."""
        erase_session(caller().account_id, session_id)
        return json_response({**examples.DELETION, "session_id": session_id})


def _add_analytics_routes(routes: Blueprint) -> None:
    @routes.route("/v1/analytics/moods", methods=["GET"])
    @routes.response(200, schemas.MoodAnalyticsSchema, example=examples.ANALYTICS)
    @_common_problems(routes)
    def get_moods() -> Response:
        """Return how many of the account's sessions are in each mood."""
        return json_response(services.read_analytics(caller().account_id))

    @routes.route("/v1/analytics/interventions", methods=["GET"])
    @routes.response(200, schemas.InterventionsSchema, example=examples.INTERVENTIONS)
    @_common_problems(routes)
    def get_interventions() -> Response:
        """Return how often each action helped in each mood, with a 95 % interval."""
        found = outcomes.read_interventions(caller().account_id)
        return json_response({"interventions": found})


def _add_settings_routes(routes: Blueprint) -> None:
    @routes.route("/v1/mood/settings", methods=["GET"])
    @routes.response(200, schemas.SettingsSchema, example=examples.SETTINGS)
    @_common_problems(routes)
    def get_settings() -> Response:
        """Return the thresholds and weights that hold for the account."""
        return json_response(describe_settings(caller().account_id))

    @routes.route("/v1/mood/settings", methods=["PATCH"])
    @routes.doc(requestBody=_body(schemas.SettingsChangeSchema, examples.SETTINGS_CHANGE))
    @routes.response(200, schemas.SettingsSchema, example=examples.SETTINGS)
    @routes.problem(400, example=examples.INVALID_THRESHOLD)
    @_common_problems(routes)
    @_body_problems(routes)
    def patch_settings() -> Response:
        """Change thresholds and weights; sessions are read anew in the background."""
        return json_response(change_settings(caller().account_id, request_json()))


def _key_routes() -> Blueprint:
    routes = Blueprint(
        "mood_keys",
        __name__,
        description="API keys for everyone who asks.",
        render_error=render_error,
        error_schema=schemas.ProblemSchema,
        security=[],
    )

    @routes.route("/v1/keys/generate", methods=["POST"])
    @routes.doc(requestBody=_body(schemas.KeyRequestSchema, examples.KEY_REQUEST))
    @routes.response(201, schemas.KeySchema, example=examples.KEY)
    @routes.problem(400, example=examples.MISSING_CUSTOMER)
    @routes.problem(403, "This server gives keys on its command line only.")
    @routes.problem(429, "More than ten keys in an hour for one address.")
    @routes.problem(503, "The database is away; try again.")
    @_body_problems(routes)
    @limit_by_address("10/hour")
    def generate_key() -> Response:
        """Create an account and its API key; the key is shown this once."""
        if not setting("SUBTEXT_SELF_SERVICE_KEYS"):
            raise Forbidden("Keys are issued by the operator of this server")
        body = request_json()
        if not isinstance(body, dict) or body.get("customer_name") in (None, ""):
            raise CustomerNameRequired
        request = load(schemas.KeyRequestSchema(), body)
        if not request["customer_name"].strip():
            raise CustomerNameRequired
        plan = DEFAULT_PLAN if body.get("plan") is None else body["plan"]
        if not isinstance(plan, str) or plan not in PLAN_LIMITS:
            raise UnknownPlan(valid_plans=list(PLAN_LIMITS))
        key = services.generate_key(request["customer_name"], request["email"], plan)
        return json_response(key, 201, {"Cache-Control": "no-store"})

    return routes


def _check(session_id: str) -> None:
    if len(session_id) > MAX_SESSION_ID_LENGTH:
        raise InvalidValue("session_id", f"must have at most {MAX_SESSION_ID_LENGTH} characters")
    try:
        check_session_id(session_id)
    except Invalid as error:
        raise InvalidValue("session_id", error.message) from error


def _once(operation: str, act: Callable[[], Outcome]) -> Response:
    outcome = once(caller().account_id, operation, idempotency_key(), request_body(), act)
    return raw_json_response(outcome.body, outcome.status)


def _body(schema: type[Any], example: Any) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _common_problems(routes: Blueprint) -> Callable[[Any], Any]:
    """Document what every route with a key can answer."""

    def document(view: Any) -> Any:
        view = routes.problem(401, example=examples.UNAUTHORIZED)(view)
        view = routes.problem(403, "The key lacks the scope `mood`.")(view)
        view = routes.problem(
            429,
            "Too many requests, or the plan's sessions are used up.",
            example=examples.OVER_QUOTA,
        )(view)
        view = routes.problem(500, example=examples.SERVER_ERROR)(view)
        return routes.problem(503, "The database is away; try again.")(view)

    return document


def _body_problems(routes: Blueprint) -> Callable[[Any], Any]:
    """Document what every route with a body can answer."""

    def document(view: Any) -> Any:
        view = routes.problem(413, "The body is over 1 MiB.")(view)
        return routes.problem(415, "The body is not application/json.")(view)

    return document
