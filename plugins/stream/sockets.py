"""The WebSocket route: who may stream, the upgrade, and one stream over it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from flask import current_app, request

from core import (
    Unavailable,
    caller,
    check_session_binding,
    check_session_id,
    release_connection,
    setting,
)
from plugins.stream import services
from plugins.stream.analysis.framing import Framing
from plugins.stream.analyzers import build_interpreter
from plugins.stream.backlog import Backlog
from plugins.stream.desk import Desk
from plugins.stream.faults import MAX_SEGMENT_BYTES, MIN_SECONDS
from plugins.stream.live import Erased, LiveStream
from plugins.stream.mailbox import Mailbox
from plugins.stream.media import patient_redis
from plugins.stream.problems import (
    OriginRefused,
    UpgradeRequired,
)
from plugins.stream.protocol import Limits
from plugins.stream.rendering import CORRELATION_HEADER, correlation_id
from plugins.stream.server import Sock, offered_protocols

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from core import Blueprint
    from plugins.stream.extension import StreamExtension
    from plugins.stream.server import WsServer
    from plugins.stream.services import Take
    from plugins.stream.switchboard import Line, Switchboard

logger = logging.getLogger(__name__)

PATH: Final = "/v1/stream/analyze"
BEARER_PROTOCOL: Final = "access_token"
"""The subprotocol after which a browser's client names its credential."""
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]{1,128}")


def switchboard() -> Switchboard:
    """Return the switchboard of the active app."""
    extension: StreamExtension = current_app.extensions["stream"]
    return extension.switchboard


def take_offered_credential() -> None:
    """Put a credential that was offered as a subprotocol where the core looks for one.

    A browser can set no header on a WebSocket. A credential in `Authorization` comes first. The value is not logged.
    """
    offered = offered_protocols(request.headers.get("Sec-WebSocket-Protocol", ""))
    if offered and "Authorization" not in request.headers:
        credential = offered[0]
        if credential == BEARER_PROTOCOL:
            credential = offered[1] if len(offered) > 1 else ""
        if credential:
            request.environ["HTTP_AUTHORIZATION"] = f"Bearer {credential}"


def add_socket(routes: Blueprint) -> None:
    """Add the WebSocket route to a blueprint."""

    @Sock().route(PATH, bp=routes)
    def stream(accept: Callable[..., WsServer]) -> None:
        """Analyse live video."""
        _check_handshake()
        identity = caller()
        session_id = request.args.get("session_id") or identity.session_id or correlation_id()
        check_session_id(session_id)
        check_session_binding(session_id)
        redis = patient_redis()
        if redis is None:
            raise Unavailable("Streams need a Redis: REDIS_URL is not set")
        board = switchboard()
        with board.place(), board.line(identity.account_id, correlation_id(), redis) as line:
            take = services.open_recording(
                identity.account_id, session_id, correlation_id(), services.LIVE
            )
            release_connection()
            _log("began")
            _serve(accept, take, board, line, redis)
            _log("ended")


def _serve(
    accept: Callable[..., WsServer], take: Take, board: Switchboard, line: Line, redis: Redis
) -> None:
    mailbox = Mailbox()
    desk = Desk(take, board.answers(redis), mailbox.add_answer, line.keep_open)
    interpreter = build_interpreter()
    backlog = Backlog(
        setting("SUBTEXT_STREAM_BACKLOG_SECONDS"), setting("SUBTEXT_STREAM_BACKLOG_BYTES")
    )
    offered = offered_protocols(request.headers.get("Sec-WebSocket-Protocol", ""))
    connection = accept(
        mailbox,
        headers={CORRELATION_HEADER: correlation_id()},
        subprotocol=_selected(offered),
    )
    stream = LiveStream(
        connection,
        mailbox,
        desk,
        framing=Framing(),
        interpreter=interpreter,
        backlog=backlog,
        limits=_limits(),
        correlation_id=correlation_id(),
    )
    with board.connected(mailbox):
        try:
            stream.run()
        except Erased:
            stream.say_erased()


def _check_handshake() -> None:
    if (
        request.headers.get("Sec-WebSocket-Version") != "13"
        or "Sec-WebSocket-Key" not in request.headers
    ):
        raise UpgradeRequired
    origins: tuple[str, ...] = setting("SUBTEXT_STREAM_ORIGINS")
    origin = request.headers.get("Origin")
    if origins and origin is not None and origin not in origins:
        raise OriginRefused


def _selected(offered: Any) -> str | None:
    if BEARER_PROTOCOL in offered:
        return BEARER_PROTOCOL
    return offered[0] if len(offered) == 1 else None


def _limits() -> Limits:
    return Limits(
        idle_seconds=setting("SUBTEXT_STREAM_IDLE_SECONDS"),
        max_seconds=setting("SUBTEXT_STREAM_MAX_SECONDS"),
        drain_seconds=setting("SUBTEXT_STREAM_DRAIN_SECONDS"),
        min_segment_seconds=int(MIN_SECONDS),
        max_segment_bytes=MAX_SEGMENT_BYTES,
    )


def _log(event: str) -> None:
    theirs = request.headers.get("X-Client-Request-Id", "")
    logger.info(
        "a stream %s",
        event,
        extra={
            "correlation_id": correlation_id(),
            "client_request_id": theirs if _PRINTABLE.fullmatch(theirs) else None,
            "account": caller().account_id,
        },
    )
