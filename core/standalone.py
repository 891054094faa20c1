"""What a platform gives an app and one machine must find by itself: a port, an address, a secret."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class PortError(OSError):
    """The address cannot be served; the message says why and what to do."""


def reserve_port(host: str, port: int) -> tuple[socket.socket, int]:
    """Return a socket that holds a port for the web server, and the port's number.

    The server shares it (SO_REUSEPORT); the socket never listens, so it takes no connection. Port 0
    takes a free one. Raises PortError when the port is in use or cannot be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:  # alone, so that a port in use is noticed
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found = int(probe.getsockname()[1])
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address[0], found, *address[2:]))
    except OSError as error:
        reason = error.strerror or str(error)
        raise PortError(f"port {port} on {host}: {reason}; see --host and --port") from error
    return held, found


def kept_secret(path: Path) -> str:
    """Return the secret in the file, made once."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(secrets.token_urlsafe(48))
    return path.read_text("ascii").strip()


def local_address(host: str) -> str:
    """Return where a client on this machine finds a server that listens on `host`."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host
