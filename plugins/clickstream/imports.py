"""Import UBI logs as searches and events; importing twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from core import SessionErased, now, transaction
from plugins.clickstream.moments import MILLISECOND
from plugins.clickstream.payloads import json_text
from plugins.clickstream.services import NewEvent, NewSearch, create_search, push_events
from plugins.clickstream.ubi import Reading, read_ubi

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from plugins.clickstream.searches import Search

PER_TRANSACTION = 100
"""Searches stored together, so that requests get their turn in between."""


@dataclass(slots=True)
class Import:
    """Hold what was read and what of it was new."""

    reading: Reading = field(default_factory=Reading)
    new_searches: int = 0
    known_searches: int = 0
    new_events: int = 0
    known_events: int = 0
    erased_searches: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain data."""
        return {
            "new_searches": self.new_searches,
            "known_searches": self.known_searches,
            "new_events": self.new_events,
            "known_events": self.known_events,
            "erased_searches": self.erased_searches,
            "read": self.reading.as_dict(),
        }


def read_log(lines: Iterable[bytes | str], report: Import) -> Iterator[Search]:
    """Read the searches of a UBI log; see `read_ubi`."""
    moment = now()
    return read_ubi(lines, report.reading, now=moment - moment % MILLISECOND)


def store_searches(account_id: int, searches: Iterable[Search], report: Import) -> Iterator[int]:
    """Store searches and give, after each transaction, how many went into it.

    History is no evidence: it says nothing about how a user feels now.
    """
    waiting = iter(searches)
    while part := list(islice(waiting, PER_TRANSACTION)):
        with transaction():
            for search in part:
                _store(account_id, search, report)
        yield len(part)


def _store(account_id: int, search: Search, report: Import) -> None:
    try:
        _, is_new = create_search(account_id, _new_search(search))
        events = [
            NewEvent(e.event_id, e.object_id, e.event_type, e.at, MILLISECOND, _text(e.meta))
            for e in search.events
        ]
        stored = push_events(account_id, search.session_id, events, imported=True)
    except SessionErased:
        report.erased_searches += 1
        return
    report.new_searches += is_new
    report.known_searches += not is_new
    report.new_events += stored
    report.known_events += len(events) - stored


def _new_search(search: Search) -> NewSearch:
    return NewSearch(
        session_id=search.session_id,
        query=search.query,
        results=[
            {"object_id": result.object_id, "rank": result.rank, "meta": result.meta}
            for result in search.results or ()
        ],
        at=search.at,
        unit=MILLISECOND,
        user_id=search.user_id,
        search_meta=_text(search.search_meta),
        results_known=search.results is not None,
        imported=True,
    )


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json_text(value)
