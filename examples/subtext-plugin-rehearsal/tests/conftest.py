"""The fixtures of Subtext, and small videos with a title."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["core.testing"]

FPS = 10


def make(seconds: float, title: str) -> bytes:
    """Return a grey video with a title."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        output.metadata["title"] = title
        video: Any = output.add_stream("mpeg4", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        picture = np.full((48, 64, 3), 128, np.uint8)
        for _ in range(round(seconds * FPS)):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(video.encode(None))
    return buffer.getvalue()


@pytest.fixture
def video() -> Callable[..., bytes]:
    """Return what makes a video: `video(seconds, **script)`."""
    return lambda seconds, **script: make(seconds, json.dumps(script))


@pytest.fixture
def titled() -> Callable[[str], bytes]:
    """Return what makes four seconds of video with a title."""
    return lambda title: make(4, title)
