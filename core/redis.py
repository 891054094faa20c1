"""The Redis client of one app; nothing is connected before the first command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.settings import Settings


def open_redis(settings: Settings, *, timeout: float | None = None) -> redis.Redis | None:
    """Describe the client that REDIS_URL names, or None when there is no URL.

    `timeout` is in seconds and replaces SUBTEXT_REDIS_TIMEOUT, for workers, which may wait longer than requests.
    Raises ConfigurationError for a URL that cannot be read.
    """
    url: str = settings["REDIS_URL"]
    if not url:
        return None
    seconds = settings["SUBTEXT_REDIS_TIMEOUT"] if timeout is None else timeout
    # One immediate retry gets over a connection that the server closed while it was idle; the client's own ten
    # retries with pauses would hold a request for seconds.
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 1),
    }
    if url.startswith("rediss:") and not settings["SUBTEXT_REDIS_TLS_VERIFY"]:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    if url.startswith("unix:"):
        options.pop("socket_connect_timeout")
    try:
        return redis.Redis.from_url(url, **options)
    except ValueError:  # its message may quote a part of the password
        raise ConfigurationError(
            "REDIS_URL must be a URL that starts with redis://, rediss:// or unix://"
        ) from None
