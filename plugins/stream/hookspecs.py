"""The hooks that the stream plugin offers to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from core import hookspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core import Session
    from plugins.stream.analysis.observations import Observations


class Analyzer(Protocol):
    """Observe the media of one segment; made once for each process that analyses."""

    def observe(self, data: bytes, **options: Any) -> Observations:
        """Return what is seen and heard in the media.

        `options` may hold `start`, where on the media's own clock its new part begins. Raises the errors of
        `plugins.stream.analysis.errors` for media that cannot be read.
        """


@hookspec
def register_analyzers() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return analyzers by name, each as `package.module:factory`; `SUBTEXT_STREAM_ANALYZER` chooses one.

    The factory is imported in the process that analyses, which has limits and may be killed, and is called with
    `face`, `voice` and `words`, whether each may be used. It returns an `Analyzer`. `builtin` is taken.
    """


@hookspec
def signals_detected(session: Session, signals: Sequence[Mapping[str, Any]]) -> None:
    """Take note of signals that came on in a session, after they were committed.

    Each has `type`, `start` (seconds of the recording), `probability`, `rationale`, and `at` (microseconds UTC).
    Called in the thread of the stream: be quick, or send a job.
    """
