"""The HTTP routes of the stream plugin: parse, one service call, respond."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from core import (
    KEY_SECURITY,
    SESSION_PARAMETER,
    TOKEN_SECURITY,
    Blueprint,
    PayloadTooLarge,
    Unavailable,
    caller,
    check_session_binding,
    check_session_id,
    json_response,
    require,
)
from plugins.stream import examples, schemas
from plugins.stream.faults import MAX_SEGMENT_BYTES
from plugins.stream.findings import read_session
from plugins.stream.media import patient_redis
from plugins.stream.problems import (
    NoFile,
    UpgradeRequired,
)
from plugins.stream.rendering import CORRELATION_HEADER, correlation_id, render_error
from plugins.stream.sockets import PATH, add_socket, switchboard, take_offered_credential
from plugins.stream.uploads import analyze_upload, check_upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

FORM_BYTES: Final = 64 * 1024
"""What a form may have around its file."""
DRAIN_BYTES: Final = 64 * 1024 * 1024
DRAIN_SECONDS: Final = 10.0
CHUNK: Final = 64 * 1024


def build_blueprints() -> list[Any]:
    """Return the plugin's blueprints: the API, and the pages."""
    from plugins.stream.pages import build_pages

    routes = Blueprint(
        "stream",
        __name__,
        description="Social signals in live and recorded video.",
        render_error=render_error,
        error_schema=schemas.ProblemSchema,
        security=[*KEY_SECURITY, *TOKEN_SECURITY],
    )
    routes.before_request(take_offered_credential)
    routes.before_request(require("stream", credentials=("key", "token")))
    routes.after_request(_name_request)
    add_socket(routes)
    for add in (_add_stream_route, _add_upload_route, _add_session_route):
        add(routes)
    return [routes, build_pages()]


def _name_request(response: Response) -> Response:
    response.headers.setdefault(CORRELATION_HEADER, correlation_id())
    return response


def _add_stream_route(routes: Blueprint) -> None:
    @routes.route(PATH, methods=["GET"])
    @routes.problem(
        426,
        "Open it as a WebSocket: see `/docs/stream` and `/asyncapi.json`.",
        example=render_error(UpgradeRequired()),
    )
    @_common_problems(routes)
    def get_stream() -> Response:
        """Analyse live video over a WebSocket."""
        raise UpgradeRequired


def _add_upload_route(routes: Blueprint) -> None:
    @routes.route("/v1/upload/analyze", methods=["POST"])
    @routes.arguments(schemas.QuerySchema, location="query", as_kwargs=True)
    @routes.doc(
        requestBody={
            "required": True,
            "content": {"multipart/form-data": {"schema": schemas.UploadSchema}},
        }
    )
    @routes.response(200, schemas.AnalysisSchema, example=examples.ANALYSIS)
    @routes.about_session("$request.query.session_id")
    @routes.problem(400, "No file, no known container, or under 3 s.")
    @routes.problem(410, "The session was erased.")
    @routes.problem(413, "The file is over 32 MiB.")
    @routes.problem(422, "The file has no picture, or cannot be decoded.")
    @_common_problems(routes)
    def post_upload(session_id: str | None = None) -> Response:
        """Analyse one file and return what was found."""
        identity = caller()
        session_id = session_id or identity.session_id or correlation_id()
        check_session_id(session_id)
        check_session_binding(session_id)
        board = switchboard()
        with board.place():
            data, include = _read_form()
            check_upload(identity.account_id, data)
            redis = patient_redis()
            if redis is None:
                raise Unavailable("Analysis needs a Redis: REDIS_URL is not set")
            found = analyze_upload(
                identity.account_id,
                session_id,
                correlation_id(),
                data=data,
                include=include,
                answers=board.answers(redis),
            )
        return json_response(found)


def _add_session_route(routes: Blueprint) -> None:
    @routes.route(
        "/v1/stream/sessions/<path:session_id>", methods=["GET"], parameters=[SESSION_PARAMETER]
    )
    @routes.response(200, schemas.SessionSchema, example=examples.SESSION)
    @routes.about_session("$response.body#/session_id")
    @routes.problem(404, "The account has no such session.")
    @_common_problems(routes)
    def get_session(session_id: str) -> Response:
        """Return what was found in the streams and uploads of a session."""
        check_session_binding(session_id)
        return json_response(read_session(caller().account_id, session_id))


def _read_form() -> tuple[bytes, list[str]]:
    """Return the file and what is wanted; NoFile, PayloadTooLarge. The form is spooled to disk while it comes."""
    request.max_content_length = MAX_SEGMENT_BYTES + FORM_BYTES
    try:
        file = request.files.get("file")
    except RequestEntityTooLarge:
        _read_rest()
        raise PayloadTooLarge("The file must not exceed 32 MB") from None
    if file is None:
        raise NoFile
    data = file.stream.read(MAX_SEGMENT_BYTES + 1)
    if len(data) > MAX_SEGMENT_BYTES:
        raise PayloadTooLarge("The file must not exceed 32 MB")
    return data, request.form.getlist("include[]") + request.form.getlist("include")


def _read_rest() -> None:
    """Take what is still being sent, within bounds: who is cut off while sending does not see the answer."""
    stream = request.environ["wsgi.input"]
    until = time.monotonic() + DRAIN_SECONDS
    left = DRAIN_BYTES
    while left > 0 and time.monotonic() < until and (chunk := stream.read(min(left, CHUNK))):
        left -= len(chunk)


def _common_problems(routes: Blueprint) -> Callable[[Any], Any]:
    """Document what every route can answer."""

    def document(view: Any) -> Any:
        view = routes.problem(401)(view)
        view = routes.problem(403, "The credential lacks the scope `stream`.")(view)
        view = routes.problem(429, "Too many requests, or too much media today.")(view)
        return routes.problem(503, "No room, or something that is needed is away.")(view)

    return document
