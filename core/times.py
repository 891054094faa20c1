"""Moments on the wire: text and numbers that become integer microseconds UTC.

Fields as in `core.fields`.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from marshmallow import fields

from core.clock import DAY, SECOND, isoformat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.compiled import Code

#: Timestamps outside of these years are a broken clock, not a time that a client meant.
FIRST_YEAR, LAST_YEAR = 1970, 2099
EPOCH = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
LATEST = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()) * SECOND

#: Unix times from here on are milliseconds: as seconds it would be the year 5138.
MILLISECONDS_FROM = 1e11
#: What a Unix time in either unit may be, as JSON Schema says it.
UNIX_TIME_BOUNDS = {
    "anyOf": [
        {"minimum": 0, "exclusiveMaximum": LATEST // SECOND},
        {"minimum": int(MILLISECONDS_FROM), "exclusiveMaximum": LATEST // 1000},
    ]
}

#: Calendar date, `T`, time and zone, in ISO 8601's extended format or in its basic one.
_DATE_AND_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)"
    r"|\d{8}T\d{4}(?:\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?:\d\d)?)",
    re.ASCII,
).fullmatch

_ISO_TEXT = "must be an ISO 8601 date and time with a zone, such as 2026-03-16T10:14:32.120Z"
_YEARS = f"must be between the years {FIRST_YEAR} and {LAST_YEAR}"


def parse_timestamp(text: str) -> int:
    """Read an ISO 8601 date and time with a zone as microseconds UTC; ValueError when it is none.

    Digits past the microsecond are dropped.
    """
    # `fromisoformat` alone is too kind: a date without a time, any character between the two, a
    # NUL at the end.
    if not _DATE_AND_TIME(text):
        raise ValueError("not an ISO 8601 date and time with a zone")
    since = datetime.fromisoformat(text) - EPOCH
    return since.days * DAY + since.seconds * SECOND + since.microseconds


class Timestamp(fields.Field[int]):
    """Take an ISO 8601 date and time with a zone (`Z` or an offset) as integer microseconds UTC.

    A date alone and a time without a zone are faults. `not_before` names an earlier required
    `Timestamp` of the same schema that this one must not precede.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": _ISO_TEXT,
        "null": _ISO_TEXT,
        "years": _YEARS,
        "order": "must not be before {other}",
    }

    def __init__(self, *, not_before: str | None = None, **kwargs: Any) -> None:
        kwargs["metadata"] = {
            "type": "string",
            "format": "date-time",
            **kwargs.get("metadata", {}),
        }
        super().__init__(**kwargs)
        self.not_before = not_before

    def _serialize(self, value: int | None, *_: Any, **__: Any) -> Any:
        return None if value is None else isoformat(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> int:  # noqa: ARG002
        if type(value) is not str:
            raise self.make_error("invalid")
        try:
            at = parse_timestamp(value)
        except ValueError as error:
            raise self.make_error("invalid") from error
        if not 0 <= at < LATEST:
            raise self.make_error("years")
        if self.not_before is not None and at < self._earliest(data):
            raise self.make_error("order", other=self.not_before)
        return at

    def _earliest(self, data: Mapping[str, Any]) -> int:
        other = data.get(self.not_before or "")
        try:
            return parse_timestamp(other) if type(other) is str else 0
        except ValueError:
            # The other field's fault is told with the other field.
            return 0

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        code.doubt_unless(f"type({value}) is str")
        at = code.local()
        code.line(f"{at} = {code.bind(parse_timestamp)}({value})")
        code.doubt_unless(f"0 <= {at} < {LATEST}")
        if self.not_before is not None:
            code.doubt_unless(f"{at} >= {code.sibling(self.not_before)}")
        return at


def unix_unit(value: float) -> Literal["seconds", "milliseconds"]:
    """Tell the unit of a Unix time by its size."""
    return "milliseconds" if value >= MILLISECONDS_FROM else "seconds"


def unix_microseconds(value: float) -> int:
    """Convert a Unix time in seconds or milliseconds, told apart by size, to microseconds."""
    scale = SECOND if value < MILLISECONDS_FROM else 1000
    return value * scale if type(value) is int else round(value * scale)


class UnixTime(fields.Field[int]):
    """Take a Unix time in seconds or, from 1e11 on, milliseconds as integer microseconds UTC.

    A fraction is kept to the microsecond.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be a number of seconds or milliseconds since 1970",
        "null": "must be a number of seconds or milliseconds since 1970",
        "years": _YEARS,
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"type": "number", **UNIX_TIME_BOUNDS, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) not in {int, float}:
            raise self.make_error("invalid")
        # Written so that NaN fails; the bound is in milliseconds, the larger of the two units.
        if not 0 <= value < LATEST // 1000:
            raise self.make_error("years" if math.isfinite(value) else "invalid")
        at = unix_microseconds(value)
        if at >= LATEST:
            raise self.make_error("years")
        return at

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        code.doubt_unless(f"type({value}) is float or type({value}) is int")
        code.doubt_unless(f"0 <= {value} < {LATEST // 1000}")
        at = code.local()
        code.line(f"{at} = {code.bind(unix_microseconds)}({value})")
        code.doubt_unless(f"{at} < {LATEST}")
        return at
