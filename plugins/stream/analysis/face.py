"""Describe the face in each sampled picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.stream.analysis.expression import ExpressionReader
from plugins.stream.analysis.landmarks import FaceTracker
from plugins.stream.analysis.models import EXPRESSION_NET, FACE_LANDMARKER, locate
from plugins.stream.analysis.observations import FaceFrame
from plugins.stream.analysis.pose import gaze, head_pose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Seconds between two looks at the expression, which changes slowly and is averaged over windows.
EXPRESSION_EVERY = 0.5
#: Seconds between two searches for a small face, which cost as much as five pictures, and the time before the first.
SEARCH_EVERY = 1.0
_SEARCH_AFTER = 0.5


class FaceReader:
    """Read the face in the pictures of one segment after another; raises ModelsMissing when made."""

    def __init__(self) -> None:
        self._tracker = FaceTracker(locate(FACE_LANDMARKER))
        self._expression = ExpressionReader(locate(EXPRESSION_NET))
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._tracker.reset()
        self._next_expression = 0.0
        self._next_search = _SEARCH_AFTER

    def look(self, picture: NDArray[np.uint8], at: float) -> FaceFrame | None:
        """Describe the face in a picture of shape (height, width, 3), RGB, taken `at` seconds; None without one."""
        search = at >= self._next_search
        face = self._tracker.look(picture, search=search)
        if search or face is not None:
            self._next_search = at + (SEARCH_EVERY if face is None else _SEARCH_AFTER)
        if face is None:
            return None
        expression = None
        if at >= self._next_expression:
            expression = self._expression.read(picture, face.landmarks)
            self._next_expression = at + EXPRESSION_EVERY - 1e-3
        height, width = picture.shape[:2]
        low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
        yaw, pitch, roll = head_pose(face.landmarks, self._tracker.canonical)
        horizontal, vertical = gaze(face.landmarks)
        return FaceFrame(
            at=round(at, 4),
            blendshapes=tuple(round(float(value), 3) for value in face.blendshapes),
            yaw=round(yaw, 2),
            pitch=round(pitch, 2),
            roll=round(roll, 2),
            gaze=(round(horizontal, 4), round(vertical, 4)),
            size=round(float(high[0] - low[0]) / width, 4),
            center=(
                round(float(low[0] + high[0]) / 2 / width, 4),
                round(float(low[1] + high[1]) / 2 / height, 4),
            ),
            expression=expression,
        )
