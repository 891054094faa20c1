"""What the server promises, in memory and in so few words that one sees that it is right: no time, no threads.

An account has sessions, a session has items by their own key, and of two items with one key the first stays. What is
told of a session is a set of references that wait until a worker runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.resilience.picture import START, canonical, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.resilience.picture import Request

ENGAGING = ("click", "purchase")


class Expected(NamedTuple):
    """Say how a request must be answered: the status, and what must be in the body."""

    status: int
    body: Any = None


class Offered(NamedTuple):
    """Hold an item as it is sent; `key` tells it from others of its session, None says that it cannot be taken."""

    body: Any
    at: str = ""
    key: Any = None


class Kept(NamedTuple):
    """Hold the answer to a request with an `Idempotency-Key`, and the session it is erased with."""

    request: Request
    session: str | None
    body: bytes


@dataclass
class Memory:
    """Hold everything about one session."""

    items: dict[tuple[str, Any], Offered] = field(default_factory=dict)
    felt: dict[Any, dict[str, Any]] = field(default_factory=dict)
    search: dict[str, Any] | None = None
    is_irrelevant: bool = False
    clicks: dict[str, dict[str, Any]] = field(default_factory=dict)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    recordings: list[list[tuple[str, float]]] = field(default_factory=list)
    waiting: set[Any] = field(default_factory=set)
    told: set[Any] = field(default_factory=set)

    @property
    def has_mood(self) -> bool:
        """Tell whether there is anything that a mood can follow from."""
        return bool(self.felt or self.told)

    @property
    def shown(self) -> list[str]:
        """List the objects that the search showed."""
        return [each["object_id"] for each in (self.search or {}).get("search_results", [])]

    @property
    def is_engaged(self) -> bool:
        """Tell whether anything was clicked or bought."""
        return any(click["event_type"] in ENGAGING for click in self.clicks.values())

    @property
    def clicked(self) -> list[int]:
        """List the positions of the results that were clicked, in the order of time."""
        clicks = sorted(self.clicks.values(), key=lambda click: int(click["created_at"]))
        return [
            self.shown.index(click["object_id"]) + 1
            for click in clicks
            if click["event_type"] == "click" and click["object_id"] in self.shown
        ]

    def timeline(self) -> list[str]:
        """Return the entries of the timeline in an order of their own, without changes of the mood."""
        entries: list[dict[str, Any]] = [
            {"at": item.at, "source": "ingestion", "kind": kind, "data": item.body}
            for (kind, _), item in self.items.items()
        ]
        for event in self.felt.values():
            data = {name: event[name] for name in event if name not in {"type", "ts", "id"}}
            at = iso(event["ts"] - START)
            entries.append({"at": at, "source": "mood", "kind": event["type"], "data": data})
        entries += [{"source": "mood", "kind": "feedback", "data": each} for each in self.feedback]
        if self.search is not None:
            outcome = "engaged" if self.is_engaged else "open" if self.shown else "empty"
            data = {
                "query": self.search["search_query"],
                "results_known": True,
                "outcome": outcome,
                "is_irrelevant": self.is_irrelevant,
            }
            at = iso(self.search["created_at"] / 1000 - START)
            entries.append({"at": at, "source": "clickstream", "kind": "search", "data": data})
        for click in self.clicks.values():
            data = {name: click[name] for name in ("event_id", "object_id", "event_type")}
            at = iso(click["created_at"] / 1000 - START)
            entries.append({"at": at, "source": "clickstream", "kind": "event", "data": data})
        for signals in self.recordings:
            for signal, start in signals:
                data = {
                    "signal_type": signal,
                    "start": start,
                    "end": None,
                    "probability": "high",
                    "rationale": "",
                }
                at = iso(start)
                entries.append({"at": at, "source": "stream", "kind": "signal", "data": data})
        return sorted(canonical(entry) for entry in entries)


@dataclass
class Account:
    """Hold the sessions of an account, those it erased, and the answers that are kept for repeats."""

    sessions: dict[str, Memory] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str], Kept] = field(default_factory=dict)

    def ingest(self, session: str, kind: str, batch: Sequence[Offered]) -> Expected:
        """Take the items that can be taken."""
        good = [item for item in batch if item.key is not None]
        bad = [index for index, item in enumerate(batch) if item.key is None]
        if good and session in self.erased:
            return Expected(410)
        for item in good:
            memory = self._touch(session)
            if (kind, item.key) not in memory.items:
                memory.items[kind, item.key] = item
                memory.waiting.add((kind, item.key))
        return Expected(200, {"accepted": len(good), "rejected": bad})

    def feel(self, session: str, events: Sequence[dict[str, Any]], *, is_good: bool) -> Expected:
        """Take all events or none."""
        if not is_good:
            return Expected(400)
        if session in self.erased:
            return Expected(410)
        felt = self._touch(session).felt
        for event in events:
            felt.setdefault(event.get("id", len(felt)), event)
        return Expected(200, {"events_stored": len(events), "total_events": len(felt)})

    def find(self, search: dict[str, Any]) -> Expected:
        """Take a search; of a repeat the first stays."""
        session = search["session_id"]
        if session in self.erased:
            return Expected(410)
        memory = self._touch(session)
        if memory.search is None:
            memory.search = search
            if not memory.shown:
                memory.waiting.add("zero results")
            self._tell_clicks(memory, memory.clicks.values())
        return Expected(200)

    def click(self, session: str, events: Sequence[dict[str, Any]]) -> Expected:
        """Take what was done with the results; the search may come later."""
        if not events:
            return Expected(200)
        if session in self.erased:
            return Expected(410)
        memory = self._touch(session)
        fresh: dict[str, dict[str, Any]] = {}
        for event in events:
            if event["event_id"] not in memory.clicks:
                fresh.setdefault(event["event_id"], event)
        memory.clicks |= fresh
        if memory.search is not None and not memory.is_irrelevant:
            self._tell_clicks(memory, fresh.values())
        return Expected(200)

    def mark_irrelevant(self, session: str) -> Expected:
        """Take a search out of the metrics."""
        memory = self.sessions.get(session)
        if memory is None or memory.search is None:
            return Expected(404)
        memory.is_irrelevant = True
        return Expected(200)

    def judge(self, session: str, feedback: dict[str, Any]) -> Expected:
        """Take feedback on a session that has a mood."""
        memory = self.sessions.get(session)
        if memory is None or not memory.has_mood:
            return Expected(404)
        memory.feedback.append(feedback)
        return Expected(200, {"feedback_recorded": True})

    def record(self, session: str) -> Expected:
        """Begin a recording, in which nothing is seen yet."""
        if session in self.erased:
            return Expected(410)
        self._touch(session).recordings.append([])
        return Expected(200)

    def see(self, session: str, recording: int, signals: list[tuple[str, float]]) -> Expected:
        """Take what was seen in a recording."""
        if session in self.erased:
            return Expected(410)
        memory = self.sessions[session]
        memory.waiting |= {("video", recording, *signal) for signal in signals}
        memory.recordings[recording] = signals
        return Expected(200)

    def erase(self, session: str) -> Expected:
        """Forget a session for good."""
        if session not in self.sessions:
            return Expected(404)
        del self.sessions[session]
        self.erased.add(session)
        self.answers = {
            name: kept for name, kept in self.answers.items() if kept.session != session
        }
        return Expected(200, {"deleted": True})

    def drain(self) -> None:
        """Tell everything that waits."""
        for memory in self.sessions.values():
            memory.told |= memory.waiting
            memory.waiting.clear()

    def metrics(self) -> dict[str, Any]:
        """Return how good the searches were: numbers of searches, and the values."""
        searches = [each for each in self.sessions.values() if each.search is not None]
        counted = [each for each in searches if not each.is_irrelevant]
        shown = [each for each in counted if each.shown]
        clicked = [each.clicked for each in shown if each.clicked]
        firsts = [positions[0] for positions in clicked]
        best = [1 / min(positions) for positions in clicked]
        return {
            "searches": len(counted),
            "zero_result_rate": _share(len(counted) - len(shown), len(counted)),
            "ctr_at_k": _share(len(clicked), len(shown)),
            "mean_first_click_rank": fmean(firsts) if firsts else None,
            "mrr": _share(sum(best), len(shown)),
            "abandonment_rate": _share(sum(not each.is_engaged for each in shown), len(shown)),
            "orphan_events": sum(
                len(each.clicks) for each in self.sessions.values() if each.search is None
            ),
        }

    def _touch(self, session: str) -> Memory:
        return self.sessions.setdefault(session, Memory())

    @staticmethod
    def _tell_clicks(memory: Memory, clicks: Iterable[dict[str, Any]]) -> None:
        memory.waiting |= {
            ("click", click["event_id"])
            for click in clicks
            if click["event_type"] == "click" and click["object_id"] in memory.shown
        }


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
