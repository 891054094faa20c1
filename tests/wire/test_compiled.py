from __future__ import annotations

from typing import Any

import pytest
from marshmallow import (
    INCLUDE,
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates,
    validates_schema,
)

from core.compiled import Code, Doubtful, NotCompilable, compile_check, validate_items
from core.fields import StrictInteger, StrictNumber, StrictString
from core.times import Timestamp


class Point(Schema):
    x = StrictNumber(required=True)
    label = StrictString(load_default="none")


class Even(fields.Integer):
    """A field as a plugin author writes it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int or value % 2:
            raise ValidationError("must be even")
        return value // 2

    def emit(self, code: Code, value: str) -> str:
        code.doubt_unless(f"type({value}) is int and {value} % 2 == 0")
        return f"{value} // 2"


def of(**declared: fields.Field[Any]) -> Schema:
    return Schema.from_dict(declared)()


def test_a_good_item_loads_as_in_marshmallow() -> None:
    check = compile_check(Point())
    assert check({"x": 1}) == {"x": 1, "label": "none"}


@pytest.mark.parametrize("item", [{}, {"x": "1"}, {"x": True}, {"x": 1, "y": 2}, [], None, "x", 5])
def test_a_doubtful_item_is_handed_on(item: object) -> None:
    with pytest.raises(Doubtful):
        compile_check(Point())(item)


def test_items_are_sorted_into_accepted_and_rejected_in_order_of_index() -> None:
    schema = Point()
    accepted, rejected = validate_items(
        compile_check(schema), schema, [{"x": 1}, {}, {"x": 2.5}, 7, {"x": None}]
    )
    assert accepted == [(0, {"x": 1, "label": "none"}), (2, {"x": 2.5, "label": "none"})]
    assert rejected == [
        (1, "Missing required field: x"),
        (3, "Invalid item: must be an object"),
        (4, "Invalid value for x: must be a number"),
    ]


def test_marshmallow_has_the_last_word_on_what_the_check_doubts() -> None:
    schema = of(n=StrictInteger(required=True))
    accepted, rejected = validate_items(compile_check(schema), schema, [{"n": 2.0}])
    assert (accepted, rejected) == ([(0, {"n": 2})], [])


def test_a_default_is_made_anew_for_every_item() -> None:
    schema = of(tags=fields.List(StrictString(), load_default=list))
    check = compile_check(schema)
    check({})["tags"].append("x")
    assert check({}) == {"tags": []}


def test_a_field_and_a_validator_of_ones_own_say_how_they_compile() -> None:
    class NotSix(validate.Validator):
        def __call__(self, value: int) -> int:
            if value == 6:
                raise ValidationError("must not be 6")
            return value

        def emit(self, code: Code, value: str) -> None:
            code.doubt_unless(f"{value} != 6")

    check = compile_check(of(n=Even(validate=NotSix())))
    assert check({"n": 8}) == {"n": 4}
    for n in (12, 3):
        with pytest.raises(Doubtful):
            check({"n": n})


def test_an_inherited_emit_does_not_speak_for_changed_behaviour() -> None:
    class Quarter(Even):
        def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
            return super()._deserialize(value) // 2

    with pytest.raises(NotCompilable, match="n: Quarter"):
        compile_check(of(n=Quarter()))


def _hooked(decorator: Any) -> type[Schema]:
    class Hooked(Schema):
        n = StrictNumber()

        @decorator  # type: ignore[untyped-decorator]
        def hook(self, data: Any, **kwargs: Any) -> Any:
            return data

    return Hooked


class Loader(Schema):
    def load(self, *args: Any, **kwargs: Any) -> Any:
        return super().load(*args, **kwargs)


class Tree(Schema):
    below = fields.Nested(lambda: Tree())  # noqa: PLW0108 - the class does not exist yet


class Renamed(Schema):
    class Meta:
        unknown = INCLUDE

    at = StrictNumber(data_key="timestamp")


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        (of(n=fields.Email()), "n: Email"),
        (of(n=fields.Integer()), "n: Integer"),
        (of(n=fields.Pluck(Point, "x")), "n: Pluck"),
        (of(n=StrictNumber(validate=lambda n: n > 1)), "n: <function"),
        (of(n=StrictString(validate=validate.Regexp("a"))), "n: <Regexp"),
        (of(n=StrictNumber(pre_load=abs)), "n has pre_load"),
        (of(n=StrictNumber(post_load=abs)), "n has pre_load or post_load"),
        (of(n=StrictNumber(attribute="a.b")), "n has a dotted attribute"),
        (of(n=fields.Nested(Point, many=True)), "n: use List"),
        (of(n=fields.List(fields.Email())), "n: Email"),
        (of(n=fields.Dict(keys=fields.Email())), "n: Email"),
        (of(n=Timestamp(not_before="start")), "start must be a required field"),
        (of(start=Timestamp(), n=Timestamp(not_before="start")), "start must be a required field"),
        (_hooked(pre_load)(), "hooks: pre_load"),
        (_hooked(post_load)(), "hooks: post_load"),
        (_hooked(validates_schema)(), "hooks: validates_schema"),
        (_hooked(validates("n"))(), "hooks: validates"),
        (Loader(), "Loader overrides load"),
        (Tree(), "Tree contains itself"),
        (Renamed(), "could overwrite a renamed field"),
        (Point(many=True), "many"),
        (Point(partial=True), "partial"),
    ],
)
def test_an_unknown_part_is_refused_at_start_up_by_name(schema: Any, part: str) -> None:
    with pytest.raises(NotCompilable) as caught:
        compile_check(schema)
    assert part in str(caught.value)


def test_unknown_fields_are_kept_dropped_or_doubted_as_the_schema_says() -> None:
    assert compile_check(Point(unknown=INCLUDE))({"x": 1, "z": [1]})["z"] == [1]
    assert "z" not in compile_check(Point(unknown="exclude"))({"x": 1, "z": [1]})
    with pytest.raises(Doubtful):
        compile_check(Point(unknown=RAISE))({"x": 1, "z": [1]})
