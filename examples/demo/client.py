"""A small HTTP client for one server: JSON in, JSON out, one kept-alive connection."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

TIMEOUT = 30.0  # seconds
#: Statuses after which the same request may be sent again.
BUSY = frozenset({429, 503})
TRIES = 6
LONGEST_WAIT = 15.0  # seconds between two tries


class Answer(NamedTuple):
    """Hold a status and the body: parsed JSON, or text where it is none."""

    status: int
    body: Any


@dataclass(slots=True)
class Client:
    """Send requests to the server at `url` with `headers`; a context manager that hangs up.

    `tries` is how often a request is sent at most while the server is busy or away.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tries: int = TRIES
    _connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        While the server is busy (429, 503) or hangs up, the request is sent again: with a POST that
        counts, send an `Idempotency-Key`. Raises OSError or http.client.HTTPException at last.
        """
        sent = {**self.headers, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        for rest in reversed(range(self.tries)):
            try:
                response, text = self._once(method, path, data, sent)
            except (OSError, http.client.HTTPException):
                self.close()
                if rest == 0:
                    raise
                time.sleep(0.2)
                continue
            if response.status not in BUSY or rest == 0:
                break
            time.sleep(min(LONGEST_WAIT, float(response.getheader("Retry-After") or 1)))
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        return Answer(response.status, json.loads(text) if is_json else text.decode())

    def get(self, path: str) -> Answer:
        """Send a GET request."""
        return self.request("GET", path)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a POST request with a JSON body."""
        return self.request("POST", path, body, headers)

    def close(self) -> None:
        """Hang up; the next request dials again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _once(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            address = urlsplit(self.url)
            self._connection = http.client.HTTPConnection(
                address.hostname or "", address.port, timeout=TIMEOUT
            )
        self._connection.request(method, path, data, dict(headers))
        with closing(self._connection.getresponse()) as response:
            return response, response.read()
