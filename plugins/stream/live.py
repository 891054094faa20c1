"""One live stream: media in, findings out, in the order of the media.

One thread runs it. It waits for messages, answers and the end at one place (`Mailbox`), holds all the stream's state,
and touches the database only for moments.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from plugins.stream import protocol
from plugins.stream.analysis.observations import Observations
from plugins.stream.analysis.tracks import InvalidObservations
from plugins.stream.answers import Answer
from plugins.stream.faults import AnalysisError, TooLarge, Unreadable
from plugins.stream.mailbox import AskedToEnd, HungUp, Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plugins.stream.analysis.findings import Finding, Result
    from plugins.stream.analysis.framing import Framing, Segment
    from plugins.stream.analysis.interpretation import Interpreter
    from plugins.stream.backlog import Backlog, Pending

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 5.0
"""How long the thread waits at most before it looks at the clock."""
SHUTDOWN_DRAIN_SECONDS: Final = 15
"""What is left for analysis when the process is to end; platforms kill after 30 s."""
NORMAL: Final = 1000
GOING_AWAY: Final = 1001


class Connection(Protocol):
    """What a stream needs of its socket."""

    def send(self, data: str) -> None:
        """Send a frame; ConnectionClosed."""

    def keep_alive(self) -> None:
        """Ping when it is time."""

    def end(self, code: int) -> None:
        """Close."""


class Desk(Protocol):
    """What a stream needs of the house: where its media goes, and where its findings are kept."""

    def submit(self, segment: Segment, number: int) -> Pending:
        """Send a segment to analysis; AnalysisError when it cannot be taken, Refused when it is lost."""

    def keep(self, findings: Iterable[Finding]) -> None:
        """Keep findings; what cannot be kept now is kept with the next."""

    def close(self, result: Result, seconds: float) -> bool:
        """Note that the recording is over, and tell whether all of it is kept."""

    def abandon(self, keys: Iterable[int]) -> None:
        """Give segments up."""

    def renew(self) -> None:
        """Show that the stream is still there."""


class Refused(Exception):
    """The stream cannot go on with a segment, for no fault of its client."""


class Erased(Exception):
    """The session was erased while it was streamed."""


@dataclass(frozen=True, slots=True)
class _End:
    """Say how a stream comes to its end."""

    reason: str
    seconds: int
    code: int = NORMAL
    error: tuple[str, str] | None = None
    is_announced: bool = False


class LiveStream:
    """Run one stream over a connection."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        connection: Connection,
        mailbox: Mailbox,
        desk: Desk,
        *,
        framing: Framing,
        interpreter: Interpreter,
        backlog: Backlog,
        limits: protocol.Limits,
        correlation_id: str,
    ) -> None:
        self._connection = connection
        self._mailbox = mailbox
        self._desk = desk
        self._framing = framing
        self._interpreter = interpreter
        self._backlog = backlog
        self._limits = limits
        self._correlation_id = correlation_id
        self._messages = 0
        self._is_concluded = False
        self._seconds = 0.0
        self._started = self._heard = time.monotonic()

    def run(self) -> None:
        """Stream until it is over; ConnectionClosed when the client is gone before."""
        self._send("session.ready", protocol.ready(self._limits))
        try:
            end = self._converse()
            if end is not None:
                self._wind_up(end)
        finally:
            self._mailbox.close()
            self._desk.abandon(self._backlog.abandon())
            if not self._is_concluded:
                self._conclude(self._desk.keep)

    def say_erased(self) -> None:
        """Say that the session was erased, and close."""
        self._send("session.ended", {"reason": "session_erased"})
        self._connection.end(NORMAL)

    def _converse(self) -> _End | None:
        """Take what comes until the stream is to end; None when the client is gone."""
        while True:
            if (end := self._end_by_clock()) is not None:
                return end
            self._connection.keep_alive()
            self._desk.renew()
            match self._mailbox.take(self._next_look(), messages=self._backlog.has_room()):
                case HungUp():
                    return None
                case AskedToEnd():
                    return _End("server_shutdown", SHUTDOWN_DRAIN_SECONDS, GOING_AWAY)
                case Answer() as answer:
                    self._take_answer(answer)
                case str() as text:
                    self._heard = time.monotonic()
                    if self._take_text(text):
                        drain = self._limits.drain_seconds
                        return _End("client_shutdown", drain, is_announced=True)
                case bytes() | bytearray() as media:
                    self._heard = time.monotonic()
                    self._take_media(bytes(media))

    def _end_by_clock(self) -> _End | None:
        now = time.monotonic()
        drain = self._limits.drain_seconds
        if now - self._started >= self._limits.max_seconds:
            message = f"The session has lasted {self._limits.max_seconds} seconds, its longest."
            return _End("max_duration", drain, error=(protocol.TOO_LONG_OPEN, message))
        if now - self._heard >= self._limits.idle_seconds and not self._backlog:
            message = f"Nothing was received for {self._limits.idle_seconds} seconds."
            return _End("idle_timeout", drain, error=(protocol.IDLE, message))
        return None

    def _next_look(self) -> float:
        """Return the seconds until the clock may say something else."""
        now = time.monotonic()
        until_end = self._started + self._limits.max_seconds - now
        until_idle = self._heard + self._limits.idle_seconds - now
        return max(
            0.01, min(TICK_SECONDS, until_end, until_idle if not self._backlog else until_end)
        )

    def _take_text(self, text: str) -> bool:
        """Do what a text frame says, and say whether it asks for the end."""
        try:
            message = protocol.read_text(text)
        except protocol.BadMessage as bad:
            self._complain(protocol.BAD_CONFIG, str(bad))
            return False
        if isinstance(message, protocol.CloseRequest):
            return True
        self._interpreter.configure(message.include)
        self._send("session.updated", protocol.updated(message))
        return False

    def _take_media(self, media: bytes) -> None:
        self._messages += 1
        try:
            if len(media) > self._limits.max_segment_bytes:
                raise TooLarge
            if not media:
                raise Unreadable("The segment is empty.")
            segments = self._framing.feed(media)
        except AnalysisError as fault:
            self._complain(fault.code, fault.message, self._messages)
            return
        self._submit(segments)

    def _submit(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            try:
                self._backlog.add(self._desk.submit(segment, self._messages))
            except AnalysisError as fault:
                self._complain(fault.code, fault.message, self._messages)
            except Refused as refused:
                self._complain(protocol.ANALYSIS_FAILED, str(refused))

    def _take_answer(self, answer: Answer) -> None:
        for pending in self._backlog.settle(answer):
            self._interpret(pending)
        self._heard = time.monotonic()

    def _interpret(self, pending: Pending) -> None:
        answer = pending.answer
        if answer is not None and answer.observations is not None:
            observations = Observations.load(answer.observations)
            try:
                findings = self._interpreter.feed(self._seconds, observations)
            except InvalidObservations:
                logger.exception("the analyzer said what cannot be")
                self._lose(pending)
                return
            self._seconds += pending.seconds if pending.is_measured else observations.duration
            self._report(findings)
        elif answer is not None and answer.fault is not None:
            self._complain(*answer.fault, pending.message)
        else:
            self._lose(pending)

    def _lose(self, pending: Pending) -> None:
        self._seconds += pending.seconds
        self._desk.abandon([pending.key])
        self._complain(protocol.ANALYSIS_FAILED, "A part of the video could not be analysed.")

    def _report(self, findings: list[Finding]) -> None:
        try:
            for finding in findings:
                self._send(finding.type, finding.data())
        finally:
            self._desk.keep(findings)

    def _wind_up(self, end: _End) -> None:
        """Analyse what was taken, end what is on, and say goodbye."""
        if end.error is not None:
            self._complain(*end.error)
        if end.is_announced:
            self._send("session.closing", {"max_drain_seconds": end.seconds})
        self._mailbox.close()
        self._submit(self._framing.flush())
        deadline = time.monotonic() + end.seconds
        while self._backlog and (left := deadline - time.monotonic()) > 0:
            if self._mailbox.is_asked_to_end:
                deadline = min(deadline, self._mailbox.asked_at + SHUTDOWN_DRAIN_SECONDS)
            self._connection.keep_alive()
            event = self._mailbox.take(min(left, 1.0), messages=False)
            if isinstance(event, Answer):
                self._take_answer(event)
            elif isinstance(event, HungUp):
                return
        if self._backlog:
            self._complain(
                protocol.ANALYSIS_FAILED, "The end of the video was not analysed in time."
            )
        self._conclude(self._report)
        self._send("session.ended", {"reason": end.reason})
        self._connection.end(end.code)

    def _conclude(self, report: Callable[[list[Finding]], object]) -> None:
        """End the interpretation, and keep all of it before anybody is told that it is over."""
        self._is_concluded = True
        try:
            report(self._interpreter.finish())
        finally:
            self._desk.close(self._interpreter.result(), self._seconds)

    def _complain(self, code: str, message: str, segment: int | None = None) -> None:
        self._send("error", protocol.error(code, message, segment))

    def _send(self, kind: str, data: dict[str, object]) -> None:
        self._connection.send(protocol.envelope(kind, data, self._correlation_id))
