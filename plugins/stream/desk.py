"""The house's side of one stream: its media goes to the workers, its findings to the database."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from peewee import PeeweeException
from playhouse.pool import MaxConnectionsExceeded
from redis.exceptions import RedisError

from core import AppError, SessionErased, current, release_connection
from plugins.stream import services
from plugins.stream.analysis.decode import probe
from plugins.stream.analysis.errors import NoVideo
from plugins.stream.backlog import Pending
from plugins.stream.faults import (
    MIN_CONTINUATION_SECONDS,
    MIN_SECONDS,
    TOLERANCE_SECONDS,
    TooShort,
)
from plugins.stream.findings import Keeper
from plugins.stream.jobs import QUEUE
from plugins.stream.live import Erased, Refused
from plugins.stream.media import BLOB_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from plugins.stream.analysis.findings import Finding, Result
    from plugins.stream.analysis.framing import Segment
    from plugins.stream.answers import Answer, Answers
    from plugins.stream.services import Take

logger = logging.getLogger(__name__)

AWAY: Final = (AppError, PeeweeException, MaxConnectionsExceeded)
"""What the database raises while it is away or too busy."""
MAX_UNKEPT: Final = 10_000
"""Findings that wait for a database that is away: more than an hour of any stream."""


class Desk:
    """Serve one recording; for one thread, in an app context."""

    def __init__(
        self,
        take: Take,
        answers: Answers,
        deliver: Callable[[Answer], object],
        renew: Callable[[], object],
    ) -> None:
        self._take = take
        self._answers = answers
        self._deliver = deliver
        self._renew = renew
        self._jobs = current().jobs  # the second attempt is sent from a thread without a context
        self._keeper = Keeper(take)
        self._unkept: list[Finding] = []
        self._is_erased = False

    def submit(self, segment: Segment, number: int) -> Pending:
        """Send a segment to analysis; AnalysisError when the media is at fault, Refused when it is lost."""
        seconds = measure(segment)
        with _refusing():
            key = services.accept_segment(self._take, number, segment.data, seconds, segment.start)
            self._send_out(key)
        return Pending(
            key, number, seconds, len(segment.data), is_measured=segment.duration is not None
        )

    def keep(self, findings: Iterable[Finding]) -> None:
        """Keep findings; what cannot be kept now is kept with the next."""
        self._unkept = [*self._unkept, *findings][-MAX_UNKEPT:]
        if not self._unkept or self._is_erased:
            return
        try:
            with _lent():
                self._keeper.keep(self._unkept)
        except SessionErased as error:
            self._is_erased = True
            raise Erased from error
        except AWAY as error:
            logger.warning("findings are not kept yet: %s", type(error).__name__)
        else:
            self._unkept = []

    def close(self, result: Result, seconds: float) -> bool:
        """Note that the recording is over, and tell whether all of it is kept."""
        try:
            with _lent():
                self._keeper.close(result, seconds)
        except AWAY as error:  # ended by the sweep
            logger.warning("the end of a recording was not noted: %s", type(error).__name__)
            return False
        return not self._unkept

    def abandon(self, keys: Iterable[int]) -> None:
        """Give segments up and delete their media."""
        doomed = list(keys)
        for key in doomed:
            self._answers.forget(key)
        if doomed:
            try:
                with _lent():
                    session_key = self._take.session.key
                    services.settle_segments([(session_key, key) for key in doomed], services.LOST)
            except AWAY as error:  # swept before long
                logger.warning("media is not deleted yet: %s", type(error).__name__)

    def renew(self) -> None:
        """Show that the stream is still there."""
        self._renew()

    def _send_out(self, key: int) -> None:
        jobs, inbox, session_key = self._jobs, self._answers.inbox, self._take.session.key

        def send(attempt: int) -> bool:
            return jobs.enqueue(
                services.ANALYZE_JOB,
                session_key=session_key,
                segment=key,
                inbox=inbox,
                attempt=attempt,
            )

        def is_queued() -> bool:
            # Nobody knows while Redis is away.
            return jobs.queue_lengths().get(QUEUE, 1) > 0

        self._answers.expect(key, send, is_queued, self._deliver, BLOB_SECONDS)
        if not send(1):
            self.abandon([key])
            raise Refused("A part of the video could not be sent to analysis.")


def measure(segment: Segment) -> float:
    """Return the length of a segment in seconds; AnalysisError when it is too short or shows nothing."""
    if segment.continues and segment.duration is not None:
        return segment.duration  # joined where it was too short
    found = probe(segment.data, segment.start)
    if not found.has_video:
        raise NoVideo
    if segment.duration is not None:  # the first slice of a recording that grows
        seconds, least = segment.duration, MIN_CONTINUATION_SECONDS
    else:
        seconds, least = found.duration, MIN_SECONDS - TOLERANCE_SECONDS
    if seconds < least:
        raise TooShort
    return seconds


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn what is wrong with the house into Refused."""
    try:
        with _lent():
            yield
    except SessionErased as error:
        raise Erased from error
    except (*AWAY, RedisError) as error:
        logger.warning("a segment was not taken: %s", type(error).__name__)
        raise Refused("A part of the video could not be stored for analysis.") from error


@contextlib.contextmanager
def _lent() -> Iterator[None]:
    """Give the database connection back afterwards: a stream lasts longer than it may be held."""
    try:
        yield
    finally:
        release_connection()
