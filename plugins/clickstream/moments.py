"""Clients' times: seconds, milliseconds or ISO 8601 on the wire, microseconds UTC inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MILLISECONDS_FROM = 10**11
"""Numbers from here on are milliseconds: as seconds they would lie after the year 5138."""

MILLISECOND = 1_000
SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _TICK
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _TICK


def unit_of(number: float) -> int:
    """Tell by its size which unit a timestamp is in, as the microseconds of one unit."""
    return MILLISECOND if number >= MILLISECONDS_FROM else SECOND


def from_number(number: float) -> int:
    """Read a Unix timestamp in seconds or milliseconds; ValueError outside the years 1 to 9999."""
    at = round(number * unit_of(number))
    if not _EARLIEST <= at <= _LATEST:
        raise ValueError("the time lies outside the years 1 to 9999")
    return at


def from_text(text: str) -> int:
    """Read an ISO 8601 time, one without a zone as UTC; ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _TICK


def to_text(at: int) -> str:
    """Write ISO 8601 with milliseconds and `Z`."""
    moment = _EPOCH + timedelta(microseconds=at)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
