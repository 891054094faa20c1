"""Everything a UBI log says under one `query_id`, and the searches in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from plugins.clickstream.searches import CLICK_TYPES, Event, Result, Search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_AFTER_ALL = float("inf")


@dataclass(frozen=True, slots=True)
class Request:
    """Hold a record of `ubi_queries`: a request to the search engine and what it returned."""

    line: int
    text: str
    at: int | None
    hits: tuple[str, ...] | None
    details: Mapping[str, Any]

    @property
    def wanted_hits(self) -> bool:
        """Tell whether the request asked for hits: one of size 0 counts facets and finds none."""
        body = self.details.get("query")
        if isinstance(body, str):
            try:
                body = orjson.loads(body)
            except orjson.JSONDecodeError:
                return True
        return not (isinstance(body, dict) and body.get("size") == 0)


@dataclass(frozen=True, slots=True)
class Action:
    """Hold a record of `ubi_events`."""

    line: int
    event_id: str
    name: str
    object_id: str
    ordinal: int | None
    at: int | None
    text: str
    message: str
    user_id: str
    details: Mapping[str, Any]

    @property
    def place(self) -> tuple[float, float, int]:
        """Order what was shown: by ordinal, then by time, then as logged."""
        ordinal = _AFTER_ALL if self.ordinal is None else self.ordinal
        return ordinal, _AFTER_ALL if self.at is None else self.at, self.line


@dataclass(slots=True)
class _Draft:
    text: str
    requests: list[Request] = field(default_factory=list)
    impressions: list[Action] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    @property
    def start(self) -> int | None:
        requested = [request.at for request in self.requests if request.at is not None]
        seen = [action.at for action in self.impressions + self.actions if action.at is not None]
        return min(requested or seen, default=None)


@dataclass(slots=True)
class QueryGroup:
    """Collect the records of one `query_id`.

    An application may reuse a `query_id` while the user rewrites the query; each text is then a
    search of its own.
    """

    requests: list[Request] = field(default_factory=list)
    impressions: list[Action] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def take_blank_requests(self) -> list[Request]:
        """Take out the requests without a text if others have one: an emptied search box."""
        written = [request for request in self.requests if request.text.strip()]
        if not written:
            return []
        blank = [request for request in self.requests if not request.text.strip()]
        self.requests = written
        return blank

    def searches(self, query_id: str, now: int) -> Iterator[Search]:
        """Give the searches, the first one under the `query_id` itself.

        Later texts get the `query_id` with a digest of the text, so that a second import names
        them alike.
        """
        drafts = self._drafts()
        for index, draft in enumerate(drafts):
            name = query_id if index == 0 else f"{query_id[:240]}~{_short_digest(draft.text)}"
            yield _search(name, draft, now)

    def _drafts(self) -> list[_Draft]:
        drafts = {text: _Draft(text) for text in self._texts()}
        first = next(iter(drafts.values()))
        for request in self.requests:
            drafts.get(request.text, first).requests.append(request)
        by_start = sorted(
            drafts.values(), key=lambda draft: (draft.start is not None, draft.start or 0)
        )
        for action in self.impressions:
            _owner(action, drafts, by_start).impressions.append(action)
        for action in self.actions:
            _owner(action, drafts, by_start).actions.append(action)
        return list(drafts.values())

    def _texts(self) -> Sequence[str]:
        """Find the query texts: the requests', or the events', or the last one typed."""
        for texts in (
            [request.text for request in self.requests],
            [action.text for action in self.impressions + self.actions],
        ):
            written = list(dict.fromkeys(text for text in texts if text.strip()))
            if written:
                return written
        typed = [
            (action.at or 0, action.line, action.message)
            for action in self.actions
            if action.message.strip() and action.details.get("message_type") == "QUERY"
        ]
        return [max(typed)[2]] if typed else [""]


def _owner(action: Action, drafts: Mapping[str, _Draft], by_start: Sequence[_Draft]) -> _Draft:
    named = drafts.get(action.text)
    if named is not None:
        return named
    owner = by_start[0]
    for draft in by_start:
        if action.at is not None and draft.start is not None and draft.start <= action.at:
            owner = draft
    return owner


def _search(session_id: str, draft: _Draft, now: int) -> Search:
    start = draft.start
    at = now if start is None else start
    actions = sorted(draft.actions, key=lambda action: (action.at or at, action.line))
    users = [action.user_id for action in draft.impressions + actions if action.user_id]
    clients = [str(request.details.get("client_id") or "") for request in draft.requests]
    return Search(
        session_id=session_id,
        query=draft.text,
        at=at,
        results=_results(draft),
        events=tuple(_event(action, at) for action in actions),
        user_id=next(iter([*users, *filter(None, clients)]), None),
        search_meta=dict(draft.requests[0].details) if draft.requests else None,
    )


def _event(action: Action, at: int) -> Event:
    meta = dict(action.details) or None
    return Event(
        action.event_id, action.object_id, action.name, at if action.at is None else action.at, meta
    )


def _results(draft: _Draft) -> tuple[Result, ...] | None:
    """Work out what was shown; None where the log does not say.

    Impressions first, with what was clicked beside them, since a click proves that the result was
    shown. Without impressions the hits of the requests. An empty list takes a request that wanted
    hits and got none, or an event that counted none.
    """
    clicked = [
        action for action in draft.actions if action.name in CLICK_TYPES and action.object_id
    ]
    if draft.impressions:
        shown = sorted(draft.impressions + clicked, key=lambda action: action.place)
        impressed = {action.object_id: action for action in reversed(draft.impressions)}
        unique = dict.fromkeys(action.object_id for action in shown)
        first = {action.object_id: action for action in reversed(shown)}
        return tuple(_shown(impressed.get(key, first[key])) for key in unique)
    hits = dict.fromkeys(
        hit
        for request in sorted(draft.requests, key=lambda request: (request.at or 0, request.line))
        for hit in request.hits or ()
    )
    if hits:
        return tuple(Result(hit, float(at)) for at, hit in enumerate(hits, start=1))
    return () if _found_nothing(draft) and not clicked else None


def _found_nothing(draft: _Draft) -> bool:
    counts = [_result_count(action) for action in draft.actions]
    if any(counts):
        return False
    empty = any(request.hits == () and request.wanted_hits for request in draft.requests)
    return empty or 0 in counts


def _result_count(action: Action) -> int | None:
    attributes = action.details.get("event_attributes")
    count = attributes.get("result_count") if isinstance(attributes, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _shown(action: Action) -> Result:
    attributes = action.details.get("event_attributes")
    thing = attributes.get("object") if isinstance(attributes, dict) else None
    meta = {key: value for key, value in (thing or {}).items() if key != "object_id"}
    rank = None if action.ordinal is None else float(action.ordinal)
    return Result(action.object_id, rank, meta or None)


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
