"""What can go wrong with a request to stream or to analyse, and its code.

Faults of media in a stream are frames (`plugins.stream.faults`); here are the answers to requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import (
    AppError,
    BadRequest,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SessionErased,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from plugins.stream import faults

if TYPE_CHECKING:
    from plugins.stream.faults import AnalysisError


class UpgradeRequired(AppError):
    """The address speaks WebSocket only (RFC 9110, 426)."""

    status = 426
    default_message = "This address speaks WebSocket (RFC 6455), version 13"

    def __init__(self, message: str | None = None) -> None:
        headers = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        super().__init__(message, headers=headers)


class OriginRefused(Forbidden):
    """A page of this origin may not open a stream."""

    default_message = "Pages of this origin may not open a stream"


class TooManyStreams(RateLimited):
    """The account has as many streams open as it may."""

    default_message = "Too many streams are open for this account"


class ServerFull(Unavailable):
    """This process has as many streams and uploads as it can carry."""

    default_message = "This server has no room for another stream, try again"


class MediaQuotaExceeded(RateLimited):
    """The account's media seconds of the day are used up."""

    default_message = "The media seconds of this account are used up for today"


class NoFile(BadRequest):
    """An upload without the part `file`."""

    default_message = "The form must have a file in the field `file`"


class UnknownContainer(BadRequest):
    """An upload that is no video file of a known kind."""

    default_message = "The file is none of mp4, mov, avi, mkv, webm, mpeg-ts"


class TooShort(BadRequest):
    """An upload of less than the least duration."""

    default_message = "The video must be at least 3 seconds long"


class TooLong(BadRequest):
    """An upload of more than the largest duration."""

    default_message = "The video is too long"


class NoVideoStream(Invalid):
    """An upload without a picture."""

    default_message = "The file has no video stream"


class Unreadable(Invalid):
    """An upload that breaks while it is read."""

    default_message = "The video cannot be decoded"


_CODES: dict[type[AppError], str] = {
    TooManyStreams: "ih3002",
    MediaQuotaExceeded: "ih3003",
    NoFile: "ih4001",
    UnknownContainer: "ih4002",
    TooShort: "ih4007",
    TooLong: "ih4004",
    NoVideoStream: "ih5001",
    Unreadable: "ih5002",
    PayloadTooLarge: "ih4003",
    UnsupportedMediaType: "ih4001",
    Forbidden: "ih2003",
    RateLimited: "ih3001",
    Unavailable: "ih1002",
    NotFound: "ih4021",
    SessionErased: "ih4022",
    MethodNotAllowed: "ih4000",
    UpgradeRequired: "ih4000",
    BadRequest: "ih4000",
    Invalid: "ih4000",
}
"""Codes by class; an error without one of its own has that of its nearest ancestor."""


def error_id(error: AppError) -> str:
    """Return the API's code of an error."""
    if isinstance(error, Unauthorized):
        return "ih2002" if error.missing else "ih2001"
    for kind in type(error).__mro__:
        if (code := _CODES.get(kind)) is not None:
            return code
    return "ih1001"


_UPLOAD_ERRORS: dict[type[AnalysisError], type[AppError]] = {
    faults.TooShort: TooShort,
    faults.TooLong: TooLong,
    faults.NotAContainer: UnknownContainer,
    faults.Unreadable: Unreadable,
    faults.NoVideo: NoVideoStream,
    faults.QuotaUsedUp: MediaQuotaExceeded,
}


def upload_error(fault: AnalysisError) -> AppError:
    """Return the error that an upload gets for a fault of its media."""
    for kind in type(fault).__mro__:
        if (error := _UPLOAD_ERRORS.get(kind)) is not None:
            return error()
    return AppError()


def fault_with_code(code: str, message: str) -> AnalysisError:
    """Return the fault that a worker named."""
    kinds = {kind.code: kind for kind in (faults.Unreadable, faults.NoVideo)}
    return kinds.get(code, faults.Unreadable)(message)
