"""What is wrong with an item, in sentences: marshmallow's messages in the order of the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from marshmallow import Schema, fields

#: Faults told of one item; a hostile item could have thousands.
MAX_FAULTS = 10
#: Characters of a client's own key that are repeated to it.
MAX_KEY = 64

_MISSING = fields.Field.default_error_messages["required"]
#: Marshmallow's own texts, for fields that have none of the house's.
_TEXTS = {
    fields.Field.default_error_messages["null"]: "must not be null",
    fields.List.default_error_messages["invalid"]: "must be a list",
    fields.Mapping.default_error_messages["invalid"]: "must be an object",
    fields.Nested.default_error_messages["type"]: "must be a list",
    "Invalid input type.": "must be an object",
    "Unknown field.": "is not a known field",
}


def reasons(schema: Schema, errors: Mapping[str, Any]) -> str:
    """Return the faults of one item as one line, such as `Missing required field: eventType`.

    `errors` is `ValidationError.messages` of `schema.load(item)`. Nested fields are named by path
    (`viewport.width`, `items[3].rank`); several faults are joined by `; ` in the schema's order.
    """
    faults = _schema_faults(schema, errors, "")
    told = list(islice(faults, MAX_FAULTS))
    if more := sum(1 for _ in faults):
        told.append(f"and {more} more")
    return "; ".join(told)


def _schema_faults(schema: Schema, errors: Mapping[str, Any], path: str) -> Iterator[str]:
    told = set()
    for name, field in schema.load_fields.items():
        key = field.data_key if field.data_key is not None else name
        if key in errors:
            told.add(key)
            yield from _field_faults(field, errors[key], f"{path}.{key}" if path else key)
    for key, below in errors.items():
        if key == "_schema":
            yield from _messages(below, path)
        elif key not in told:
            yield from _field_faults(None, below, f"{path}.{_short(key)}" if path else _short(key))


def _field_faults(field: fields.Field[Any] | None, errors: Any, path: str) -> Iterator[str]:
    if not isinstance(errors, Mapping):
        yield from _messages(errors, path)
    elif isinstance(field, fields.Nested) and not (field.many or field.schema.many):
        yield from _schema_faults(field.schema, errors, path)
    elif isinstance(field, fields.Mapping):
        for key, parts in errors.items():
            for side, inner in (("key", field.key_field), ("value", field.value_field)):
                if side in parts:
                    yield from _field_faults(inner, parts[side], f"{path}.{_short(key)}")
    else:
        inner = field.inner if isinstance(field, fields.List) else None
        for key, below in errors.items():
            if key == "_schema":
                yield from _messages(below, path)
            elif isinstance(field, fields.Nested) and isinstance(below, Mapping):
                yield from _schema_faults(field.schema, below, f"{path}[{key}]")
            else:
                step = f"[{key}]" if isinstance(key, int) else f".{_short(key)}"
                yield from _field_faults(inner, below, path + step)


def _messages(messages: Any, path: str) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else [messages]:
        if message == _MISSING:
            yield f"Missing required field: {path}"
        else:
            text = _TEXTS.get(message, message) if isinstance(message, str) else message
            yield f"Invalid value for {path}: {text}" if path else f"Invalid item: {text}"


def _short(key: object) -> str:
    text = str(key)
    return text if len(text) <= MAX_KEY else f"{text[:MAX_KEY]}…"
