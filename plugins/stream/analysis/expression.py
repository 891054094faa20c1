"""Read an expression from a face with a mini-Xception net (Arriaga et al. 2017, arXiv:1710.07557).

It was trained on FER2013: happy is reliable, surprise good, fear, anger and sadness weak. It is over-confident in a
single picture; only means over time mean something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from plugins.stream.analysis.network import Network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Side of the net's input in pixels; gray, from -1 to 1.
_SIDE = 64
#: Where the net's outputs (angry, disgust, fear, happy, sad, surprise, neutral) stand in observations.EXPRESSIONS.
_ORDER = (6, 3, 4, 0, 2, 1, 5)
#: The cut-out is so much larger than the landmarks' bounds, about the box of the detector the net was trained with.
_MARGIN = 1.1
#: Faces of fewer pixels on a side are not looked at.
_SMALLEST = 24


class ExpressionReader:
    """Hold the net."""

    def __init__(self, model: Path) -> None:
        self._network = Network(model.read_bytes())
        self._shares = self._network.output(len(_ORDER))

    def read(
        self, picture: NDArray[np.uint8], landmarks: NDArray[np.float64]
    ) -> tuple[float, ...] | None:
        """Return the shares of the expressions in the order of EXPRESSIONS; None when the face is too small."""
        low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
        reach = float((high - low).max()) * _MARGIN / 2
        x, y = (low + high) / 2
        height, width = picture.shape[:2]
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        right, bottom = min(width, int(x + reach) + 1), min(height, int(y + reach) + 1)
        if right - left < _SMALLEST or bottom - top < _SMALLEST:
            return None
        cut = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right])).convert("L")
        gray = np.asarray(cut.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), np.float32)
        shares = self._network.run((gray / 127.5 - 1)[:, :, None], self._shares)[0].ravel()
        return tuple(round(float(shares[index]), 3) for index in _ORDER)
