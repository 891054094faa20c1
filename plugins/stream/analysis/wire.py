"""Exchange messages between an analysis process and its parent: a JSON head and a body, their lengths before them."""

from __future__ import annotations

import struct
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import socket

_LENGTHS = struct.Struct(">IQ")
#: Bytes a head may have.
_LARGEST_HEAD = 64 * 1024
_CHUNK = 1024 * 1024


class BrokenMessage(Exception):
    """The other side is gone, or sends something that is no message."""


def send(connection: socket.socket, head: dict[str, Any], body: bytes, until: float | None) -> None:
    """Send a message; raises TimeoutError when it is not taken before `until` on the monotonic clock."""
    text = orjson.dumps(head)
    connection.settimeout(_left(until))
    connection.sendall(_LENGTHS.pack(len(text), len(body)) + text)
    view = memoryview(body)
    for at in range(0, len(body), _CHUNK):
        connection.settimeout(_left(until))
        connection.sendall(view[at : at + _CHUNK])


def receive(
    connection: socket.socket, largest: int, until: float | None
) -> tuple[dict[str, Any], bytes]:
    """Receive a message; raises TimeoutError, and BrokenMessage for a body over `largest` bytes or an end."""
    head_size, body_size = _LENGTHS.unpack(_exactly(connection, _LENGTHS.size, until))
    if head_size > _LARGEST_HEAD or body_size > largest:
        raise BrokenMessage("The message is too large.")
    try:
        head = orjson.loads(_exactly(connection, head_size, until))
    except ValueError:
        raise BrokenMessage("The message is no JSON.") from None
    if not isinstance(head, dict):
        raise BrokenMessage("The message has no head.")
    return head, bytes(_exactly(connection, body_size, until))


def _exactly(connection: socket.socket, size: int, until: float | None) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        connection.settimeout(_left(until))
        count = connection.recv_into(view[at:], min(size - at, _CHUNK))
        if count == 0:
            raise BrokenMessage("The connection ended.")
        at += count
    return data


def _left(until: float | None) -> float | None:
    if until is None:
        return None
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
