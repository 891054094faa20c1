"""The three addresses: parse, one service call, respond; and the envelope that all answers have."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from marshmallow import Schema, ValidationError

from core import (
    IDEMPOTENCY_PARAMETER,
    JSON_TYPES,
    TOKEN_SECURITY,
    AppError,
    BadRequest,
    Blueprint,
    Doubtful,
    Unavailable,
    caller,
    check_session_binding,
    compile_check,
    idempotency_key,
    raw_json_response,
    reasons,
    request_body,
    request_id,
    request_json,
    require,
    validate_items,
)
from plugins.ingestion import examples, services
from plugins.ingestion.schemas import (
    Answer,
    Event,
    EventBatch,
    Failure,
    Frame,
    FrameBatch,
    Segment,
    SegmentBatch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Response

    View = Callable[[], Response]

#: `navigator.sendBeacon` sends a string as text/plain, and nothing else without a preflight.
MEDIA_TYPES = JSON_TYPES | {"text/plain"}


class Intake:
    """Read the batches of one kind of item; the checks are compiled once, at start."""

    def __init__(self, kind: services.Kind, batch: type[Schema], item: type[Schema]) -> None:
        self.kind = kind
        self.batch, self.item = batch(), item()
        self.check_batch, self.check_item = compile_check(self.batch), compile_check(self.item)

    def receive(self) -> Response:
        """Answer the request: who may write, which items hold, store them, say so."""
        session_id, items = self._read_envelope(request_json())
        check_session_binding(session_id)
        accepted, rejected = validate_items(self.check_item, self.item, items)
        taken, refused = services.take_items(self.kind, items, accepted)
        rejections = sorted([*rejected, *refused])
        outcome = services.store_batch(
            caller().account_id,
            session_id,
            self.kind,
            taken,
            answer=render_receipt(session_id, len(taken), rejections),
            request=request_body(),
            idempotency_key=idempotency_key(),
        )
        services.count_items(self.kind, accepted=len(taken), rejected=len(rejections))
        return raw_json_response(outcome.body, outcome.status)

    def _read_envelope(self, body: Any) -> tuple[str, list[Any]]:
        try:
            loaded = self.check_batch(body)
        except Doubtful:
            if not isinstance(body, dict):
                raise BadRequest("The body must be a JSON object") from None
            try:
                loaded = self.batch.load(body)
            except ValidationError as error:
                raise BadRequest(reasons(self.batch, error.messages_dict)) from error
        return loaded["sessionId"], loaded["batch"]


def render_receipt(session_id: str, accepted: int, rejections: Sequence[tuple[int, str]]) -> bytes:
    """Return the answer to a batch that was read."""
    return orjson.dumps(
        {
            "success": True,
            "data": {
                "sessionId": session_id,
                "accepted": accepted,
                "rejected": len(rejections),
                "rejections": [{"index": index, "reason": why} for index, why in rejections],
            },
            "error": None,
            "metadata": None,
        }
    )


def render_error(error: AppError) -> dict[str, Any]:
    """Return the envelope of a request that was not taken."""
    message = error.message
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Unavailable):
        message = f"{message}; name {request_id()} when asking for help"
    return {"success": False, "data": None, "error": message, "metadata": None}


def build_blueprint() -> Blueprint:
    """Return the routes."""
    routes = Blueprint(
        "ingestion",
        __name__,
        url_prefix="/api/data",
        description="Batches of raw signals: interaction events, facial frames, voice segments.",
        render_error=render_error,
        error_schema=Failure,
        security=TOKEN_SECURITY,
        media_types=MEDIA_TYPES,
    )
    routes.before_request(
        require("ingest", credentials=("token",), message="Missing or invalid token")
    )
    events = Intake(services.EVENT, EventBatch, Event)
    frames = Intake(services.FRAME, FrameBatch, Frame)
    segments = Intake(services.SEGMENT, SegmentBatch, Segment)

    @routes.route("/events", methods=["POST"])
    @_documented(routes, EventBatch, examples.EVENTS, examples.REJECTED_EVENTS)
    def post_events() -> Response:
        """Ingest a batch of behavioral interaction events for a session."""
        return events.receive()

    @routes.route("/facial", methods=["POST"])
    @_documented(routes, FrameBatch, examples.FRAMES, examples.ACCEPTED_FRAMES)
    def post_frames() -> Response:
        """Ingest a batch of facial analysis frames for a session."""
        return frames.receive()

    @routes.route("/voice", methods=["POST"])
    @_documented(routes, SegmentBatch, examples.SEGMENTS, examples.ACCEPTED_SEGMENTS)
    def post_segments() -> Response:
        """Ingest a batch of voice analysis segments for a session."""
        return segments.receive()

    return routes


_PROBLEMS = (
    (400, "The body is no JSON, or not a batch.", "Missing required field: batch"),
    (401, "No token, or one that does not hold.", "Missing or invalid token"),
    (
        403,
        "The token is bound to another session, or lacks the scope `ingest`.",
        "Token is not valid for this session",
    ),
    (410, "The session was erased, and late data does not bring it back.", "Session was erased"),
    (
        413,
        "Over 1 MiB on the wire, or over 8 MiB once inflated.",
        "The body is larger than 1048576 bytes on the wire",
    ),
    (
        415,
        "Neither JSON nor `text/plain` with a JSON body, or another coding than gzip.",
        "The content type must be application/json",
    ),
    (
        422,
        "The `Idempotency-Key` came before, with another body.",
        "Idempotency-Key was used with a different request",
    ),
    (429, "Over the rate limit; `Retry-After` says when to come back.", "Rate limit exceeded"),
    (
        503,
        "It could not be stored; nothing was acknowledged. Send it again.",
        "Temporarily unavailable, try again",
    ),
)


def _documented(
    routes: Blueprint, batch: type[Schema], example: Any, answer: Any
) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        documented = routes.response(
            200, Answer, description="The batch was read; see `rejections`.", example=answer
        )(view)
        documented = routes.about_session("$response.body#/data/sessionId")(documented)
        for status, description, message in _PROBLEMS:
            envelope = {"success": False, "data": None, "error": message, "metadata": None}
            documented = routes.problem(status, description, example=envelope)(documented)
        content = {"application/json": {"schema": batch, "example": example}}
        documentation = routes.doc(
            requestBody={"required": True, "content": content}, parameters=[IDEMPOTENCY_PARAMETER]
        )
        return documentation(documented)

    return decorate
