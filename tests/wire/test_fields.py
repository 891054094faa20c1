from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from core.fields import Choice, StrictBoolean, StrictDict, StrictInteger, StrictNumber, StrictString
from core.reasons import reasons
from core.times import Timestamp, UnixTime, unix_unit

US = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Hypothesis takes bounds without a zone.
FIRST, LAST = (datetime(1970, 1, 2), datetime(2099, 12, 30))  # noqa: DTZ001


def load(field: fields.Field[Any], value: object) -> Any:
    return field.deserialize(value)


def fault(field: fields.Field[Any], value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        field.deserialize(value)
    return "; ".join(caught.value.messages)


@pytest.mark.parametrize("value", [0, -0.0, 540, 0.5, -(2**63), 2**63 - 1, 1e300])
def test_a_number_is_kept_as_it_came(value: Any) -> None:
    loaded = load(StrictNumber(), value)
    assert type(loaded) is type(value)
    assert repr(loaded) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("540", "must be a number"),
        (True, "must be a number"),
        (None, "must be a number"),
        ([], "must be a number"),
        (math.nan, "must be a finite number"),
        (math.inf, "must be a finite number"),
        (2**63, "must fit in 64 bits"),
        (10**400, "must fit in 64 bits"),
    ],
)
def test_what_is_no_json_number_is_a_fault(value: Any, text: str) -> None:
    assert fault(StrictNumber(), value) == text


def test_number_bounds_are_inclusive_and_named() -> None:
    score = StrictNumber(min=0, max=1)
    assert load(score, 0) == 0
    assert load(score, 1.0) == 1
    assert fault(score, 1.0000001) == "must be between 0 and 1"
    assert fault(StrictNumber(min=0), -1) == "must be at least 0"
    assert fault(StrictNumber(max=5), 6) == "must be at most 5"


def test_an_integer_written_as_a_float_is_an_integer() -> None:
    loaded = load(StrictInteger(), 2.0)
    assert (loaded, type(loaded)) == (2, int)


@pytest.mark.parametrize("value", [1.5, "1", True, None, math.nan, 1e300, {}])
def test_what_is_no_integer_is_a_fault(value: Any) -> None:
    assert fault(StrictInteger(min=0), value) == "must be an integer"


def test_an_integer_has_64_bits() -> None:
    assert load(StrictInteger(), 2**63 - 1) == 2**63 - 1
    assert fault(StrictInteger(), 2**63) == "must fit in 64 bits"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "must be a string"),
        (b"x", "must be a string"),
        (None, "must be a string"),
        ("a\0b", "must not contain NUL characters"),
        ("\ud800", "must be valid Unicode"),
        ("", "must be between 1 and 3 characters"),
        ("abcd", "must be between 1 and 3 characters"),
    ],
)
def test_a_string_that_a_store_would_refuse_is_a_fault(value: Any, text: str) -> None:
    assert fault(StrictString(min=1, max=3), value) == text
    assert load(StrictString(min=1, max=3), "äöü") == "äöü"


@pytest.mark.parametrize("value", ["hover", "", 1, None, [], {}, True])
def test_a_choice_names_what_it_takes(value: Any) -> None:
    assert fault(Choice(("click", "scroll")), value) == "must be one of click, scroll"
    assert load(Choice(("click", "scroll")), "click") == "click"


@pytest.mark.parametrize("value", ["true", 1, 0, None, "yes"])
def test_a_boolean_is_true_or_false(value: Any) -> None:
    assert fault(StrictBoolean(), value) == "must be true or false"
    for boolean in (True, False):
        assert load(StrictBoolean(), boolean) is boolean


def test_an_object_that_is_too_large_is_not_looked_at() -> None:
    seen: list[object] = []
    few = StrictDict(max=2, values=StrictInteger(validate=seen.append))
    assert fault(few, {str(n): 1 for n in range(3)}) == "must have between 0 and 2 entries"
    assert seen == []
    assert fault(few, []) == fault(few, None) == "must be an object"
    assert load(few, {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-03-16T10:14:32.120Z", "2026-03-16T10:14:32.120000+00:00"),
        ("2026-03-16T10:14:32Z", "2026-03-16T10:14:32+00:00"),
        ("2026-03-16T12:14:32.5+02:00", "2026-03-16T10:14:32.500000+00:00"),
        ("2026-03-15T23:44:32-10:30", "2026-03-16T10:14:32+00:00"),
        ("2026-03-16T10:14:32.123456789Z", "2026-03-16T10:14:32.123456+00:00"),
        ("20260316T101432Z", "2026-03-16T10:14:32+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        ("2099-12-31T23:59:59.999999Z", "2099-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_timestamp_becomes_microseconds_utc(text: str, same: str) -> None:
    loaded = load(Timestamp(), text)
    assert type(loaded) is int
    assert (EPOCH + loaded * US).isoformat() == same


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-16",
        "2026-03-16T10:14:32",
        "2026-03-16 10:14:32Z",
        "2026-03-16T10:14:32 Z",
        "2026-13-16T10:14:32Z",
        "2026-02-30T10:14:32Z",
        "2026-03-16T25:14:32Z",
        "2026-03-16T10:14:32+99:00",
        "T",
        "now",
        "",
        "٢٠٢٦-03-16T10:14:32Z",
        "2026-03-16T10:14:32Z\0",
        "2026-03-16T10:14:32:120Z",
        "2026-W12-1T10:14:32Z",
        "2026-03-16t10:14:32z",
        1746352800,
        None,
        True,
        "2" * 100_000,
    ],
)
def test_what_is_no_moment_with_a_zone_is_a_fault(value: Any) -> None:
    assert fault(Timestamp(), value).startswith("must be an ISO 8601 date and time with a zone")


@pytest.mark.parametrize(
    "value", ["1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00"]
)
def test_a_clock_outside_of_the_years_is_a_fault(value: Any) -> None:
    assert fault(Timestamp(), value) == "must be between the years 1970 and 2099"


@given(
    st.datetimes(FIRST, LAST),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_moment_is_exact_to_the_microsecond_in_every_zone(
    moment: datetime, zone: timezone
) -> None:
    aware = moment.replace(tzinfo=zone)
    assert EPOCH + load(Timestamp(), aware.isoformat()) * US == aware


def test_a_timestamp_is_written_with_milliseconds_and_z() -> None:
    class Moment(Schema):
        at = Timestamp()

    assert Moment().dump({"at": 1777888800_120_999}) == {"at": "2026-05-04T10:00:00.120Z"}
    assert Moment().dump({"at": None}) == {"at": None}


@pytest.mark.parametrize(
    ("value", "micros", "unit"),
    [
        (1746352800, 1746352800_000_000, "seconds"),
        (1746352800.5, 1746352800_500_000, "seconds"),
        (1701012345678, 1701012345678_000, "milliseconds"),
        (1701012345678.25, 1701012345678_250, "milliseconds"),
        (0, 0, "seconds"),
        (100_000_000_000, 100_000_000_000_000, "milliseconds"),
    ],
)
def test_a_unix_time_is_read_by_its_size(value: Any, micros: int, unit: str) -> None:
    loaded = load(UnixTime(), value)
    assert (loaded, type(loaded)) == (micros, int)
    assert unix_unit(value) == unit


@pytest.mark.parametrize(
    "value", ["1746352800", True, None, math.nan, math.inf, -1, -0.5, 5e9, 5e12, 10**30, 1e308]
)
def test_what_is_no_unix_time_of_a_sane_year_is_a_fault(value: Any) -> None:
    assert fault(UnixTime(), value).startswith("must be ")


class Size(Schema):
    width = StrictNumber(required=True)
    height = StrictNumber(required=True)


class Thing(Schema):
    kind = Choice(("a", "b"), required=True)
    score = StrictNumber(min=0, max=1)
    size = fields.Nested(Size)
    sizes = fields.List(fields.Nested(Size))
    labels = fields.Dict(keys=StrictString(max=70), values=StrictNumber(max=1))
    many = fields.Nested(Size, many=True)
    start = Timestamp()
    end = Timestamp(not_before="start")


def told(item: object) -> str:
    schema = Thing()
    with pytest.raises(ValidationError) as caught:
        schema.load(item)  # type: ignore[arg-type]
    return reasons(schema, caught.value.messages_dict)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "Missing required field: kind"),
        ({"kind": "c"}, "Invalid value for kind: must be one of a, b"),
        (
            {"score": 2, "kind": 1},
            (
                "Invalid value for kind: must be one of a, b; "
                "Invalid value for score: must be between 0 and 1"
            ),
        ),
        (
            {"size": {"width": "9"}, "kind": "a"},
            "Invalid value for size.width: must be a number; Missing required field: size.height",
        ),
        ({"kind": "a", "size": 5}, "Invalid value for size: must be an object"),
        ({"kind": "a", "size": None}, "Invalid value for size: must not be null"),
        ({"kind": "a", "size": [{}]}, "Invalid value for size: must be an object"),
        ({"kind": "a", "sizes": {}}, "Invalid value for sizes: must be a list"),
        (
            {"kind": "a", "sizes": [{"width": 1, "height": 1}, {"width": 1}, 3]},
            (
                "Missing required field: sizes[1].height; "
                "Invalid value for sizes[2]: must be an object"
            ),
        ),
        ({"kind": "a", "labels": {"joy": 2}}, "Invalid value for labels.joy: must be at most 1"),
        ({"kind": "a", "labels": []}, "Invalid value for labels: must be an object"),
        (
            {"kind": "a", "labels": {"j" * 99: 1}},
            f"Invalid value for labels.{'j' * 64}…: must be at most 70 characters",
        ),
        ({"kind": "a", "many": [{"width": 1}]}, "Missing required field: many[0].height"),
        ({"kind": "a", "many": 1}, "Invalid value for many: must be a list"),
        ({"kind": "a", "extra": 1}, "Invalid value for extra: is not a known field"),
        (
            {"kind": "a", "start": "2026-01-01T00:00:01Z", "end": "2026-01-01T00:00:00Z"},
            "Invalid value for end: must not be before start",
        ),
        ([], "Invalid item: must be an object"),
        (None, "Invalid item: must be an object"),
        ("click", "Invalid item: must be an object"),
    ],
)
def test_a_reason_names_the_field_by_path_in_the_order_of_the_schema(
    item: object, reason: str
) -> None:
    assert told(item) == reason


def test_a_hostile_item_gets_a_short_reason() -> None:
    reason = told({"kind": "a", "labels": {str(n): "x" for n in range(5000)}})
    assert reason.endswith("; and 4990 more")
    assert len(reason) < 1000


def test_equal_moments_and_another_faulty_field_are_no_fault_of_the_order() -> None:
    schema = Thing(only=("start", "end"))
    same = "2026-01-01T00:00:00Z"
    assert schema.load({"start": same, "end": same})["end"] == 1767225600_000_000
    with pytest.raises(ValidationError) as caught:
        schema.load({"start": "yesterday", "end": same})
    assert set(caught.value.messages_dict) == {"start"}
