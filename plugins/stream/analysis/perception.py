"""Make observations of a segment: the analyzer that Subtext brings."""

from __future__ import annotations

import resource
from collections.abc import Callable

from plugins.stream.analysis.decode import Decoder, Limits
from plugins.stream.analysis.errors import Unreadable
from plugins.stream.analysis.face import FaceReader
from plugins.stream.analysis.observations import FaceFrame, Observations, Voice, Word
from plugins.stream.analysis.recognition import Recogniser, is_available
from plugins.stream.analysis.voice import VoiceReader

#: Is called with the share of the work that is done, 0 to 1.
Progress = Callable[[float], None]

#: Pictures a second that are looked at; 10 misses about one blink in ten, 6 too many.
SAMPLING = 10.0
#: What share of the work is done when all pictures were looked at; sound is the rest.
_PICTURES_SHARE = 0.9


class Perception:
    """Look at faces and listen to voices; holds its models, for one process and one thread.

    What is switched off is not worked out and its models are not loaded: without `face` no video is decoded, without
    `voice` no sound. `words` needs `voice` and what requirements-asr.txt installs; without it there are no words.
    `seconds` is the longest media that is taken. Raises ModelsMissing when a model is missing.
    """

    def __init__(
        self,
        *,
        face: bool = True,
        voice: bool = True,
        words: bool = True,
        seconds: float = Limits().seconds,
    ) -> None:
        self._limits = Limits(seconds=seconds)
        self._face = FaceReader() if face else None
        self._voice = VoiceReader() if voice else None
        self._words = Recogniser() if voice and words and is_available() else None

    def observe(
        self, data: bytes, *, start: float | None = None, progress: Progress | None = None
    ) -> Observations:
        """Return what is seen and heard in a segment; raises Unreadable and NoVideo.

        `start` is where on the media's own clock observation begins (see `framing.Segment`).
        """
        before = _cpu_seconds()
        sampled: list[float] = []
        faces: list[FaceFrame] = []
        with Decoder(
            data,
            start=start,
            rate=SAMPLING,
            pictures=self._face is not None,
            sound=self._voice is not None,
            limits=self._limits,
        ) as decoder:
            expected = decoder.expected
            if self._face is not None:
                self._face.reset()
            for at, picture in decoder.frames():
                if self._face is None:
                    continue
                sampled.append(round(at, 4))
                face = self._face.look(picture, at)
                if face is not None:
                    faces.append(face)
                if progress is not None and expected > 0:
                    progress(min(_PICTURES_SHARE, _PICTURES_SHARE * at / expected))
            duration, samples = decoder.duration, decoder.samples
            details = decoder.details
            truncated = decoder.truncated
        if duration <= 0:
            raise Unreadable("The clock of the video stands still.")
        voice: Voice | None = None
        words: tuple[Word, ...] | None = None
        if self._voice is not None and samples is not None:
            voice = self._voice.listen(samples)
            if self._words is not None:
                words = self._words.recognise(samples, voice)
        if progress is not None:
            progress(1.0)
        return Observations(
            duration=round(duration, 4),
            sampled=tuple(sampled),
            faces=tuple(faces),
            voice=voice,
            words=words,
            truncated=truncated,
            details={**details, "cpu_seconds": round(_cpu_seconds() - before, 3)},
        )


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
