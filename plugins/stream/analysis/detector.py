"""Find faces in a picture with BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), short range.

Anchors, decoding and weighted non-maximum suppression follow MediaPipe's face detection graph (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from plugins.stream.analysis.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Side of the model's input, in pixels.
_SIDE = 128
#: Cells along a side of each feature map and the anchors in each of its cells.
_ANCHOR_MAPS = ((16, 2), (8, 6))
#: Values a candidate has: a box and six key points, the first two are the eyes.
_VALUES = 16
#: Least score of a face, and the overlap from which two candidates are one face (MediaPipe's defaults).
_SCORE = 0.5
_OVERLAP = 0.3
#: The tiled search: side of the small tiles as a share of the picture's shorter side, their columns and rows.
_TILE = 0.6
_TILES_LONG, _TILES_SHORT = 4, 3


@dataclass(frozen=True, slots=True)
class Detection:
    """Hold a face: its score, its box (left, top, right, bottom) and its two eyes, in pixels of the picture."""

    score: float
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Return the area of the box in pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))

    @property
    def center(self) -> NDArray[np.float64]:
        """Return the middle of the box."""
        middle: NDArray[np.float64] = (self.box[:2] + self.box[2:]) / 2
        return middle

    def moved(self, left: int, top: int) -> Detection:
        """Return the same face in a picture that has so many more pixels to the left and above."""
        shift = np.array((left, top), np.float64)
        return Detection(self.score, self.box + np.tile(shift, 2), self.eyes + shift)


class FaceDetector:
    """Find faces of at least a ninth of the picture's longer side, and smaller ones in tiles."""

    def __init__(self, model: bytes) -> None:
        self._network = Network(model)
        self._boxes = self._network.output(_VALUES)
        self._scores = self._network.output(1)
        self._anchors = np.array(
            [
                ((column + 0.5) / cells, (row + 0.5) / cells)
                for cells, each in _ANCHOR_MAPS
                for row in range(cells)
                for column in range(cells)
                for _ in range(each)
            ]
        )

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in a picture of shape (height, width, 3), best first."""
        height, width = picture.shape[:2]
        scale = _SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        margin = np.array(((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2))
        square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        square[margin[1] : margin[1] + size[1], margin[0] : margin[0] + size[0]] = np.asarray(
            Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        )
        raw, logits = self._network.run(
            square.astype(np.float32) / 127.5 - 1, self._boxes, self._scores
        )
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -80, 80)))
        found = np.flatnonzero(scores >= _SCORE)
        values = raw[0, found].astype(np.float64) / _SIDE
        anchors = self._anchors[found]
        center, half = values[:, :2] + anchors, values[:, 2:4] / 2
        points = np.concatenate(
            (center - half, center + half, values[:, 4:8] + np.tile(anchors, 2)), 1
        )
        pixels = (points * _SIDE - np.tile(margin, 4)) / scale
        return _suppress(pixels, scores[found])

    def search(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in a picture, small ones too: 15 times the work of `detect`."""
        found: list[Detection] = []
        for left, top, side in _tiles(picture.shape[1], picture.shape[0]):
            tile = np.ascontiguousarray(picture[top : top + side, left : left + side])
            found += [face.moved(left, top) for face in self.detect(tile)]
        kept: list[Detection] = []
        for face in sorted(found, key=lambda face: -face.score):
            if all(
                np.linalg.norm(face.center - other.center) > (other.box[2] - other.box[0]) / 2
                for other in kept
            ):
                kept.append(face)
        return kept


def _tiles(width: int, height: int) -> list[tuple[int, int, int]]:
    """Return (left, top, side) of three large tiles and twelve small ones."""
    side = min(width, height)
    spare = max(width, height) - side
    large = [(place, 0) if width >= height else (0, place) for place in (0, spare // 2, spare)]
    small = int(side * _TILE)
    columns, rows = (_TILES_LONG, _TILES_SHORT) if width >= height else (_TILES_SHORT, _TILES_LONG)
    return [(left, top, side) for left, top in large] + [
        (int(left), int(top), small)
        for left in np.linspace(0, width - small, columns)
        for top in np.linspace(0, height - small, rows)
    ]


def _suppress(values: NDArray[np.float64], scores: NDArray[np.float64]) -> list[Detection]:
    """Make one face of the candidates that overlap: their mean, weighted by their scores."""
    left = list(np.argsort(-scores))
    faces = []
    while left:
        best = left[0]
        overlap = _overlaps(values[best, :4], values[left, :4])
        same = [index for index, share in zip(left, overlap, strict=True) if share > _OVERLAP] or [
            best
        ]
        mean = np.average(values[same], axis=0, weights=scores[same])
        faces.append(Detection(float(scores[best]), mean[:4], mean[4:].reshape(2, 2)))
        left = [index for index in left if index not in same]
    return faces


def _overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of one box with each of `boxes`."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(np.clip(box[2:] - box[:2], 0, None))
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    shares: NDArray[np.float64] = common / (area + areas - common + 1e-9)
    return shares
