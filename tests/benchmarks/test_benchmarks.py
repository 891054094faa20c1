"""`python -m benchmarks` measures what it says, on a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import clips, report
from benchmarks.__main__ import PARTS
from benchmarks.intake import Intake
from benchmarks.moods import Moods
from benchmarks.server import cpu_seconds
from benchmarks.streams import Spread, Streams
from plugins.stream.analysis.decode import probe
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed

ROOT = Path(__file__).resolve().parents[2]
SECONDS = {"parse only": 0.001, "ingestion API": 0.002, "marshmallow + insert_many": 0.012}
MOODS = Moods(
    {("POST", 10): 0.002, ("POST", 500): 0.003, ("GET", 10): 0.001, ("GET", 500): 0.001}, 500
)
STREAMS = Streams(
    has_face=True,
    cpu=0.12,
    cpu_with_recognition=None,
    latency=Spread(1.2, 1.5),
    workers=2,
    carried=8,
    worker_bytes=300_000_000,
    sockets=500,
    socket_bytes=90_000.0,
    asked_before=Spread(0.001, 0.002),
    asked_while=Spread(0.0012, 0.003),
)
RECOGNISING = replace(STREAMS, cpu_with_recognition=0.21)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--no-write"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_short_run_measures_a_real_server_and_prints_every_figure() -> None:
    page = report.PAGE.read_text()
    sizes = ("--rounds", "1", "--requests", "2", "--samples", "1", "--events", "20")

    result = run("--only", "events", "--only", "mood", *sizes)

    # 1: a run as short as this may miss an aim.
    assert result.returncode in {0, 1}, result.stderr
    for name in (*SECONDS, "POST of 3 events", "GET"):
        assert f"| {name} | " in result.stdout
    assert result.stdout.count("| met |") + result.stdout.count("| missed |") == 4
    assert report.PAGE.read_text() == page


@pytest.mark.skipif(
    not is_installed(FACE_LANDMARKER), reason=f"no models are installed: {FACE_LANDMARKER.install}"
)
def test_a_short_run_streams_to_a_real_worker() -> None:
    sizes = ("--segments", "1", "--streams", "1", "--sockets", "2", "--samples", "2")

    result = run("--only", "streams", *sizes)

    assert result.returncode in {0, 1}, result.stderr
    for name in (
        "CPU seconds of the analysis, a second of video",
        "first finding after the first 3 s segment, median",
        "memory of a worker with its child",
        "memory of a socket that waits",
        "the same while 2 sockets wait",
    ):
        assert re.search(rf"^\| {name} \| [\d.-]+", result.stdout, re.MULTILINE), name
    assert "ingestion API" not in result.stdout


def test_where_no_real_face_is_installed_the_video_is_a_scene_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clips, "CARRIER", "no-such-distribution")

    made = clips.make_clips()

    assert not made.has_face
    assert len(set(made.segments)) == clips.SEGMENTS
    for segment in made.segments:
        found = probe(segment)
        assert found.duration == pytest.approx(clips.SECONDS, abs=0.1)
        assert (found.has_video, found.has_audio) == (True, True)


def test_ratios_are_held_against_the_aims() -> None:
    aims = [*report.intake_aims(Intake(SECONDS, 1)), *report.mood_aims(MOODS)]

    assert [aim.value for aim in aims] == pytest.approx([2, 6, 1.5, 1])
    assert [aim.is_met for aim in aims] == [True, True, False, True]


def test_streams_are_held_against_their_aims_and_recognition_only_where_it_is() -> None:
    without, with_recognition = report.stream_aims(STREAMS), report.stream_aims(RECOGNISING)

    assert [aim.is_met for aim in without] == [True, False, True, True]
    assert [aim.is_met for aim in with_recognition] == [True, False, False, True, True]
    assert "| the same with speech recognition | not installed |" in report.stream_table(STREAMS)


def test_figures_replace_the_ones_before_and_leave_the_others_as_they_are() -> None:
    marks = {part: (report.BEGIN.format(part=part), report.END.format(part=part)) for part in PARTS}
    sections = [f"{begin}\nold\n{end}\n" for begin, end in marks.values()]
    page = "# Title\n\n" + "\n".join(sections) + "\nMore.\n"
    begin, end = marks["mood"]

    once = report.replace_figures(page, "mood", "new\n")

    assert once == page.replace(f"{begin}\nold\n{end}", f"{begin}\nnew\n{end}")
    assert report.replace_figures(once, "mood", "new\n") == once


def test_a_page_without_a_place_for_figures_is_not_touched() -> None:
    with pytest.raises(ValueError, match="no marks"):
        report.replace_figures("# Title\n", "mood", "new\n")


@pytest.mark.parametrize("part", PARTS)
def test_the_page_has_a_place_for_the_figures_of_each_part(part: str) -> None:
    assert "figures of this run" in report.replace_figures(
        report.PAGE.read_text(), part, "figures of this run\n"
    )


def test_the_cpu_time_of_a_process_is_the_one_that_it_sees_itself() -> None:
    before = time.process_time()
    measured = cpu_seconds(os.getpid())
    after = time.process_time()

    assert before <= measured <= after
