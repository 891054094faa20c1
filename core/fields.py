"""Marshmallow fields that mean exactly what the contracts say; moments are in `core.times`.

JSON types are taken at their word: a number is a JSON number, never a string or a boolean. Each
field also says how it compiles (`emit`, see `core.compiled`), so that a good item never pays for
marshmallow's call layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

if TYPE_CHECKING:
    from core.compiled import Code

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
MAX_FLOAT = math.ldexp(1 - 2**-53, 1024)

#: Integers that a JSON number written as a float still holds exactly (RFC 8259, section 6).
MAX_EXACT_INTEGER = 2**53 - 1


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
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
