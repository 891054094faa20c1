"""The compiled check: a good item in one straight run of Python, every doubt to marshmallow.

The schema stays the only source of truth. At start-up `compile_check` walks its fields and writes
the source of a function that accepts what is certainly good and raises `Doubtful` on everything
else; then `schema.load` decides, and says why. A field class, validator or hook that the compiler
does not know is refused at start-up, never guessed.

A field of one's own compiles by having `emit(code, value) -> str`, a validator by
`emit(code, value) -> None`; see `Emits`. `emit` must be defined on the same class as the behaviour
that it mirrors, or on a subclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from marshmallow import (
    EXCLUDE,
    INCLUDE,
    Schema,
    ValidationError,
    fields,
    missing,
    types,
    validate,
)

from core.fields import StrictDict
from core.reasons import reasons

Check = Callable[[object], dict[str, Any]]


class Doubtful(Exception):
    """Say that the compiled check cannot vouch for an item; marshmallow decides."""


class NotCompilable(TypeError):
    """Say at start-up which part of a schema the compiler does not know."""


@runtime_checkable
class Emits(Protocol):
    """What a field or validator offers to be compiled."""

    def emit(self, code: Code, value: str) -> str | None:
        """Write statements that pass for good values only; return the loaded value's expression.

        `value` is the name of a local. A statement may raise Doubtful, KeyError, TypeError,
        ValueError or OverflowError: all of them mean doubt. What passes must load to the same value
        and type as in marshmallow. A validator returns nothing.
        """


class Code:
    """Collect the source of one check."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"Doubtful": Doubtful, "MISSING": missing}
        self._lines: list[str] = []
        self._depth = 2
        self._locals = 0
        self._siblings: dict[str, str] = {}

    def line(self, text: str) -> None:
        """Write one statement."""
        self._lines.append("    " * self._depth + text)

    def doubt_unless(self, condition: str) -> None:
        """Write: unless `condition` holds, marshmallow decides."""
        self.line(f"if not ({condition}): raise Doubtful")

    def local(self) -> str:
        """Return the name of a fresh local variable."""
        self._locals += 1
        return f"v{self._locals}"

    def bind(self, value: object) -> str:
        """Return a name under which the check finds `value`."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def sibling(self, key: str) -> str:
        """Return the loaded value of an earlier required field of the same object."""
        try:
            return self._siblings[key]
        except KeyError:
            raise NotCompilable(f"{key} must be a required field that stands before") from None

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Write `header:` and indent what follows."""
        self.line(f"{header}:")
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def siblings(self) -> Iterator[dict[str, str]]:
        """Open the scope of one object's fields."""
        outer, self._siblings = self._siblings, {}
        yield self._siblings
        self._siblings = outer

    def build(self, name: str, result: str) -> Check:
        """Turn the source into a function."""
        source = "\n".join(
            [
                "def check(item):",
                "    try:",
                *self._lines,
                f"        return {result}",
                "    except (KeyError, TypeError, ValueError, OverflowError):",
                "        raise Doubtful from None",
            ]
        )
        exec(compile(source, f"<compiled {name}>", "exec"), self.names)  # noqa: S102 - our own source
        check: Check = self.names["check"]
        return check


def compile_check(schema: Schema) -> Check:
    """Return a function that loads a good item like `schema.load` and raises Doubtful on others.

    Raises NotCompilable, with the field's name, when a part of the schema is unknown.
    """
    code = Code()
    result = _emit_schema(code, schema, schema.unknown, "item", ())
    return code.build(type(schema).__name__, result)


def validate_items(
    check: Check, schema: Schema, items: Sequence[object]
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str]]]:
    """Sort items into (index, loaded) and (index, reason), both in order of index."""
    accepted: list[tuple[int, dict[str, Any]]] = []
    rejected: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        try:
            accepted.append((index, check(item)))
        except Doubtful:
            try:
                accepted.append((index, schema.load(item)))  # type: ignore[arg-type]  # any JSON
            except ValidationError as error:
                rejected.append((index, reasons(schema, error.messages_dict)))
    return accepted, rejected


_SCHEMA_METHODS = ("load", "_do_load", "_deserialize", "_call_and_store", "handle_error")
_FIELD_METHODS = ("deserialize", "_deserialize", "_validate", "_validate_all", "_validate_missing")
_LOAD_HOOKS = ("pre_load", "post_load", "validates", "validates_schema")


def _emit_schema(
    code: Code, schema: Schema, unknown: types.UnknownOption, value: str, above: tuple[type, ...]
) -> str:
    _refuse_unknown_schema(schema, above)
    known = {f.data_key if f.data_key is not None else n: n for n, f in schema.load_fields.items()}
    code.doubt_unless(f"type({value}) is dict")
    loaded = code.local()
    code.line(f"{loaded} = {{}}")
    with code.siblings() as siblings:
        for key, name in known.items():
            field = schema.load_fields[name]
            where = f"{type(schema).__name__}.{name}"
            target = f"{loaded}[{field.attribute or name!r}]"
            found = code.local()
            if field.required:
                code.line(f"{found} = {value}[{key!r}]")
                expression = _emit_field(code, field, found, where, (*above, type(schema)))
                code.line(f"{target} = {expression}")
                siblings[key] = expression
                continue
            code.line(f"{found} = {value}.get({key!r}, MISSING)")
            with code.block(f"if {found} is not MISSING"):
                expression = _emit_field(code, field, found, where, (*above, type(schema)))
                code.line(f"{target} = {expression}")
            if field.load_default is not missing:
                default = code.bind(field.load_default)
                with code.block("else"):
                    code.line(f"{target} = {default}{'()' * callable(field.load_default)}")
    if unknown == INCLUDE:
        if any(key != (schema.load_fields[name].attribute or name) for key, name in known.items()):
            raise NotCompilable(
                f"{type(schema).__name__}: with unknown=INCLUDE "
                "a client's key could overwrite a renamed field"
            )
        with code.block(f"for key in {value}.keys() - {code.bind(frozenset(known))}"):
            code.line(f"{loaded}[key] = {value}[key]")
    elif unknown != EXCLUDE:
        code.doubt_unless(f"{value}.keys() <= {code.bind(frozenset(known))}")
    return loaded


def _refuse_unknown_schema(schema: Schema, above: tuple[type, ...]) -> None:
    name = type(schema).__name__
    if type(schema) in above:
        raise NotCompilable(f"{name} contains itself")
    if schema.many or schema.partial or schema.dict_class is not dict:
        raise NotCompilable(f"{name}: many, partial and other mappings than dict are not known")
    if hooks := [hook for hook in _LOAD_HOOKS if schema._hooks[hook]]:  # noqa: SLF001
        raise NotCompilable(f"{name} has hooks: {', '.join(hooks)}")
    for method in _SCHEMA_METHODS:
        if getattr(type(schema), method) is not getattr(Schema, method):
            raise NotCompilable(f"{name} overrides {method}")


def _emit_field(
    code: Code, field: fields.Field[Any], value: str, where: str, above: tuple[type, ...]
) -> str:
    if field.pre_load or field.post_load:
        raise NotCompilable(f"{where} has pre_load or post_load")
    if "." in (field.attribute or ""):
        raise NotCompilable(f"{where} has a dotted attribute")
    if not field.allow_none:
        return _emit_value(code, field, value, where, above)
    result = code.local()
    with code.block(f"if {value} is None"):
        code.line(f"{result} = None")
    with code.block("else"):
        code.line(f"{result} = {_emit_value(code, field, value, where, above)}")
    return result


def _emit_value(
    code: Code, field: fields.Field[Any], value: str, where: str, above: tuple[type, ...]
) -> str:
    loaded: str | None
    if stock := _STOCK_FIELDS.get(type(field)):
        loaded = stock(code, field, value, where, above)
    elif isinstance(field, Emits) and _speaks_for(type(field), _FIELD_METHODS):
        loaded = field.emit(code, value)
    else:
        loaded = None
    if loaded is None:
        raise NotCompilable(f"{where}: {type(field).__name__} does not say how it compiles")
    for validator in field.validators:
        if stock_validator := _STOCK_VALIDATORS.get(type(validator)):
            stock_validator(code, validator, loaded)
        elif isinstance(validator, Emits) and _speaks_for(type(validator), ("__call__",)):
            validator.emit(code, loaded)
        else:
            raise NotCompilable(f"{where}: {validator!r} does not say how it compiles")
    return loaded


def _speaks_for(cls: type, methods: Sequence[str]) -> bool:
    """Tell whether `emit` is at least as new in the class's line as each method that it mirrors."""
    line = cls.__mro__

    def depth(name: str) -> int:
        return next((i for i, c in enumerate(line) if name in vars(c)), len(line))

    return all(depth("emit") <= depth(method) for method in methods)


def _emit_raw(code: Code, _field: Any, value: str, *_: Any) -> str:
    code.doubt_unless(f"{value} is not None")
    return value


def _emit_string(code: Code, _field: Any, value: str, *_: Any) -> str:
    code.doubt_unless(f"type({value}) is str")
    return value


def _emit_nested(
    code: Code, field: fields.Nested, value: str, where: str, above: tuple[type, ...]
) -> str:
    if field.many or field.schema.many:
        raise NotCompilable(f"{where}: use List(Nested(…)) instead of many=True")
    unknown = field.schema.unknown if field.unknown is None else field.unknown
    return _emit_schema(code, field.schema, unknown, value, above)


def _emit_list(
    code: Code, field: fields.List[Any], value: str, where: str, above: tuple[type, ...]
) -> str:
    code.doubt_unless(f"type({value}) is list")
    loaded, item = code.local(), code.local()
    code.line(f"{loaded} = []")
    with code.siblings(), code.block(f"for {item} in {value}"):
        code.line(f"{loaded}.append({_emit_field(code, field.inner, item, where, above)})")
    return loaded


def _emit_dict(
    code: Code, field: fields.Dict, value: str, where: str, above: tuple[type, ...]
) -> str:
    code.doubt_unless(f"type({value}) is dict")
    loaded, key, item = code.local(), code.local(), code.local()
    code.line(f"{loaded} = {{}}")
    with code.siblings(), code.block(f"for {key}, {item} in {value}.items()"):
        new_key, new_item = key, item
        if field.key_field is not None:
            new_key = _emit_field(code, field.key_field, key, where, above)
        if field.value_field is not None:
            new_item = _emit_field(code, field.value_field, item, where, above)
        code.line(f"{loaded}[{new_key}] = {new_item}")
    return loaded


def _emit_strict_dict(
    code: Code, field: StrictDict, value: str, where: str, above: tuple[type, ...]
) -> str:
    low, high = field.sizes
    code.doubt_unless(f"{low} <= len({value}) <= {high}")
    return _emit_dict(code, field, value, where, above)


def _emit_range(code: Code, validator: validate.Range, value: str) -> None:
    if validator.min is not None:
        sign = ">=" if validator.min_inclusive else ">"
        code.doubt_unless(f"{value} {sign} {code.bind(validator.min)}")
    if validator.max is not None:
        sign = "<=" if validator.max_inclusive else "<"
        code.doubt_unless(f"{value} {sign} {code.bind(validator.max)}")


def _emit_length(code: Code, validator: validate.Length, value: str) -> None:
    for sign, bound in (("==", validator.equal), (">=", validator.min), ("<=", validator.max)):
        if bound is not None:
            code.doubt_unless(f"len({value}) {sign} {bound}")


def _emit_one_of(code: Code, validator: validate.OneOf, value: str) -> None:
    code.doubt_unless(f"{value} in {code.bind(frozenset(validator.choices))}")


_STOCK_FIELDS: dict[type, Callable[[Code, Any, str, str, tuple[type, ...]], str]] = {
    fields.Raw: _emit_raw,
    fields.String: _emit_string,
    fields.Nested: _emit_nested,
    fields.List: _emit_list,
    fields.Dict: _emit_dict,
    StrictDict: _emit_strict_dict,
}
_STOCK_VALIDATORS: dict[type, Callable[[Code, Any, str], None]] = {
    validate.Range: _emit_range,
    validate.Length: _emit_length,
    validate.OneOf: _emit_one_of,
}
