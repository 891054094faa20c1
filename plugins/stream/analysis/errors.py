"""What goes wrong between the bytes of a segment and its observations."""

from __future__ import annotations

from typing import ClassVar


class AnalysisError(Exception):
    """Base of the errors of an analysis; `code` is the error id of the stream's contract.

    The message is a sentence for the person who sent the media.
    """

    code: ClassVar[str] = "ih1001"
    default_message: ClassVar[str] = "The analysis failed."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message


class Unreadable(AnalysisError):
    """The bytes are no media that can be read: no known container, broken past use, or hostile."""

    code = "ih5004"
    default_message = "The media cannot be read."


class NotAContainer(Unreadable):
    """The bytes begin like none of the containers that are taken."""

    default_message = "Unknown container: send mp4, avi, mov, mkv, mpeg-ts, m2ts or webm."


class TooLong(Unreadable):
    """The media has more seconds than one segment may have."""

    default_message = "The media is too long for one segment."


class NoVideo(AnalysisError):
    """The media holds no moving picture."""

    code = "ih5001"
    default_message = "The media has no video stream."


class AnalysisFailed(AnalysisError):
    """The process of the analysis ended before it answered; the media may be fine."""


class DeadlinePassed(AnalysisFailed):
    """The analysis did not end in its time."""

    default_message = "The analysis took too long."


class ModelsMissing(Exception):
    """A model file is missing or not the one that was pinned; the message names the command."""
