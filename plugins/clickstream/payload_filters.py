"""Recognise the structured form of a payload filter; what is not recognised is kept all the same.

`{"query": form}`, where a form is one of `match`, `match_phrase`, `wildcard` `{field, value: str}`; `term` `{field,
value: scalar}`; `terms`, `any`, `all` `{field, values: [scalar]}`; exists `{field}`; range `{field, range: {gte, lte,
gt, lt, eq}}`; `bool` `{must, should, filter, must_not: [form]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CLAUSES = frozenset({"must", "should", "filter", "must_not"})
BOUNDS = frozenset({"gte", "lte", "gt", "lt", "eq"})


def fields_of(payload_filter: Mapping[str, Any] | None) -> frozenset[str] | None:
    """Name the payload fields that a filter looks at, or None when its form is not recognised.

    A plain object such as `{"task": "text-classification"}` is recognised as looking at its keys.
    """
    if not payload_filter:
        return frozenset()
    if "query" not in payload_filter:
        return frozenset(payload_filter)
    fields: set[str] = set()
    # A filter may be nested as deep as JSON goes: no recursion.
    stack = [payload_filter["query"]]
    while stack:
        form = stack.pop()
        if not isinstance(form, dict):
            return None
        clauses = _clauses_of(form)
        if clauses is not None:
            stack.extend(clauses)
            continue
        field = _field_of(form)
        if field is None:
            return None
        fields.add(field)
    return frozenset(fields)


def _clauses_of(form: Mapping[str, Any]) -> list[Any] | None:
    """Give the forms inside a `bool`, however it is written: `{"bool": {…}}` or the clauses bare."""
    body = form.get("bool", form)
    if not isinstance(body, dict) or not body.keys() <= CLAUSES:
        return None
    if not all(isinstance(value, list) or value is None for value in body.values()):
        return None
    return [inner for value in body.values() for inner in value or ()]


def _field_of(form: Mapping[str, Any]) -> str | None:
    for name, accepts in _FORMS.items():
        body = form.get(name)
        if isinstance(body, dict) and accepts(body):
            field = body.get("field")
            return field if isinstance(field, str) else None
    field = form.get("field")
    if not isinstance(field, str):
        return None
    bounds = form.get("range", {})
    return field if isinstance(bounds, dict) and all(_bounds(bounds)) else None


def _bounds(bounds: Mapping[str, Any]) -> Iterator[bool]:
    for name, bound in bounds.items():
        yield name in BOUNDS and (bound is None or _is_number(bound))


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("value"), str)


def _scalar(body: Mapping[str, Any]) -> bool:
    return _is_scalar(body.get("value"))


def _scalars(body: Mapping[str, Any]) -> bool:
    values = body.get("values")
    return isinstance(values, list) and all(map(_is_scalar, values))


_FORMS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "match": _text,
    "match_phrase": _text,
    "wildcard": _text,
    "term": _scalar,
    "terms": _scalars,
    "any": _scalars,
    "all": _scalars,
    "exists": lambda _body: True,
}
