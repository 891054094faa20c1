"""How many sessions an account may begin in a calendar month (UTC)."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from core import fetch_all, isoformat, setting, start_of_month, start_of_next_month
from plugins.mood.problems import QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAN_LIMITS: Mapping[str, int] = MappingProxyType(
    {"starter": 5_000, "growth": 50_000, "pro": 200_000}
)
"""Sessions a month by plan, as the API documents them."""

DEFAULT_PLAN = "starter"
SECOND = 1_000_000
"""A second in microseconds."""


def parse_plan_limits(text: str) -> Mapping[str, int]:
    """Read `starter=5000,growth=50000`; what is not named keeps its documented limit."""
    limits = dict(PLAN_LIMITS)
    for part in text.replace(",", " ").split():
        plan, separator, number = part.partition("=")
        if not separator or plan not in PLAN_LIMITS or not number.isdecimal():
            raise ValueError(f"must be like starter=5000 for {', '.join(PLAN_LIMITS)}")
        limits[plan] = int(number)
    return limits


def sessions_per_month(plan: str) -> int:
    """Return the limit of a plan; a plan that is not known has the smallest one's."""
    limits: Mapping[str, int] = setting("SUBTEXT_MOOD_PLAN_LIMITS")
    return limits.get(plan, limits[DEFAULT_PLAN])


def count_session(account_id: int, plan: str, at: int) -> None:
    """Count one more session in the month of `at` (µs); call inside the storing transaction.

    Raises QuotaExceeded when the plan allows no more.
    """
    limit = sessions_per_month(plan)
    counted = limit > 0 and fetch_all(
        "INSERT INTO mood_quota (account_id, month, sessions) VALUES (?, ?, 1)"
        " ON CONFLICT (account_id, month) DO UPDATE SET sessions = mood_quota.sessions + 1"
        " WHERE mood_quota.sessions < ? RETURNING sessions",
        (account_id, start_of_month(at), limit),
    )
    if not counted:
        reset = start_of_next_month(at)
        seconds = str(math.ceil((reset - at) / SECOND))
        raise QuotaExceeded(
            headers={
                "RateLimit-Limit": str(limit),
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": seconds,
                "Retry-After": seconds,
            },
            plan=plan,
            limit=limit,
            reset_at=isoformat(reset),
        )
