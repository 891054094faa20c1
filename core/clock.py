"""Time inside is integer microseconds UTC; these are the ways in and out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the current time in microseconds UTC."""
    return time.time_ns() // 1_000


def to_datetime(microseconds: int) -> datetime:
    """Return the moment as a datetime in UTC; OverflowError outside of the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=microseconds)


def isoformat(microseconds: int) -> str:
    """Return ISO 8601 with milliseconds and `Z`, as in `2026-05-04T10:00:00.000Z`."""
    moment = to_datetime(microseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def start_of_month(microseconds: int) -> int:
    """Return the first instant of the calendar month (UTC) of a moment."""
    moment = to_datetime(microseconds).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def start_of_next_month(microseconds: int) -> int:
    """Return the first instant of the calendar month (UTC) after a moment's."""
    return start_of_month(start_of_month(microseconds) + 32 * DAY)
