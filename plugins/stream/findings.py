"""What was found in recordings: kept as it is found, read by session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from core import (
    Evidence,
    Session,
    SessionErased,
    TimelineEntry,
    after_commit,
    current,
    fetch_all,
    get_session,
    isoformat,
    lock_session,
    now,
    record_evidence,
    transaction,
)
from plugins.stream.analysis.findings import (
    EngagementUpdated,
    QualityUpdated,
    SignalDetected,
    SignalEnded,
    SignalUpdated,
    to_evidence,
)
from plugins.stream.analysis.rules import PROBABILITIES
from plugins.stream.models import Engagement, Quality, Recording, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import peewee

    from plugins.stream.analysis.findings import Finding, Result
    from plugins.stream.services import Take

SECOND: Final = 1_000_000
SOURCE: Final = "stream"
RANKS: Final[tuple[str, ...]] = PROBABILITIES
MAX_RECORDINGS: Final = 100
"""Recordings of a session that are read at once, the latest ones."""


class Keeper:
    """Keep the findings of one recording."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._active: dict[str, tuple[int, str]] = {}

    def keep(self, findings: Iterable[Finding]) -> None:
        """Store findings, and tell others of the signals; SessionErased when the session is gone."""
        active = dict(self._active)
        detected: list[dict[str, Any]] = []
        with transaction():
            if self._lock() is None:
                raise SessionErased(session_id=self._take.session.session_id)
            evidence = [
                each for finding in findings for each in self._store(finding, active, detected)
            ]
            record_evidence(self._take.session, SOURCE, evidence)
            if detected:
                after_commit(lambda: self._announce(detected))
        self._active = active

    def close(self, result: Result, seconds: float) -> None:
        """Note that the recording is over, how long it was, and how good the conversation."""
        with transaction():
            if self._lock() is None:
                return
            for period in result.quality_timeline:
                Quality.create(
                    **self._place(period.end),
                    start=period.start,
                    end=period.end,
                    score=orjson.dumps(period.values).decode(),
                )
            Recording.update(
                # Not before it began, where the server's clock was set back in between.
                ended_at=max(now(), self._take.started_at),
                seconds=seconds,
                quality=orjson.dumps(result.quality_overall).decode(),
            ).where(
                Recording.session_key == self._take.session.key, Recording.id == self._take.key
            ).execute()

    def _lock(self) -> Session | None:
        return lock_session(self._take.session.account_id, self._take.session.key)

    def _store(
        self,
        finding: Finding,
        active: dict[str, tuple[int, str]],
        detected: list[dict[str, Any]],
    ) -> Iterator[Evidence]:
        match finding:
            case SignalUpdated():
                key, peak = active[finding.signal_type]
                if RANKS.index(finding.probability) > RANKS.index(peak):
                    active[finding.signal_type] = (key, finding.probability)
                    self._update(key, probability=finding.probability, rationale=finding.rationale)
            case SignalDetected():
                row = Signal.create(
                    **self._place(finding.start),
                    kind=finding.signal_type,
                    start=finding.start,
                    probability=finding.probability,
                    rationale=finding.rationale,
                )
                active[finding.signal_type] = (row.id, finding.probability)
                announced = finding.data()
                announced["type"] = announced.pop("signal_type")
                detected.append({**announced, "at": row.at})
                reference = f"{self._take.key}"
                yield Evidence(*to_evidence(finding, self._take.started_at, reference))
            case SignalEnded():
                key, _ = active.pop(finding.signal_type)
                self._update(key, end=finding.end)
            case EngagementUpdated():
                Engagement.create(
                    **self._place(finding.start), state=finding.state, start=finding.start
                )
            case QualityUpdated():
                pass  # kept at the end, whether it was asked for or not

    def _update(self, key: int, **values: Any) -> None:
        Signal.update(**values).where(
            Signal.session_key == self._take.session.key,
            Signal.recording_id == self._take.key,
            Signal.id == key,
        ).execute()

    def _place(self, seconds: float) -> dict[str, int]:
        return {
            "session_key": self._take.session.key,
            "recording_id": self._take.key,
            "at": self._take.started_at + round(seconds * SECOND),
        }

    def _announce(self, detected: list[dict[str, Any]]) -> None:
        current().plugins.hook.signals_detected(session=self._take.session, signals=detected)


def read_session(account_id: int, session_id: str) -> dict[str, Any]:
    """Return what was found in a session's latest recordings, oldest first; NotFound."""
    session = get_session(account_id, session_id)
    rows = (
        Recording.select()
        .where(Recording.session_key == session.key)
        .order_by(Recording.id.desc())
        .limit(MAX_RECORDINGS)
    )
    recordings = [_describe(row) for row in reversed(list(rows))]
    return {"session_id": session_id, "recordings": recordings}


def _describe(recording: Recording) -> dict[str, Any]:
    end = recording.seconds
    states = list(
        Engagement.select()
        .where(_found_in(Engagement, recording))
        .order_by(Engagement.start, Engagement.id)
    )
    ends = [*(state.start for state in states[1:]), max(end, states[-1].start) if states else 0.0]
    described: dict[str, Any] = {
        "correlation_id": recording.correlation_id,
        "kind": recording.kind,
        "started_at": isoformat(recording.started_at),
        "ended_at": isoformat(recording.ended_at) if recording.ended_at else None,
        "seconds": end,
        "signals": [
            {
                "type": signal.kind,
                "start": signal.start,
                "end": signal.end,
                "probability": signal.probability,
                "rationale": signal.rationale,
            }
            for signal in Signal.select()
            .where(_found_in(Signal, recording))
            .order_by(Signal.start, Signal.id)
        ],
        "engagement_state": [
            {"start": state.start, "end": state_end, "state": state.state}
            for state, state_end in zip(states, ends, strict=False)
        ],
        "conversation_quality": {
            "overall": orjson.loads(recording.quality) if recording.quality else None,
            "timeline": [
                {"start": period.start, "end": period.end, "values": orjson.loads(period.score)}
                for period in Quality.select()
                .where(_found_in(Quality, recording))
                .order_by(Quality.start)
            ],
        },
    }
    return described


def _found_in(
    model: type[Signal | Engagement | Quality], recording: Recording
) -> peewee.Expression:
    return (model.session_key == recording.session_key) & (model.recording_id == recording.id)


def timeline(session: Session, after: int, limit: int) -> list[TimelineEntry]:
    """Return at most `limit` entries later than `after` (µs): signals and states of engagement."""
    window = (session.key, after, limit)
    entries = [
        TimelineEntry(
            at,
            SOURCE,
            "signal",
            {
                "signal_type": kind,
                "start": start,
                "end": end,
                "probability": probability,
                "rationale": rationale,
            },
        )
        for at, kind, start, end, probability, rationale in fetch_all(
            'SELECT at, kind, start, "end", probability, rationale FROM stream_signal'
            " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
            window,
        )
    ]
    entries += [
        TimelineEntry(at, SOURCE, "engagement", {"state": state, "start": start})
        for at, state, start in fetch_all(
            "SELECT at, state, start FROM stream_engagement"
            " WHERE session_key = ? AND at > ? ORDER BY at, id LIMIT ?",
            window,
        )
    ]
    entries.sort(key=lambda entry: entry.at)
    return entries[:limit]
