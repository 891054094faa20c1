"""The compiled check and marshmallow agree on every input.

Covers schemas of every kind that the compiler knows and each plugin schema that compiles, so
a new plugin's schemas are covered by being there.
"""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate

from core.compiled import Doubtful, NotCompilable, compile_check
from core.fields import Choice, StrictBoolean, StrictDict, StrictInteger, StrictNumber, StrictString
from core.times import Timestamp, UnixTime

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: Inputs for each schema; `FUZZ_EXAMPLES=2000` looks longer.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 100)
PLUGIN_SCHEMAS = sorted(ROOT.glob("plugins/*/schemas.py"))


class Size(Schema):
    class Meta:
        unknown = EXCLUDE

    width = StrictNumber(required=True, min=0)
    height = StrictInteger(load_default=None, min=0, max=10)


class Everything(Schema):
    class Meta:
        unknown = INCLUDE

    kind = Choice(("a", "b"), required=True)
    text = StrictString(required=True, max=5)
    start = Timestamp(required=True)
    end = Timestamp(required=True, not_before="start")
    at = UnixTime(allow_none=True)
    flag = StrictBoolean()
    half = StrictNumber(
        validate=validate.Range(0, 1, min_inclusive=False, max_inclusive=False), allow_none=True
    )
    size = fields.Nested(Size, allow_none=True)
    loose = fields.Nested(Size, unknown=INCLUDE)
    strict = fields.Nested(Size, unknown="raise")
    sizes = fields.List(fields.Nested(Size), validate=validate.Length(max=2))
    scores = fields.Dict(keys=StrictString(min=1), values=StrictNumber(min=0, max=1))
    few = StrictDict(min=1, max=2, values=StrictInteger())
    free = fields.Dict(validate=validate.Length(equal=1))
    names = fields.Dict(keys=StrictString(allow_none=True))
    raw = fields.Raw()
    plain = fields.String()
    pick = StrictNumber(validate=validate.OneOf([1, 2.5]))
    tags = fields.List(StrictString(), load_default=list)


class Renamed(Schema):
    class Meta:
        unknown = EXCLUDE

    occurred_at = UnixTime(data_key="timestamp", required=True)
    note = StrictString(attribute="remark", load_default="")


def plugin_schemas() -> Iterator[type[Schema]]:
    for path in PLUGIN_SCHEMAS:
        module = importlib.import_module(f"plugins.{path.parent.name}.schemas")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Schema)
                and value.__module__ == module.__name__
                and value._declared_fields
            ):
                try:
                    compile_check(value())
                except NotCompilable:
                    continue
                yield value


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Mapped(dict[str, Any]):
    pass


MOMENTS = [
    "2026-03-16T10:14:32.120Z",
    "2026-03-16T12:14:32.5+02:00",
    "2099-12-31T23:59:59.9999999Z",
    "1970-01-01T00:00:00Z",
    "2026-03-16",
    "2026-03-16T10:14:32",
    "1969-12-31T23:59:59Z",
]
#: What has broken a validator or a store before.
hostile: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, [], {}, "", "540", "1", "a", "\0", "a\0b", "\ud800", b"a", *MOMENTS),
        *(0, -1, 2**53, 2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64, 10**400),
        *(-0.0, 1.0, 2.5, 1e11, 1e308, math.nan, math.inf, -math.inf),
        *(Text("a"), Text(MOMENTS[0]), Whole(1), Real(0.5), Mapped(width=1), [None]),
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | hostile
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2).map(Mapped)
        | st.tuples(inner)
    ),
    max_leaves=5,
)


def plausible(field: fields.Field[Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    """Mostly good values for a field, so that acceptance is reached often."""
    choices = [c for v in field.validators for c in getattr(v, "choices", ())]
    if choices:
        return st.sampled_from(choices)
    if isinstance(field, Timestamp):
        return st.sampled_from(MOMENTS[:4])
    if isinstance(field, fields.Integer):
        return st.integers(0, 12) | st.sampled_from([2.0, -0.0])
    if isinstance(field, (fields.Float, UnixTime)):
        return st.sampled_from([0, 0.0, -0.0, 0.5, 1, 1.0, 2.5, 1746352800, 1701012345678])
    if isinstance(field, fields.Boolean):
        return st.booleans()
    if isinstance(field, fields.String):
        return st.text("abc", min_size=1, max_size=4)
    if isinstance(field, fields.Nested):
        return items(field.schema)
    if isinstance(field, fields.List):
        return st.lists(plausible(field.inner) | hostile, max_size=3)
    if isinstance(field, fields.Dict):
        keys = st.sampled_from(["joy", "anger", "fear", "", "\0"])
        values = plausible(field.value_field) | hostile if field.value_field else junk
        whole = st.sampled_from([{"joy": 1}, {"joy": 0.5, "fear": 0.55}, {"joy": 0.94}])
        return st.dictionaries(keys, values, max_size=3) | whole
    return junk


def loads(field: fields.Field[Any], value: Any) -> bool:
    try:
        field.deserialize(value, None, {})
    except ValidationError:
        return False
    return True


def good(field: fields.Field[Any]) -> st.SearchStrategy[Any]:
    return plausible(field).filter(lambda value: loads(field, value))


@st.composite
def items(draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
    """Draw an item that is good but for one field at most, or has none of the optional ones."""
    item = {}
    faulty = draw(st.sampled_from([None, *schema.load_fields, *schema.load_fields]))
    for name, field in schema.load_fields.items():
        if name == faulty:
            if draw(st.integers(0, 9)):
                item[field.data_key or name] = draw(plausible(field) | hostile | junk)
        elif field.required or draw(st.booleans()):
            item[field.data_key or name] = draw(good(field))
    if draw(st.integers(0, 3)) == 0:
        item.update(draw(st.dictionaries(st.sampled_from(["extra", "a.b", ""]), junk, max_size=2)))
    return item


def exact(value: Any) -> Any:
    """Make a value comparable with its types, signs of zero and NaN."""
    if isinstance(value, dict):
        return type(value), {key: exact(below) for key, below in value.items()}
    if isinstance(value, list):
        return type(value), [exact(below) for below in value]
    return type(value), repr(value)


def assert_agrees(schema: Schema, item: object) -> bool:
    """Fail where the check accepts something else than marshmallow; tell whether it accepted."""
    try:
        loaded = compile_check(schema)(item)
    except Doubtful:
        return False
    try:
        expected = schema.load(item)  # type: ignore[arg-type]
    except ValidationError as error:
        raise AssertionError(f"the check accepts what is refused for {error.messages}") from error
    assert exact(loaded) == exact(expected)
    return True


SCHEMAS: list[type[Schema]] = [Size, Everything, Renamed, *plugin_schemas()]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
@settings(deadline=None, max_examples=EXAMPLES)
@given(data=st.data())
def test_the_compiled_check_accepts_only_what_marshmallow_loads_and_loads_the_same(
    schema: Any, data: st.DataObject
) -> None:
    instance = schema()
    assert_agrees(instance, data.draw(items(instance) | junk))


def test_every_compiled_schema_of_the_plugins_is_here() -> None:
    names = {cls.__name__ for cls in SCHEMAS}
    assert {"Event", "Frame", "Segment"} <= names


@pytest.mark.parametrize("schema", [Size, Everything, Renamed])
def test_the_generator_reaches_acceptance_and_doubt(schema: type[Schema]) -> None:
    instance = schema()
    seen = set()

    @settings(deadline=None, derandomize=True)
    @given(items(instance))
    def collect(item: dict[str, Any]) -> None:
        seen.add(assert_agrees(instance, item))

    collect()
    assert seen == {True, False}
