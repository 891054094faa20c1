"""An analyzer that decodes nothing: it believes the title of the video."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import av

from plugins.stream.analysis.decode import probe
from plugins.stream.analysis.errors import NoVideo, Unreadable
from plugins.stream.analysis.observations import BLENDSHAPES, FaceFrame, Observations

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks.
STEP = 0.1
#: A face at rest that fills three tenths of the picture and looks into the camera.
AT_REST = (0.0,) * len(BLENDSHAPES)
SIZE = 0.3


class Rehearsal:
    """See somebody who looks into the camera, but for the times in which the title says that they are away.

    The title is empty, or JSON such as `{"away": [[3, 9]]}`: intervals in seconds of the media.
    """

    def __init__(self, *, face: bool = True, voice: bool = True, words: bool = True) -> None:
        """Take which modalities may be used; a voice is not rehearsed, nor are words."""
        del voice, words
        self._may_look = face

    def observe(
        self,
        data: bytes,
        *,
        start: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Observations:
        """Return what the title says; raises Unreadable and NoVideo."""
        found = probe(data, start)  # which also refuses what is no media
        if not found.has_video:
            raise NoVideo
        times = [round(number * STEP, 4) for number in range(math.ceil(found.duration / STEP))]
        away = _read_title(data)
        seen = [at for at in times if not any(begin <= at < end for begin, end in away)]
        if progress is not None:
            progress(1.0)
        return Observations(
            duration=found.duration,
            sampled=tuple(times) if self._may_look else (),
            faces=tuple(map(_face, seen)) if self._may_look else (),
            voice=None,
            words=None,
        )


def _face(at: float) -> FaceFrame:
    return FaceFrame(
        at=at,
        blendshapes=AT_REST,
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        gaze=(0.0, 0.0),
        size=SIZE,
        center=(0.5, 0.5),
    )


def _read_title(data: bytes) -> list[tuple[float, float]]:
    with av.open(io.BytesIO(data), metadata_errors="replace") as container:
        text = container.metadata.get("title") or "{}"
    try:
        script: Any = json.loads(text)
        return [(float(begin), float(end)) for begin, end in script.get("away", [])]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"The title of the video is no script: {error}") from error
