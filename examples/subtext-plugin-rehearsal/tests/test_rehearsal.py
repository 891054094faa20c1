"""What a rehearsed video is answered."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from subtext_plugin_rehearsal.analyzer import Rehearsal

from core import ConfigurationError
from plugins.stream.analysis.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from core.testing import MakeApp

FPS = 10


def titled(title: str, seconds: float = 4) -> bytes:
    """Return a grey video with a title."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        output.metadata["title"] = title
        stream: Any = output.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = np.full((48, 64, 3), 128, np.uint8)
        for _ in range(round(seconds * FPS)):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def video(seconds: float, **script: Any) -> bytes:
    """Return a video whose title is a script."""
    return titled(json.dumps(script), seconds)


def analyze(make_app: MakeApp, path: Path, media: bytes, **settings: Any) -> Any:
    """Return the result of `flask stream analyze`."""
    path.write_bytes(media)
    app = make_app(SUBTEXT_STREAM_ANALYZER="rehearsal", **settings)
    return app.test_cli_runner().invoke(args=["stream", "analyze", str(path)])


def test_who_looks_into_the_camera_is_there_in_every_picture() -> None:
    seen = Rehearsal().observe(video(4))

    assert seen.duration == pytest.approx(4)
    assert [face.at for face in seen.faces] == list(seen.sampled)
    assert len(seen.sampled) == 40


def test_who_is_away_is_not_seen() -> None:
    seen = Rehearsal().observe(video(4, away=[[1, 2], [3, 9]]))

    assert {int(face.at) for face in seen.faces} == {0, 2}
    assert len(seen.sampled) == 40


def test_nobody_is_looked_at_where_that_is_switched_off() -> None:
    seen = Rehearsal(face=False).observe(video(4))

    assert (seen.sampled, seen.faces) == ((), ())


@pytest.mark.parametrize("title", ["holiday", "[1]", '{"away": [1]}', '{"away": [["x", "y"]]}'])
def test_a_title_that_is_no_script_is_a_broken_video(title: str) -> None:
    with pytest.raises(Unreadable, match="no script"):
        Rehearsal().observe(titled(title))


def test_what_is_no_video_is_refused() -> None:
    with pytest.raises(Unreadable):
        Rehearsal().observe(b"no video" * 100)


def test_the_setting_chooses_it_and_the_findings_are_the_real_ones(
    make_app: MakeApp, tmp_path: Path
) -> None:
    result = analyze(make_app, tmp_path / "away.mp4", video(12, away=[[4, 12]]))

    assert result.exit_code == 0, result.output
    states = [state["state"] for state in json.loads(result.stdout)["engagement_state"]]
    assert states[-1] == "disengaged"
    assert states[0] != "disengaged"


def test_a_broken_script_is_told_with_the_code_of_the_contract(
    make_app: MakeApp, tmp_path: Path
) -> None:
    result = analyze(make_app, tmp_path / "broken.mp4", titled("holiday"))

    assert result.exit_code == 1
    assert "ih5004" in result.output


def test_a_name_that_no_plugin_registers_stops_the_start(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="builtin, rehearsal"):
        make_app(SUBTEXT_STREAM_ANALYZER="rehersal")


def test_it_is_no_fault_when_the_stream_plugin_is_disabled(make_app: MakeApp) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=("stream",))

    assert app.test_client().get("/livez").status_code == 200
