"""Turn the messages of a stream, however its client cuts them, into segments that can be read on their own.

Clients send self-contained files; slices of one recording with the header only in the first (MediaRecorder with a
timeslice); the header again before every slice; or one whole recording. A slice may begin and end at any byte, and
usually begins between key frames: what was sent since the last one is then put before it again, to be decoded and
not looked at, so that nothing of the video is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.stream.analysis.containers import has_header, sniff, split_init
from plugins.stream.analysis.errors import NotAContainer, Unreadable
from plugins.stream.analysis.isobmff import FragmentedRecording
from plugins.stream.analysis.matroska import MatroskaRecording, is_whole

if TYPE_CHECKING:
    from plugins.stream.analysis.pieces import Piece, Recording

#: Seconds under which a continuation is joined to the next one (spec: a shorter one than 2.5 s is joined).
SHORTEST_CONTINUATION = 2.5
#: Seconds and bytes since the last key frame that are kept; browsers set one every 1 to 10 s.
_LONGEST_LEAD = 12.0
_LARGEST_LEAD = 8 * 1024 * 1024
#: Seconds by which the clock of a continuation may step back (interleaving) or ahead (a lost slice) of the last one.
_STEP_BACK = 0.5
_STEP_AHEAD = 1.0
#: Bytes that may wait to be joined; more is passed on as it is.
_LARGEST_WAIT = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """Hold media that can be read on its own.

    `continues` says that it goes on where the segment before it ended. `start` is where on the media's own clock
    it begins: what lies before was analysed already and is there to be decoded only; None for the first frame.
    `duration` is its length in seconds from there, None where only a demuxer can tell (`decode.probe`).
    """

    data: bytes
    continues: bool = False
    start: float | None = None
    duration: float | None = None


class Framing:
    """Take the messages of one stream in their order and return its segments. It reads no clock and no file."""

    def __init__(self) -> None:
        self._recording: Recording | None = None
        self._lead: list[Piece] = []
        self._waiting: list[Piece] = []
        self._end: float | None = None

    def feed(self, message: bytes) -> list[Segment]:
        """Return the segments that are complete with `message`, none when it has to be joined to the next.

        Raises NotAContainer when it has no header and nothing is known that it could continue, and Unreadable
        when it makes no sense; the stream can go on with the next message in both cases.
        """
        if has_header(message):
            return self._begin(message)
        if self._recording is None:
            raise NotAContainer
        try:
            self._waiting += self._recording.push(message)
        except Unreadable:
            self._forget()
            raise
        return self._emit()

    def flush(self) -> list[Segment]:
        """Return what waited to be joined, however short it is."""
        return self._emit(least=0.0)

    def _forget(self) -> None:
        self._recording, self._lead, self._waiting, self._end = None, [], [], None

    def _begin(self, message: bytes) -> list[Segment]:
        header, media = split_init(message)
        kind = sniff(message)
        if not header or (kind == "matroska" and is_whole(message)):
            segments = self.flush()
            self._forget()
            return [*segments, Segment(message)]
        recording: Recording = (
            MatroskaRecording(header) if kind == "matroska" else FragmentedRecording(header)
        )
        pieces = recording.push(media)
        if self._recording is not None and self._recording.header == header and pieces:
            begins = _begins(pieces)
            if self._end is not None and begins >= self._end - _STEP_BACK:
                if begins > self._end + _STEP_AHEAD:
                    self._lead = []
                self._recording = recording
                self._waiting += pieces
                return self._emit()
        segments = self.flush()
        self._forget()
        self._recording = recording
        if not pieces:
            return segments
        whole = message[: len(message) - recording.waiting]
        self._keep_lead(pieces)
        self._end = _ends(pieces)
        return [*segments, Segment(whole, duration=self._end - _begins(pieces))]

    def _emit(self, least: float = SHORTEST_CONTINUATION) -> list[Segment]:
        """Return what waits as one segment, when it is long enough."""
        pieces = self._waiting
        if not pieces or self._recording is None:
            return []
        start, end = _begins(pieces), _ends(pieces)
        size = sum(len(piece.data) for piece in pieces)
        if end - start < least and size <= _LARGEST_WAIT:
            return []
        lead = [] if _first_video_is_key(pieces) else self._lead
        segment = Segment(
            self._recording.assemble([*lead, *pieces]),
            continues=self._end is not None,
            start=start,
            duration=max(end - start, 0.0),
        )
        self._keep_lead([*self._lead, *pieces])
        self._waiting, self._end = [], end
        return [segment]

    def _keep_lead(self, pieces: list[Piece]) -> None:
        """Keep what follows the last key frame, or nothing when that is too much."""
        keys = [number for number, piece in enumerate(pieces) if piece.key]
        lead = pieces[keys[-1] :] if keys else []
        size = sum(len(piece.data) for piece in lead)
        fits = lead and size <= _LARGEST_LEAD and _ends(lead) - lead[0].start <= _LONGEST_LEAD
        self._lead = lead if fits else []


def _first_video_is_key(pieces: list[Piece]) -> bool:
    return next((piece.key for piece in pieces if piece.video), True)


def _clocked(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces that say when something happens: those with a picture, where there are any."""
    return [piece for piece in pieces if piece.video] or pieces


def _begins(pieces: list[Piece]) -> float:
    return min(piece.start for piece in _clocked(pieces))


def _ends(pieces: list[Piece]) -> float:
    """Return where the last picture ends, which blocks do not say: after as long as the ones before it took."""
    clocked = _clocked(pieces)
    end = max(piece.end for piece in clocked)
    starts = sorted(piece.start for piece in clocked)
    if len(starts) > 1 and end <= starts[-1]:
        end += (starts[-1] - starts[0]) / (len(starts) - 1)
    return end
