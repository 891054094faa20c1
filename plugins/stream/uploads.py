"""One uploaded file: analysed as a whole, by the same workers as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core import SessionErased, Unavailable, current, release_connection, setting
from plugins.stream import services
from plugins.stream.analysis.containers import sniff
from plugins.stream.analysis.errors import AnalysisError, NotAContainer
from plugins.stream.analysis.framing import Segment
from plugins.stream.analysis.observations import Observations
from plugins.stream.analysis.tracks import InvalidObservations
from plugins.stream.analyzers import build_interpreter
from plugins.stream.answers import Answer
from plugins.stream.desk import Desk, measure
from plugins.stream.jobs import QUEUE
from plugins.stream.live import Erased, Refused
from plugins.stream.mailbox import Mailbox
from plugins.stream.problems import fault_with_code, upload_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugins.stream.analysis.interpretation import Interpreter
    from plugins.stream.answers import Answers

INCLUDED: Final = frozenset({"conversation_quality_overall", "conversation_quality_timeline"})


def check_upload(account_id: int, data: bytes) -> None:
    """Raise what is wrong with a file as far as can be seen without decoding it, or with the account's quota."""
    try:
        if sniff(data) is None:
            raise NotAContainer
        services.check_quota(account_id, measure(Segment(data)))
    except AnalysisError as fault:
        raise upload_error(fault) from fault


def analyze_upload(  # noqa: PLR0913 - who, what, and where from
    account_id: int,
    session_id: str,
    correlation_id: str,
    *,
    data: bytes,
    include: Iterable[str],
    answers: Answers,
) -> dict[str, Any]:
    """Return what is found in a file that was checked; Unavailable when nobody can look, or it takes too long."""
    if current().jobs.worker_count(QUEUE) == 0:
        raise Unavailable("No worker for video is running: python -m workers stream")
    take = services.open_recording(account_id, session_id, correlation_id, services.UPLOAD)
    release_connection()
    interpreter = build_interpreter(include)
    mailbox = Mailbox()
    desk = Desk(take, answers, mailbox.add_answer, lambda: None)
    try:
        _analyze(Segment(data), desk, mailbox, interpreter)
    except AnalysisError as fault:
        raise upload_error(fault) from fault
    except Refused as refused:
        raise Unavailable(str(refused)) from refused
    except Erased as erased:
        raise SessionErased(session_id=session_id) from erased
    finally:
        result = interpreter.result()
        is_kept = desk.close(result, result.duration)
    if not is_kept:  # an answer acknowledges that it is
        raise Unavailable("What was found could not be kept, try again.")
    return result.data(INCLUDED & frozenset(include))


def _analyze(segment: Segment, desk: Desk, mailbox: Mailbox, interpreter: Interpreter) -> None:
    pending = desk.submit(segment, 1)
    answer = mailbox.take(setting("SUBTEXT_STREAM_UPLOAD_SECONDS"), messages=False)
    if not isinstance(answer, Answer):
        desk.abandon([pending.key])
        raise Refused("The analysis takes too long, try again.")
    if answer.fault is not None:
        raise fault_with_code(*answer.fault)
    if answer.observations is None:
        desk.abandon([pending.key])
        raise Refused("The analysis failed, try again.")
    try:
        found = interpreter.feed(0.0, Observations.load(answer.observations))
    except InvalidObservations as error:
        raise Refused("The analysis failed, try again.") from error
    desk.keep([*found, *interpreter.finish()])
