"""Read the bodies of requests: the compiled check first, marshmallow for the reason."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from core import Doubtful, Invalid, compile_check, request_json
from plugins.clickstream.payloads import fragment, json_text
from plugins.clickstream.schemas import (
    EventsPushSchema,
    ReleaseSchema,
    SessionCreateSchema,
    SessionRefSchema,
)
from plugins.clickstream.services import NewEvent, NewSearch, check_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from marshmallow import Schema


def read_search() -> Callable[[], NewSearch]:
    """Give what makes the search of a create request; raises Invalid.

    Times are checked against the window only when it is called, so that a replayed answer needs no valid time.
    """
    body = _load(SessionCreateSchema)

    def build() -> NewSearch:
        at, unit = check_time(body["created_at"])
        sort_by = body["sort_by"]
        return NewSearch(
            session_id=body["session_id"],
            query=body["search_query"],
            results=[
                result | {"meta": fragment(result["meta"])} for result in body["search_results"]
            ],
            at=at,
            unit=unit,
            user_id=body["user_id"],
            search_meta=body["search_meta"],
            payload_filter=body["payload_filter"],
            sort_by=None if sort_by is None else json_text(sort_by),
        )

    return build


def read_events() -> tuple[str, Callable[[], list[NewEvent]]]:
    """Give the session id of a push request and what makes its events; raises Invalid."""
    body = _load(EventsPushSchema)

    def build() -> list[NewEvent]:
        return [
            NewEvent(
                event["event_id"],
                event["object_id"],
                event["event_type"],
                *check_time(event["created_at"]),
                event["meta"],
            )
            for event in body["events"]
        ]

    return body["session_id"], build


def read_session_id() -> str:
    """Give the session that a request names; raises Invalid."""
    session_id: str = _load(SessionRefSchema)["session_id"]
    return session_id


def read_release_id() -> str:
    """Give the release that a request names; raises Invalid."""
    release_id: str = _load(ReleaseSchema)["release_id"]
    return release_id


@cache
def _checker(schema: type[Schema]) -> tuple[Schema, Callable[[object], dict[str, Any]]]:
    instance = schema()
    return instance, compile_check(instance)


def _load(schema: type[Schema]) -> dict[str, Any]:
    body = request_json()
    instance, check = _checker(schema)
    try:
        return check(body)
    except Doubtful:
        pass
    try:
        loaded: dict[str, Any] = instance.load(body)
    except ValidationError as error:
        raise Invalid(errors={"json": error.messages}) from error
    return loaded
