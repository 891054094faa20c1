"""One WebSocket connection: flask-sock's server, made safe for many threads and bounded in memory.

What `simple_websocket` lacks for this: headers on the 101, a selected subprotocol that was not known before, a lock
around sending, back-pressure, sending as a whole, and an end that reaches the client.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import socket
import struct
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import flask_sock
from flask import Blueprint, Response, request
from simple_websocket import ConnectionClosed, Server
from wsproto.events import AcceptConnection, CloseConnection, Ping
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from plugins.stream.problems import UpgradeRequired

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugins.stream.mailbox import Mailbox

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a message, inflated, after which the connection is closed with 1009."""
RECEIVE_BYTES: Final = 65_536
PING_SECONDS: Final = 25.0
SEND_SECONDS: Final = 20
"""How long a client may take nothing before it counts as gone."""
LINGER_SECONDS: Final = 2.0
"""How long a client may take to answer the close; closing at once would destroy what it has not read yet."""
GONE: Final = (OSError, LocalProtocolError)

CloseCode = CloseReason


class WsServer(Server):  # type: ignore[misc, unused-ignore]
    """Serve one connection; what it receives goes to `mailbox`, from a thread of its own."""

    def __init__(
        self,
        environ: Mapping[str, Any],
        mailbox: Mailbox,
        *,
        headers: Mapping[str, str],
        subprotocol: str | None = None,
    ) -> None:
        """Accept the connection: the 101 carries `headers` and selects `subprotocol`."""
        self._mailbox = mailbox
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._selected = subprotocol
        self._sending = threading.Lock()
        self._next_ping = time.monotonic() + PING_SECONDS
        self.pong_received: bool = True
        super().__init__(
            environ,
            receive_bytes=RECEIVE_BYTES,
            max_message_size=MAX_MESSAGE_BYTES,
            thread_class=functools.partial(threading.Thread, daemon=True),
        )

    def handshake(self) -> None:
        """Answer the upgrade; UpgradeRequired when it is none that can be answered."""
        self.sock: Any = _WholeSocket(self.sock)
        self.input_buffer = _Outlet(self._mailbox.add_message)
        protocol, send = self.ws, self.ws.send

        def send_with_headers(event: Any) -> bytes:
            if isinstance(event, AcceptConnection):
                event = dataclasses.replace(event, extra_headers=self._headers)
            sent: bytes = send(event)
            return sent

        protocol.send = send_with_headers
        try:
            super().handshake()
        except RemoteProtocolError as error:
            raise UpgradeRequired(str(error)) from error
        protocol.send = send

    def choose_subprotocol(self, request: Any) -> str | None:  # noqa: ARG002 - the base's signature
        """Return what was selected before."""
        return self._selected

    def send(self, data: str | bytes) -> None:
        """Send one message; ConnectionClosed when the client is gone."""
        with self._sending:
            try:
                super().send(data)
            except GONE as error:
                self._mailbox.hang_up()
                raise ConnectionClosed(CloseReason.ABNORMAL_CLOSURE) from error

    def keep_alive(self) -> None:
        """Ping when it is time; a client that did not answer the last one is gone."""
        now = time.monotonic()
        if now < self._next_ping:
            return
        self._next_ping = now + PING_SECONDS
        if not self.pong_received:
            self._mailbox.hang_up()
            return
        self.pong_received = False
        with self._sending:
            try:
                self.sock.send(self.ws.send(Ping()))
            except GONE:
                self._mailbox.hang_up()

    def end(self, code: int) -> None:
        """Close with a code, wait a moment for the client to do the same, and let the connection go."""
        self._mailbox.close()
        with self._sending, contextlib.suppress(*GONE):
            self.sock.send(self.ws.send(CloseConnection(code)))
        self.thread.join(LINGER_SECONDS)
        self.let_go()

    def let_go(self) -> None:
        """Cut the connection if it is still there, and end the thread that reads it."""
        self._mailbox.close()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(LINGER_SECONDS)
        self.connected = False

    def _thread(self) -> None:
        try:
            super()._thread()
        finally:
            self._mailbox.hang_up()

    def _handle_events(self) -> bool:
        with self._sending:
            going_on: bool = super()._handle_events()
        if going_on and self._mailbox.wait_for_room():
            self.pong_received = True  # it may lie in what was not read meanwhile
        return going_on


class Sock(flask_sock.Sock):  # type: ignore[misc, unused-ignore]
    """flask-sock's routes, with a server that the view makes itself, once it knows who is calling."""

    def route(self, path: str, bp: Any = None, **options: Any) -> Callable[[Any], Any]:
        """Serve WebSocket at an address of a blueprint.

        The view is called with `accept`, and `accept(mailbox, headers=…, subprotocol=…)` sends the 101 and returns
        the `WsServer`. Until then the view may raise and be answered like any other; afterwards what it raises ends
        the connection.
        """

        def decorate(view: Callable[..., object]) -> Callable[..., Response]:
            @functools.wraps(view)
            def serve(*args: Any, **kwargs: Any) -> Response:
                accepted: list[WsServer] = []

                def accept(mailbox: Mailbox, **details: Any) -> WsServer:
                    accepted.append(WsServer(request.environ, mailbox, **details))
                    return accepted[0]

                try:
                    view(accept, *args, **kwargs)
                except ConnectionClosed:
                    pass
                except Exception:  # a connection is no HTTP any more: there is nobody else to tell
                    if not accepted:
                        raise
                    logger.exception("a stream failed")
                    accepted[0].end(CloseReason.INTERNAL_ERROR)
                finally:
                    if accepted:
                        accepted[0].let_go()
                return _Upgraded(status=HTTPStatus.SWITCHING_PROTOCOLS)

            # Not smorest's own way: what is no HTTP does not belong in the OpenAPI document.
            Blueprint.add_url_rule(bp, path, view.__name__, serve, websocket=True, **options)
            return serve

        return decorate


class _Upgraded(Response):
    """The response of a connection that is no HTTP any more: gunicorn takes StopIteration for its end."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if "gunicorn.socket" in environ:
            raise StopIteration
        return super().__call__(environ, start_response)


class _Outlet:
    """Stand in for the list of received messages."""

    def __init__(self, append: Callable[[str | bytes], None]) -> None:
        self.append = append


class _WholeSocket:
    """A socket that sends everything or raises, and does not wait for a client that takes nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
        self.send = sock.sendall
        self.recv = sock.recv
        self.close = sock.close
        self.shutdown = sock.shutdown
        self.fileno = sock.fileno


def offered_protocols(header: str) -> Sequence[str]:
    """Return the subprotocols that a client offers."""
    return [name for part in header.split(",") if (name := part.strip())]
