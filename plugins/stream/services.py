"""What the stream plugin does with the database and the media: accept, analyse, give up, erase, sweep."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core import (
    AppError,
    BlobGone,
    Session,
    SessionErased,
    after_commit,
    fetch_all,
    now,
    row_lock,
    setting,
    touch_session,
    transaction,
)
from plugins.stream.analysis.errors import AnalysisError, AnalysisFailed
from plugins.stream.faults import QuotaUsedUp
from plugins.stream.media import BLOB_SECONDS, blobs
from plugins.stream.models import BY_SESSION, Recording, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugins.stream.analyzers import Analyst
    from plugins.stream.answers import Reply

logger = logging.getLogger(__name__)

ANALYZE_JOB: Final = "stream.analyze"
LIVE: Final = "live"
UPLOAD: Final = "upload"
ANALYSED: Final = "analysed"
LOST: Final = "lost"
DAY: Final = 86_400_000_000
SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Take:
    """Name a recording that is going on: its key, its session, and when it began (µs)."""

    key: int
    session: Session
    started_at: int


def open_recording(account_id: int, session_id: str, correlation_id: str, kind: str) -> Take:
    """Begin a recording of a session; SessionErased while a tombstone stands, Invalid for an impossible id."""
    with transaction():
        session = touch_session(account_id, session_id)
        started = now()
        recording = Recording.create(
            session_key=session.key,
            account_id=account_id,
            kind=kind,
            correlation_id=correlation_id,
            started_at=started,
        )
    return Take(recording.id, session, started)


def accept_segment(
    take: Take, number: int, data: bytes, seconds: float, media_start: float | None
) -> int:
    """Keep a piece of media for its analysis and return its key.

    Raises QuotaUsedUp, SessionErased, Unavailable.
    """
    check_quota(take.session.account_id, seconds)
    blob = blobs().put(data, BLOB_SECONDS)
    try:
        with transaction():
            _keep_alive(take)
            _use(take.session.account_id, seconds)
            segment = Segment.create(
                session_key=take.session.key,
                recording_id=take.key,
                number=number,
                at=now(),
                size=len(data),
                seconds=seconds,
                media_start=media_start,
                blob=blob,
            )
    except BaseException:
        blobs().delete(blob)
        raise
    key: int = segment.id
    return key


def check_quota(account_id: int, seconds: float) -> None:
    """Raise QuotaUsedUp when an account may not have so many more seconds analysed today."""
    limit: int = setting("SUBTEXT_STREAM_DAILY_SECONDS")
    if limit and _used_today(account_id) + seconds > limit:
        raise QuotaUsedUp


def analyze_segment(session_key: int, key: int, analyst: Analyst, reply: Reply) -> None:
    """Analyse a segment and answer whoever waits; its media is gone afterwards.

    When the analysis itself fails, the media stays for the second attempt. A segment that is not there any more was
    given up, or erased with its session: nobody waits.
    """
    with reply.at_work(), suppress(BlobGone):
        # At work already: whoever waits must learn it when even this fails.
        segment: Segment | None = Segment.get_or_none(
            Segment.session_key == session_key, Segment.id == key
        )
        if segment is None or segment.blob is None:
            return
        data = blobs().get(segment.blob)
        try:
            observations = analyst.analyze(data, segment.seconds, segment.media_start)
        except AnalysisFailed as error:
            logger.warning("segment %d was not analysed: %s", key, error.message)
            return
        except AnalysisError as error:
            reply.fault(error.code, error.message)
            outcome = error.code
        else:
            reply.done(observations.dump())
            outcome = ANALYSED
        settle_segments([(session_key, key)], outcome)


def settle_segments(segments: Iterable[tuple[int, int]], outcome: str) -> None:
    """Delete the media of segments that nobody will analyse any more, and note what came of them.

    A segment is named by the key of its session and its own.
    """
    with transaction():
        for session_key, key in segments:
            for (blob,) in fetch_all(
                "SELECT blob FROM stream_segment"  # noqa: S608
                f" WHERE session_key = ? AND id = ? AND blob IS NOT NULL{row_lock()}",
                (session_key, key),
            ):
                Segment.update(blob=None, outcome=outcome).where(
                    Segment.session_key == session_key, Segment.id == key
                ).execute()
                _delete_after_commit(blob)


def forget(session: Session) -> int:
    """Remove everything about a session, its media too; return how many rows went."""
    for (blob,) in fetch_all(
        "SELECT blob FROM stream_segment WHERE session_key = ? AND blob IS NOT NULL", (session.key,)
    ):
        _delete_after_commit(blob)
    return sum(
        model.delete().where(model.session_key == session.key).execute() for model in BY_SESSION
    )


def sweep() -> int:
    """Delete media that outstayed its time, and end recordings whose process is gone; return how many files went."""
    before = now() - int(BLOB_SECONDS) * SECOND
    late = fetch_all(
        "SELECT session_key, id FROM stream_segment WHERE blob IS NOT NULL AND at < ?", (before,)
    )
    settle_segments([(session_key, key) for session_key, key in late], LOST)
    swept = blobs().sweep()
    oldest = now() - (setting("SUBTEXT_STREAM_MAX_SECONDS") + int(BLOB_SECONDS)) * SECOND
    with transaction():
        Recording.update(ended_at=now()).where(
            Recording.ended_at.is_null(), Recording.started_at < oldest
        ).execute()
        fetch_all("DELETE FROM stream_usage WHERE day < ? RETURNING day", (now() - 2 * DAY,))
    return len(late) + swept


def _keep_alive(take: Take) -> None:
    """Mark the session seen; SessionErased when it is not the one that the recording began in."""
    session = touch_session(take.session.account_id, take.session.session_id)
    if session.key != take.session.key:
        raise SessionErased(session_id=session.session_id)


def _use(account_id: int, seconds: float) -> None:
    if setting("SUBTEXT_STREAM_DAILY_SECONDS"):
        fetch_all(
            "INSERT INTO stream_usage (account_id, day, seconds) VALUES (?, ?, ?)"
            " ON CONFLICT (account_id, day) DO UPDATE SET seconds = stream_usage.seconds + excluded.seconds"
            " RETURNING seconds",
            (account_id, _today(), seconds),
        )


def _used_today(account_id: int) -> float:
    rows = fetch_all(
        "SELECT seconds FROM stream_usage WHERE account_id = ? AND day = ?", (account_id, _today())
    )
    return float(rows[0][0]) if rows else 0.0


def _today() -> int:
    return now() // DAY * DAY


def _delete_after_commit(blob: str) -> None:
    store = blobs()

    def delete() -> None:
        try:
            store.delete(blob)
        except AppError as error:  # it is past its end before long, and swept
            logger.warning("media was not deleted: %s", error.message)

    after_commit(delete)
