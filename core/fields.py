"""Marshmallow fields that mean exactly what the contracts say.

JSON types are taken at their word: a number is a JSON number, never a string or a boolean. Each
field also says how it compiles (`emit`, see `core.compiled`), so that a good item never pays for
marshmallow's call layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from marshmallow import fields, validate

from core.clock import DAY, SECOND, isoformat

if TYPE_CHECKING:
    from core.compiled import Code

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
MAX_FLOAT = math.ldexp(1 - 2**-53, 1024)

#: Integers that a JSON number written as a float still holds exactly (RFC 8259, section 6).
MAX_EXACT_INTEGER = 2**53 - 1

#: Timestamps outside of these years are a broken clock, not a time that a client meant.
FIRST_YEAR, LAST_YEAR = 1970, 2099
EPOCH = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
LATEST = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()) * SECOND

#: Unix times from here on are milliseconds: as seconds it would be the year 5138.
MILLISECONDS_FROM = 1e11

#: Calendar date, `T`, time and zone, in ISO 8601's extended format or in its basic one.
_DATE_AND_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)"
    r"|\d{8}T\d{4}(?:\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?:\d\d)?)",
    re.ASCII,
).fullmatch

_ISO_TEXT = "must be an ISO 8601 date and time with a zone, such as 2026-03-16T10:14:32.120Z"
_YEARS = f"must be between the years {FIRST_YEAR} and {LAST_YEAR}"


class _Bounds(validate.Range):
    """Hold the bounds of a number; the field's own check compares, once for type and bounds."""

    def emit(self, _code: Code, _value: str) -> None:
        """Write nothing: see `StrictNumber.emit`."""


def _bounds_text(low: float | None, high: float | None, unit: str = "") -> str:
    if low is not None and high is not None:
        return f"must be between {low} and {high}{unit}"
    return f"must be at least {low}{unit}" if high is None else f"must be at most {high}{unit}"


def _within(
    value: str, bounds: tuple[float | None, float | None], lowest: float, highest: float
) -> str:
    """Return the comparison with the tighter of a field's bounds and its type's."""
    low, high = bounds
    low = lowest if low is None else max(low, lowest)
    high = highest if high is None else min(high, highest)
    return f"{low!r} <= {value} <= {high!r}"


def _with_first(first: Any, validators: Any) -> list[Any]:
    if validators is None:
        return [first]
    return [first, *(validators if isinstance(validators, Iterable) else [validators])]


class StrictNumber(fields.Float):
    """Take a finite JSON number within bounds, and keep it as it came (an int stays an int).

    `min` and `max` are inclusive. Strings, booleans, NaN, Infinity and integers beyond 64 bits are
    faults.
    """

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "invalid": "must be a number",
        "null": "must be a number",
        "special": "must be a finite number",
        "too_large": "must fit in 64 bits",
    }

    def __init__(
        self,
        *,
        min: float | None = None,  # noqa: A002 - the word of the contracts
        max: float | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> None:
        if min is not None or max is not None:
            bounds = _Bounds(min, max, error=_bounds_text(min, max))
            kwargs["validate"] = _with_first(bounds, kwargs.get("validate"))
        self.bounds = min, max
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) is int:
            if not INT64_MIN <= value <= INT64_MAX:
                raise self.make_error("too_large")
            return value
        if type(value) is not float:
            raise self.make_error("invalid")
        if not math.isfinite(value):
            raise self.make_error("special")
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        whole = _within(value, self.bounds, INT64_MIN, INT64_MAX)
        real = _within(value, self.bounds, -MAX_FLOAT, MAX_FLOAT)
        code.doubt_unless(
            f"(type({value}) is int or type({value}) is float) and {whole}"
            if whole == real
            else f"{whole} if type({value}) is int else type({value}) is float and {real}"
        )
        return value


class StrictInteger(fields.Integer):
    """Take a whole JSON number within bounds and 64 bits.

    `2.0` is the integer 2 (JSON Schema Validation 2020-12, 6.1.1).
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be an integer",
        "null": "must be an integer",
        "too_large": "must fit in 64 bits",
    }

    def __init__(
        self,
        *,
        min: int | None = None,  # noqa: A002
        max: int | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> None:
        if min is not None or max is not None:
            bounds = _Bounds(min, max, error=_bounds_text(min, max))
            kwargs["validate"] = _with_first(bounds, kwargs.get("validate"))
        self.bounds = min, max
        super().__init__(strict=True, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is float and value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
            return int(value)
        if type(value) is not int:
            raise self.make_error("invalid")
        if not INT64_MIN <= value <= INT64_MAX:
            raise self.make_error("too_large")
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        whole = _within(value, self.bounds, INT64_MIN, INT64_MAX)
        code.doubt_unless(f"type({value}) is int and {whole}")
        return value


class StrictString(fields.String):
    """Take a JSON string of `min` to `max` characters that every store can hold.

    NUL and lone surrogates are faults of this one item: PostgreSQL refuses NUL in text, and would
    refuse the whole batch with it.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be a string",
        "null": "must be a string",
        "nul": "must not contain NUL characters",
        "invalid_utf8": "must be valid Unicode",
    }

    def __init__(
        self,
        *,
        min: int | None = None,  # noqa: A002
        max: int | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> None:
        if min is not None or max is not None:
            text = _bounds_text(min, max, " characters")
            bounds = validate.Length(
                min, max, error="must not be empty" if (min, max) == (1, None) else text
            )
            kwargs["validate"] = _with_first(bounds, kwargs.get("validate"))
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            raise self.make_error("invalid")
        if "\0" in value:
            raise self.make_error("nul")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.make_error("invalid_utf8") from error
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        code.doubt_unless(f"type({value}) is str and '\\0' not in {value}")
        # Encoding raises on a lone surrogate, and pure ASCII has none.
        code.line(f"if not {value}.isascii(): {value}.encode()")
        return value


class Choice(fields.String):
    """Take one of a fixed set of strings."""

    def __init__(self, choices: Iterable[str], **kwargs: Any) -> None:
        one_of = validate.OneOf(tuple(choices), error="must be one of {choices}")
        text = f"must be one of {one_of.choices_text}"
        kwargs["validate"] = _with_first(one_of, kwargs.get("validate"))
        kwargs["error_messages"] = {
            "invalid": text,
            "null": text,
            **kwargs.get("error_messages", {}),
        }
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            raise self.make_error("invalid")
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        code.doubt_unless(f"type({value}) is str")
        return value


class StrictBoolean(fields.Boolean):
    """Take JSON `true` or `false` and nothing that merely looks like it."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be true or false",
        "null": "must be true or false",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid")
        return value

    def emit(self, code: Code, value: str) -> str:
        """Write the check for `core.compiled`; return the expression of the loaded value."""
        code.doubt_unless(f"type({value}) is bool")
        return value


class StrictDict(fields.Dict):
    """Take a JSON object of `min` to `max` entries; with more or fewer, none of them is looked at.

    So an object with a hundred thousand faulty entries costs no more than one.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be an object",
        "null": "must be an object",
        "size": "must have between {min} and {max} entries",
    }

    def __init__(self, *, min: int = 0, max: int, **kwargs: Any) -> None:  # noqa: A002
        size = {"minProperties": min, "maxProperties": max}
        kwargs["metadata"] = {**size, **kwargs.get("metadata", {})}
        self.sizes = min, max
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is not dict:
            raise self.make_error("invalid")
        low, high = self.sizes
        if not low <= len(value) <= high:
            raise self.make_error("size", min=low, max=high)
        return super()._deserialize(value, attr, data, **kwargs)


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
        kwargs["metadata"] = {"type": "number", **kwargs.get("metadata", {})}
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
