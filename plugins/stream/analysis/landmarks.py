"""Follow 478 landmarks and 52 blendshapes of one face (Grishchenko et al. 2020, arXiv:2006.10962; 2023, 2309.05782).

The arithmetic around the models follows MediaPipe's face landmarker graph (Apache-2.0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
from PIL import Image

from plugins.stream.analysis.detector import Detection, FaceDetector
from plugins.stream.analysis.network import Network
from plugins.stream.analysis.pose import canonical_face

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Side of the landmark model's input in pixels, and the coordinates it returns.
_SIDE = 256
_POINTS = 478
#: A region is so much larger than the face in it.
_MARGIN = 1.5
#: Least presence of a face in the region (MediaPipe's default).
_PRESENCE = 0.5
#: Detections that are looked at before a picture counts as one without a face.
_CANDIDATES = 3
#: Outer corners of the right and the left eye.
_RIGHT_EYE, _LEFT_EYE = 33, 263
#: The landmarks that the blendshape model reads, in its order (MediaPipe, face_blendshapes_graph.cc).
_BLENDSHAPE_POINTS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Region:
    """Describe a turned square in a picture: its middle and side in pixels, its angle in radians, clockwise."""

    x: float
    y: float
    side: float
    angle: float


@dataclass(frozen=True, slots=True)
class Face:
    """Hold landmarks of shape (478, 3) in pixels, z growing away from the camera, and the 52 blendshapes."""

    landmarks: NDArray[np.float64]
    blendshapes: NDArray[np.float32]


class FaceTracker:
    """Find the largest face of a picture and follow it through those that come after."""

    def __init__(self, task: Path) -> None:
        with ZipFile(task) as bundle:
            self._detector = FaceDetector(bundle.read("face_detector.tflite"))
            self._landmarks = Network(bundle.read("face_landmarks_detector.tflite"))
            self._blendshapes = Network(bundle.read("face_blendshapes.tflite"))
            self.canonical = canonical_face(
                bundle.read("geometry_pipeline_metadata_landmarks.binarypb")
            )
        self._points = self._landmarks.output(_POINTS * 3)
        self._presence = self._landmarks.output(1, "Identity_1")
        self._coefficients = self._blendshapes.output(52)
        self._region: Region | None = None

    def reset(self) -> None:
        """Forget the face, before pictures that do not continue the last one."""
        self._region = None

    def look(self, picture: NDArray[np.uint8], *, search: bool = False) -> Face | None:
        """Return the face in the next picture; `search` looks for small ones too when none is being followed."""
        if self._region is not None:
            face = self._read(picture, self._region)
            if face is not None:
                return face
        self._region = None
        face = self._confirm(picture, self._detector.detect(picture))
        if face is None and search:
            face = self._confirm(picture, self._detector.search(picture))
        return face

    def _confirm(self, picture: NDArray[np.uint8], found: list[Detection]) -> Face | None:
        """Return the largest of the detected faces in which the landmark model sees one too."""
        for detection in sorted(found, key=lambda face: -face.area)[:_CANDIDATES]:
            face = self._read(picture, _around(detection))
            if face is not None:
                return face
        return None

    def _read(self, picture: NDArray[np.uint8], region: Region) -> Face | None:
        """Read the landmarks in a region and move the region after them; None when no face is in it."""
        cosine, sine = math.cos(region.angle), math.sin(region.angle)
        scale = region.side / _SIDE
        turn = np.array(((cosine, -sine), (sine, cosine))) * scale
        origin = np.array((region.x, region.y)) - turn @ (_SIDE / 2, _SIDE / 2)
        crop = _cut(picture, region, turn, origin)
        if crop is None:
            return None
        points, logit = self._landmarks.run(
            np.asarray(crop, np.float32) / np.float32(255), self._points, self._presence
        )
        if 1 / (1 + math.exp(-max(-80.0, float(logit.ravel()[0])))) < _PRESENCE:
            return None
        raw = points.reshape(_POINTS, 3).astype(np.float64)
        if not np.isfinite(raw).all():
            return None
        landmarks = np.column_stack((raw[:, :2] @ turn.T + origin, raw[:, 2] * scale))
        chosen = np.asarray(landmarks[_BLENDSHAPE_POINTS, :2], np.float32)
        blendshapes = self._blendshapes.run(chosen, self._coefficients)[0]
        self._region = _follow(landmarks)
        return Face(landmarks, np.clip(np.nan_to_num(blendshapes.ravel()), 0, 1))


def _around(face: Detection) -> Region:
    """Return the region around a detected face, its eyes level."""
    right, left = face.eyes
    x, y = face.center
    side = float(max(face.box[2] - face.box[0], face.box[3] - face.box[1])) * _MARGIN
    return Region(float(x), float(y), side, math.atan2(left[1] - right[1], left[0] - right[0]))


def _follow(landmarks: NDArray[np.float64]) -> Region:
    """Return the region around landmarks, its eyes level."""
    across = landmarks[_LEFT_EYE, :2] - landmarks[_RIGHT_EYE, :2]
    angle = math.atan2(across[1], across[0])
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array(((cosine, -sine), (sine, cosine)))
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return Region(float(x), float(y), float((high - low).max()) * _MARGIN, angle)


def _cut(
    picture: NDArray[np.uint8],
    region: Region,
    turn: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> NDArray[np.uint8] | None:
    """Return the region as an upright square picture; None when it lies outside.

    Only the region's bounds are handed to Pillow, which copies what it transforms.
    """
    height, width = picture.shape[:2]
    reach = region.side * 0.75
    left, top = max(0, int(region.x - reach)), max(0, int(region.y - reach))
    right, bottom = min(width, int(region.x + reach) + 1), min(height, int(region.y + reach) + 1)
    if right - left < 4 or bottom - top < 4:  # noqa: PLR2004 - pixels, fewer hold nothing
        return None
    # Pillow samples at pixel centres: half a pixel in the crop, half a pixel back in the picture.
    (a, b), (d, e) = turn
    shift = turn @ (-0.5, -0.5) + 0.5 + origin - (left, top)
    part = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    return np.asarray(
        part.transform(
            (_SIDE, _SIDE),
            Image.Transform.AFFINE,
            (a, b, shift[0], d, e, shift[1]),
            Image.Resampling.BILINEAR,
        )
    )
