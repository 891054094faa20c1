"""Collect decoded sound as 16 kHz mono on the clock of the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.error import FFmpegError

from plugins.stream.analysis.errors import Unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples a second, as the voice activity model and the speech recogniser want them.
RATE = 16_000
#: Seconds by which a frame may miss the place where the last one ended before silence fills the gap.
_GAP = 0.1
#: Seconds of silence that are filled in at most: a longer jump is a broken clock, and sound goes on where it was.
_LONGEST_GAP = 30.0
#: Frames that may not fit the resampler one after another; formats may change in the middle of a stream.
_FAILURES = 50


class SoundTrack:
    """Collect audio frames; at most `longest` seconds of them, from rates within `rates` in Hz."""

    def __init__(self, longest: float, rates: tuple[int, int]) -> None:
        self._longest = int(longest * RATE)
        self._rates = rates
        self._parts: list[NDArray[np.float32]] = []
        self._count = 0
        self._first: float | None = None
        self._skipped = 0.0
        self._resampler = _resampler()
        self._failures = 0

    def add(self, frame: Any) -> None:
        """Add a decoded frame; raises Unreadable when its rate makes no sense."""
        lowest, highest = self._rates
        if not lowest <= frame.sample_rate <= highest:
            raise Unreadable(f"The sound has {frame.sample_rate} samples a second.")
        at = frame.time
        if self._first is None:
            self._first = at or 0.0
        elif at is not None:
            missing = at - self._first - self._skipped - self._count / RATE
            if missing > _LONGEST_GAP:
                self._skipped += missing
            elif missing > _GAP:
                self._append(np.zeros(int(missing * RATE), np.float32))
        try:
            parts = self._resampler.resample(frame)
        except (FFmpegError, ValueError):
            self._resampler = _resampler()
            self._failures += 1
            if self._failures > _FAILURES:
                raise Unreadable("The sound is broken past use.") from None
            return
        for part in parts:
            self._append(part.to_ndarray().reshape(-1))

    def _append(self, part: NDArray[np.float32]) -> None:
        part = part[: max(0, self._longest - self._count)]
        self._parts.append(np.nan_to_num(part, posinf=0.0, neginf=0.0).clip(-1, 1))
        self._count += len(part)

    def seconds(self, zero: float | None) -> float:
        """Return where the sound ends, in seconds after `zero` on the media's clock."""
        if self._first is None:
            return 0.0
        return self._count / RATE + (self._first - (self._first if zero is None else zero))

    def samples(self, zero: float | None) -> NDArray[np.float32]:
        """Return the sound from `zero` on the media's clock on: silence before it began."""
        sound = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        lag = 0 if self._first is None or zero is None else round((self._first - zero) * RATE)
        if lag < 0:
            return sound[-lag:]
        return np.concatenate((np.zeros(min(lag, self._longest), np.float32), sound))


def _resampler() -> Any:
    return av.AudioResampler(format="flt", layout="mono", rate=RATE)
