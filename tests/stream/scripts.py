"""Small videos that say what their analysis does."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any

import av
import numpy as np


@cache
def video(seconds: float = 3.2, **script: Any) -> bytes:
    """Return a small mp4 whose title is a script for the tests' analyzer."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        container.metadata["title"] = json.dumps(script)
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(round(seconds * 10)):
            picture = np.full((64, 64, 3), number * 5 % 256, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()


@cache
def without_picture() -> bytes:
    """Return an mp4 that holds sound only."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 64_000), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()


@cache
def browser_video(seconds: float = 7.0) -> bytes:
    """Return a video that every browser plays."""
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(round(seconds * 10)):
            picture = np.full((120, 160, 3), number * 5 % 256, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()
