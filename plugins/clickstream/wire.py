"""The fields of the clickstream API and what is said of a fault.

Faults speak as the existing clients expect (FastAPI on pydantic 2): a type, a place, a message.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, validate

from core import UNIX_TIME_BOUNDS, StrictBoolean, StrictInteger, StrictString
from plugins.clickstream import moments
from plugins.clickstream.payloads import json_text

if TYPE_CHECKING:
    from core import Code

FIELD_REQUIRED = "Field required"
NOT_A_STRING = "Input should be a valid string"
NOT_AN_INTEGER = "Input should be a valid integer"
NOT_A_NUMBER = "Input should be a valid number"
NOT_PARSED = "Input should be a valid number, unable to parse string as a number"
NOT_PARSED_AS_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
NOT_FINITE = "Input should be a finite number"
NOT_A_BOOLEAN = "Input should be a valid boolean"
NOT_A_LIST = "Input should be a valid list"
NOT_AN_OBJECT = "Input should be a valid dictionary"
NOT_A_MODEL = "Input should be a valid dictionary or object to extract fields from"
TOO_DEEP = "Input should be nested at most 254 levels deep"
NOT_AN_ORDER = "Input should be 'asc' or 'desc'"
NUL = "String should not contain NUL characters"
NOT_UNICODE = "String should be valid Unicode"
NOT_A_TIME = "Input should be a time in seconds or milliseconds between the years 1970 and 2099"
NOT_A_QUERY_TIME = "Input should be an ISO 8601 time or a number of seconds or milliseconds"

PROBLEM_TYPES = {
    FIELD_REQUIRED: "missing",
    NOT_A_STRING: "string_type",
    NOT_AN_INTEGER: "int_type",
    NOT_A_NUMBER: "float_type",
    NOT_PARSED: "float_parsing",
    NOT_PARSED_AS_INTEGER: "int_parsing",
    NOT_FINITE: "finite_number",
    NOT_A_BOOLEAN: "bool_type",
    NOT_A_LIST: "list_type",
    NOT_AN_OBJECT: "dict_type",
    NOT_A_MODEL: "model_attributes_type",
    NOT_AN_ORDER: "literal_error",
    NUL: "value_error",
    NOT_UNICODE: "string_unicode",
    NOT_A_TIME: "value_error",
    NOT_A_QUERY_TIME: "value_error",
}
"""What pydantic calls each fault; anything else is a `value_error`."""

_NUMERIC = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?$"

LAST_MOMENT = moments.from_text("2099-12-31T23:59:59.999999Z")


class Text(StrictString):
    """Take a string that every store can hold."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "required": FIELD_REQUIRED,
        "invalid": NOT_A_STRING,
        "null": NOT_A_STRING,
        "nul": NUL,
        "invalid_utf8": NOT_UNICODE,
    }


class Switch(StrictBoolean):
    """Take true or false."""

    default_error_messages = {"invalid": NOT_A_BOOLEAN, "null": NOT_A_BOOLEAN}  # noqa: RUF012


class SortOrder(Text):
    """Take `asc` or `desc`."""

    default_error_messages = {"invalid": NOT_AN_ORDER, "null": NOT_AN_ORDER}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(("asc", "desc"), error=NOT_AN_ORDER), **kwargs)


class ClientTime(validate.Validator):
    """Accept a Unix time in seconds or milliseconds of the years 1970 to 2099."""

    def __call__(self, value: int) -> int:
        """Return the time as it came, or raise ValidationError."""
        if not self.accepts(value):
            raise ValidationError(NOT_A_TIME)
        return value

    @staticmethod
    def accepts(value: int) -> bool:
        """Tell whether the time is one."""
        return 0 <= value * moments.unit_of(value) <= LAST_MOMENT

    def emit(self, code: Code, value: str) -> None:
        """Write the check for the compiled schema."""
        code.doubt_unless(f"{code.bind(self.accepts)}({value})")


class CreatedAt(StrictInteger):
    """Take a time as it came; its unit is told by its size."""

    default_error_messages = {  # noqa: RUF012
        "invalid": NOT_AN_INTEGER,
        "null": NOT_AN_INTEGER,
        "too_large": NOT_A_TIME,
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {**UNIX_TIME_BOUNDS, **kwargs.get("metadata", {})}
        super().__init__(allow_none=True, load_default=None, validate=ClientTime(), **kwargs)


class Rank(fields.Float):
    """Take a number or a numeric string as a finite float."""

    default_error_messages = {  # noqa: RUF012
        "invalid": NOT_A_NUMBER,
        "parsing": NOT_PARSED,
        "special": NOT_FINITE,
    }

    def __init__(self, **kwargs: Any) -> None:
        # Over `number`, which is what a Float says of itself.
        kwargs["metadata"] = {
            "type": ["number", "string"],
            "pattern": _NUMERIC,
            **kwargs.get("metadata", {}),
        }
        super().__init__(allow_none=True, load_default=None, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.make_error("invalid")
        try:
            rank = float(value)
        except (ValueError, OverflowError):
            raise self.make_error("parsing") from None
        if not math.isfinite(rank):
            raise self.make_error("special")
        return rank

    def emit(self, code: Code, value: str) -> str:
        """Write the check for the compiled schema."""
        code.doubt_unless(f"type({value}) is float or type({value}) is int")
        rank = code.local()
        code.line(f"{rank} = float({value})")
        code.doubt_unless(f"{code.bind(math.isfinite)}({rank})")
        return rank


class AnyObject(fields.Field[str]):
    """Take any JSON object, to be stored and answered as it came: as JSON text.

    An object nested deeper than the JSON writer goes (254 levels) is a fault.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": NOT_AN_OBJECT,
        "null": NOT_AN_OBJECT,
        "deep": TOO_DEEP,
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {
            "type": "object",
            "additionalProperties": True,
            **kwargs.get("metadata", {}),
        }
        super().__init__(allow_none=True, load_default=None, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        try:
            return json_text(value)
        except TypeError:
            raise self.make_error("deep") from None

    def emit(self, code: Code, value: str) -> str:
        """Write the check for the compiled schema."""
        code.doubt_unless(f"type({value}) is dict")
        text = code.local()
        code.line(f"{text} = {code.bind(json_text)}({value})")
        return text


class QueryTime(fields.Field[int]):
    """Take a time in a query string: ISO 8601, seconds or milliseconds; gives microseconds UTC."""

    default_error_messages = {"invalid": NOT_A_QUERY_TIME}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {
            "type": "string",
            "anyOf": [{"format": "date-time"}, {"format": "date"}, {"pattern": "^[0-9]{1,13}$"}],
            **kwargs.get("metadata", {}),
        }
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        text = str(value)
        try:
            return moments.from_number(int(text)) if _is_digits(text) else moments.from_text(text)
        except (ValueError, OverflowError):
            raise self.make_error("invalid") from None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


class Count(fields.Integer):
    """Take an integer in a query string."""

    default_error_messages = {  # noqa: RUF012
        "invalid": NOT_PARSED_AS_INTEGER,
        "required": FIELD_REQUIRED,
    }
