"""Read the head's pose and the gaze from landmarks."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Landmarks that lips, lids and jaw hardly move: bridge and tip of the nose, forehead, temples, eye corners, chin.
_RIGID = (4, 5, 6, 8, 9, 10, 33, 127, 133, 151, 152, 168, 195, 197, 234, 263, 356, 362, 454)
#: The corners of each eye from the picture's left to its right, and its iris: the person's right eye first.
_EYES = ((33, 133, 468), (362, 263, 473))
#: Points of the canonical face, and numbers for each: a position and a place on the texture.
_CANONICAL_POINTS, _CANONICAL_VALUES = 468, 5
# Wire types of protocol buffers.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def head_pose(
    landmarks: NDArray[np.float64], canonical: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return (yaw, pitch, roll) in degrees: positive to the person's left, up, to their right shoulder.

    `landmarks` have shape (478, 3) in pixels, y down and z away from the camera; `canonical` has shape (468, 3), y up
    and z toward the camera. The rotation between them is the best in the least squares sense (Kabsch 1976).
    """
    seen = landmarks[_RIGID, :] * (1, -1, -1)
    model = canonical[_RIGID, :]
    left, _, right = np.linalg.svd((model - model.mean(axis=0)).T @ (seen - seen.mean(axis=0)))
    proper = np.diag((1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))))
    rotation = right.T @ proper @ left.T
    forward = rotation[:, 2]
    yaw = math.atan2(forward[0], forward[2])
    pitch = math.asin(max(-1.0, min(1.0, forward[1])))
    roll = math.atan2(rotation[1, 0], rotation[1, 1])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def gaze(landmarks: NDArray[np.float64]) -> tuple[float, float]:
    """Return where the irises stand between the corners of the eyes, the mean of both eyes.

    In eye widths from the middle; horizontal positive to the person's left, vertical positive up.
    """
    places = []
    for right, left, iris in _EYES:
        start, end = landmarks[right, :2], landmarks[left, :2]
        across = end - start
        width = float(across @ across) + 1e-9
        away = landmarks[iris, :2] - (start + end) / 2
        places.append(
            ((away @ across) / width, (away[0] * across[1] - away[1] * across[0]) / width)
        )
    horizontal, vertical = np.mean(places, axis=0)
    return float(horizontal), float(vertical)


def canonical_face(metadata: bytes) -> NDArray[np.float64]:
    """Return the canonical face, shape (468, 3) in cm, from the model's metadata; raises ValueError.

    The metadata is a protocol buffer; the mesh is the one repeated float of 468 x 5 values in it.
    """
    found = _floats(metadata, _CANONICAL_POINTS * _CANONICAL_VALUES)
    if found is None:
        raise ValueError("The face model carries no canonical face.")
    return np.array(found).reshape(_CANONICAL_POINTS, _CANONICAL_VALUES)[:, :3]


def _floats(message: bytes, count: int) -> list[float] | None:
    """Return the first repeated float field of so many values in a message or those within it."""
    at = 0
    gathered: dict[int, list[float]] = {}
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, at = _varint(message, at)
        elif wire == _FIXED64:
            at += 8
        elif wire == _FIXED32:
            gathered.setdefault(number, []).append(struct.unpack_from("<f", message, at)[0])
            at += 4
        elif wire == _BYTES:
            size, at = _varint(message, at)
            body = message[at : at + size]
            at += size
            if size == 4 * count:
                return list(struct.unpack(f"<{count}f", body))
            if size > 4 * count:
                within = _floats(body, count)
                if within is not None:
                    return within
        else:
            return None
    return next((values for values in gathered.values() if len(values) == count), None)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            break
    return value, at
