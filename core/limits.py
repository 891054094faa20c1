"""Rate limits, counted in Redis for all processes together, in memory while Redis is away.

Answers carry `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (draft-ietf-httpapi-ratelimit-headers,
version 3), and `Retry-After` on 429 (RFC 6585).
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.errors import ConfigurationError, RateLimited

if TYPE_CHECKING:
    from core.settings import Settings

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

#: The attribute in which `limit_by_address` leaves its mark on a view.
MARK = "_subtext_address_limit"
#: Bits of an IPv6 address that tell its network; the rest its owner chooses freely (RFC 4291, section 2.5.4).
IPV6_NETWORK_BITS = 64
#: An address with the port that some proxies write behind it.
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Say what is left of a limit: requests in all, requests left, and seconds until it is whole again."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the allowance as response headers."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class Limits:
    """Count requests against limits."""

    def __init__(self, settings: Settings, client: redis.Redis | None) -> None:
        self.enabled: bool = settings["SUBTEXT_RATE_LIMITS"]
        self.account = parse_limit("SUBTEXT_RATE_LIMIT", settings["SUBTEXT_RATE_LIMIT"])
        self.address = parse_limit(
            "SUBTEXT_RATE_LIMIT_ADDRESS", settings["SUBTEXT_RATE_LIMIT_ADDRESS"]
        )
        self._pause: float = settings["SUBTEXT_REDIS_PAUSE"]
        self._url: str = settings["REDIS_URL"]
        self._client = client
        self._shared: SlidingWindowCounterRateLimiter | None = None
        self._alone: SlidingWindowCounterRateLimiter | None = None
        self._away_until = 0.0

    def hit(self, limit: RateLimitItem, *key: str) -> Allowance | None:
        """Count one request and return what is left, or None when limits are off; raises RateLimited."""
        if not self.enabled:
            return None
        try:
            return self._count(self._limiter(), limit, key)
        except (redis.RedisError, OSError):
            self._away_until = time.monotonic() + self._pause
            logger.warning("Redis is away: rate limits are counted by this process alone")
            return self._count(self._local(), limit, key)

    def _local(self) -> SlidingWindowCounterRateLimiter:
        if self._alone is None:  # made when it is needed: it starts a thread
            self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        return self._alone

    def _limiter(self) -> SlidingWindowCounterRateLimiter:
        if self._client is None or time.monotonic() < self._away_until:
            return self._local()
        if self._shared is None:
            self._shared = SlidingWindowCounterRateLimiter(_redis_storage(self._url, self._client))
        return self._shared

    @staticmethod
    def _count(
        limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, key: tuple[str, ...]
    ) -> Allowance:
        allowed = limiter.hit(limit, *key)
        stats = limiter.get_window_stats(limit, *key)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        allowance = Allowance(limit.amount, max(0, stats.remaining), reset)
        if not allowed:
            raise RateLimited(headers={**allowance.headers(), "Retry-After": str(reset)})
        return allowance


def parse_limit(name: str, text: str) -> RateLimitItem:
    """Read a limit such as `600/minute`; raises ConfigurationError that names the setting."""
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {text!r} is not a limit such as 600/minute") from error


def counted_address(address: str | None) -> str:
    """Return what requests from an address are counted under: an IPv6 network, an IPv4 address without its port."""
    text = address or ""
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(ip), IPV6_NETWORK_BITS), strict=False))
        ip = ip.ipv4_mapped
    return str(ip)


def limit_by_address(limit: str) -> Callable[[F], F]:
    """Limit a view by the caller's address, for example `@limit_by_address("10/hour")`."""
    item = parse(limit)

    def mark(view: F) -> F:
        setattr(view, MARK, item)
        return view

    return mark


def _redis_storage(url: str, client: redis.Redis) -> Storage:
    # The pool is shared with the rest of the app, so its time-outs and its socket hold here too.
    uri = url if url.startswith(("redis://", "rediss://")) else "redis://localhost"
    return RedisStorage(uri, connection_pool=client.connection_pool, key_prefix="subtext:limits")
