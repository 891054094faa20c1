"""What the interpretation tells: the frames of the stream's contract, and what is kept of a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from plugins.stream.analysis.rules import CERTAINTY

if TYPE_CHECKING:
    from plugins.stream.analysis.rules import Probability

State = Literal["engaged", "neutral", "disengaged"]

MODALITY = "video"
"""Under which the mood plugin knows signals of a stream."""

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class SignalEnded:
    """Tell that a signal is no longer there; `end` in seconds of media."""

    type: ClassVar[str] = "signal.ended"
    signal_type: str
    end: float

    def data(self) -> dict[str, Any]:
        """Return the frame's data."""
        return {"signal_type": self.signal_type, "end": self.end}


@dataclass(frozen=True, slots=True)
class _SignalPresent:
    """Tell of a signal that is there; `start` is when it began, in seconds of media."""

    signal_type: str
    start: float
    probability: Probability
    rationale: str

    def data(self) -> dict[str, Any]:
        """Return the frame's data."""
        return {
            "signal_type": self.signal_type,
            "start": self.start,
            "probability": self.probability,
            "rationale": self.rationale,
        }


@dataclass(frozen=True, slots=True)
class SignalDetected(_SignalPresent):
    """Tell that a signal began."""

    type: ClassVar[str] = "signal.detected"


@dataclass(frozen=True, slots=True)
class SignalUpdated(_SignalPresent):
    """Tell that the probability of a signal changed."""

    type: ClassVar[str] = "signal.updated"


@dataclass(frozen=True, slots=True)
class EngagementUpdated:
    """Tell in which state of engagement the person is from `start`, in seconds of media."""

    type: ClassVar[str] = "engagement.updated"
    state: State
    start: float

    def data(self) -> dict[str, Any]:
        """Return the frame's data."""
        return {"state": self.state, "start": self.start}


@dataclass(frozen=True, slots=True)
class QualityPeriod:
    """Hold the quality of the conversation in [start, end) seconds; `values` are 0 to 100, 50 without evidence."""

    start: float
    end: float
    values: dict[str, float]

    def data(self) -> dict[str, Any]:
        """Return the entry of a timeline."""
        return {"start": self.start, "end": self.end, "values": self.values}


@dataclass(frozen=True, slots=True)
class QualityUpdated:
    """Tell the quality of the session so far and of the period that closed, as far as either was asked for."""

    type: ClassVar[str] = "conversation_quality.updated"
    overall: dict[str, float] | None
    period: QualityPeriod | None

    def data(self) -> dict[str, Any]:
        """Return the frame's data."""
        data: dict[str, Any] = {}
        if self.overall is not None:
            data["overall"] = self.overall
        if self.period is not None:
            data["timeline"] = [self.period.data()]
        return data


Finding = SignalEnded | SignalDetected | SignalUpdated | EngagementUpdated | QualityUpdated
"""A frame that the interpretation gives rise to."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Hold one instance of a signal: start and end in seconds, the peak probability and what spoke for it then."""

    signal_type: str
    start: float
    end: float
    probability: Probability
    rationale: str
    cues: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """Return the signal as an upload's answer has it."""
        return {
            "type": self.signal_type,
            "start": self.start,
            "end": self.end,
            "probability": self.probability,
            "rationale": self.rationale,
        }


@dataclass(frozen=True, slots=True)
class EngagementPeriod:
    """Hold a state of engagement from `start` to `end`, in seconds."""

    start: float
    end: float
    state: State

    def data(self) -> dict[str, Any]:
        """Return the entry of an upload's answer."""
        return {"start": self.start, "end": self.end, "state": self.state}


@dataclass(frozen=True, slots=True)
class Result:
    """Hold all that was found in a session: what an upload is answered, and what is stored."""

    duration: float
    signals: tuple[Signal, ...]
    engagement: tuple[EngagementPeriod, ...]
    quality_overall: dict[str, float]
    quality_timeline: tuple[QualityPeriod, ...] = field(default=())

    def data(self, include: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the answer to an upload; the quality is in it where it was asked for, then always with `overall`."""
        answer: dict[str, Any] = {
            "signals": [signal.data() for signal in self.signals],
            "engagement_state": [period.data() for period in self.engagement],
        }
        if include & {OVERALL, TIMELINE}:
            quality: dict[str, Any] = {"overall": self.quality_overall}
            if TIMELINE in include:
                quality["timeline"] = [period.data() for period in self.quality_timeline]
            answer["conversation_quality"] = quality
        return answer


OVERALL = "conversation_quality_overall"
TIMELINE = "conversation_quality_timeline"

INCLUDES = (OVERALL, TIMELINE)
"""What a client may ask for besides signals and engagement."""


class SignalEvidence(NamedTuple):
    """Hold the fields of the core's Evidence, in their order, for a signal."""

    at: int
    modality: str
    kind: str
    strength: float
    reference: str
    fields: dict[str, Any] | None = None


def to_evidence(finding: SignalDetected | Signal, began: int, stream: str) -> SignalEvidence:
    """Say what a signal means for the mood of its session.

    `began` is when the media's clock stood at 0 (microseconds UTC), `stream` tells this stream from others of the
    session. A signal keeps its reference from its detection to its end, so that it counts once.
    """
    start = round(finding.start * MICROSECONDS)
    return SignalEvidence(
        at=began + start,
        modality=MODALITY,
        kind=finding.signal_type,
        strength=CERTAINTY[finding.probability],
        reference=f"{stream}:{finding.signal_type}:{start // 1000}",
    )
