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
from click.testing import CliRunner

from benchmarks import clips, report
from benchmarks.__main__ import PARTS, main
from benchmarks.apis import Apis
from benchmarks.costs import Cost
from benchmarks.growth import Growth
from benchmarks.installation import storages
from benchmarks.moods import Moods
from benchmarks.processes import cpu_seconds
from benchmarks.streams import Spread, Streams
from benchmarks.traffic import KINDS
from plugins.stream.analysis.decode import probe
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed

ROOT = Path(__file__).resolve().parents[2]


def cost(web: float, seconds: float = 0.003) -> Cost:
    return Cost({"web": web, "worker": 0.001, "valkey": 0.0005}, [seconds] * 3)


APIS = Apis(
    "SQLite",
    1_000,
    {
        "parse only": cost(0.001),
        "POST /api/data/events": cost(0.002),
        "marshmallow + insert_many": cost(0.012),
    },
    150_000_000,
)
GROWTH = Growth(
    "SQLite",
    [10, 1_000],
    {
        "POST /session": [[cost(0.001), cost(0.002), cost(0.003)], [cost(0.0035)] * 3],
        "GET /session": [[cost(0.001)] * 3, [cost(0.002, 0.006)] * 3],
    },
)
MOODS = Moods(
    {("POST", 10): 0.002, ("POST", 500): 0.003, ("GET", 10): 0.001, ("GET", 500): 0.001}, 500
)
STREAMS = Streams(
    has_face=True,
    cpu=0.12,
    cpu_with_recognition=None,
    latency=Spread(1.2, 1.5),
    upload=Spread(0.5, 0.6),
    upload_cpu=0.02,
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
        timeout=600,
        check=False,
    )


def test_a_short_run_measures_a_real_server_and_prints_every_figure() -> None:
    page = report.PAGE.read_text()
    sizes = (
        "--rounds",
        "1",
        "--requests",
        "1",
        "--stored",
        "1",
        "--samples",
        "1",
        "--events",
        "20",
    )

    result = run("--only", "apis", "--storage", "SQLite", "--only", "mood", *sizes)

    # 1: a run as short as this may miss an aim.
    assert result.returncode in {0, 1}, result.stderr
    for name in (*(kind.name for kind in KINDS), "POST of 3 events", "GET"):
        assert re.search(
            rf"^\| {re.escape(name)} \|( [\d.,]+ \|)+$", result.stdout, re.MULTILINE
        ), name
    assert result.stdout.count("| met |") + result.stdout.count("| missed |") == 4
    assert report.PAGE.read_text() == page


@pytest.mark.soak
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
        "POST /v1/upload/analyze with 3 s, median and 95th percentile",
        "memory of a worker with its child",
        "memory of a socket that waits",
        "the same while 2 sockets wait",
    ):
        assert re.search(rf"^\| {name} \| [\d.-]+", result.stdout, re.MULTILINE), name
    assert "/api/data/events" not in result.stdout


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


@pytest.mark.soak
def test_servers_of_several_sizes_are_asked_in_turns_on_each_kind_of_database() -> None:
    sizes = ("--rounds", "1", "--requests", "2", "--rows", "1,8000")

    result = run("--only", "growth", *sizes)

    assert result.returncode in {0, 1}, result.stderr
    for storage in storages():
        assert re.search(
            rf"^\| {storage}: .* \| 3,\d+ rows \| 7,\d+ rows \|", result.stdout, re.MULTILINE
        )


@pytest.mark.parametrize("rows", ["10", "10,x", "20,10", "0,10", ""])
def test_sizes_that_cannot_be_compared_are_refused(rows: str) -> None:
    result = CliRunner().invoke(main, ["--only", "growth", "--rows", rows])

    assert result.exit_code == 2
    assert "--rows" in result.output


def test_ratios_are_held_against_the_aims() -> None:
    aims = [*report.api_aims(APIS), *report.mood_aims(MOODS)]

    assert [aim.value for aim in aims] == pytest.approx([2, 6, 1.5, 1])
    assert [aim.is_met for aim in aims] == [True, True, False, True]


def test_the_table_of_apis_says_what_a_core_takes_and_what_others_do_for_it() -> None:
    row = next(line for line in report.api_table(APIS) if "POST /api/data/events" in line)

    cells = [cell.strip() for cell in row.split("|")[2:-1]]

    assert cells == ["100", "500", "50,000", "3.0", "3.0", "3.0", "2,000", "1,000", "500"]


def test_growth_is_the_middle_of_the_turns_and_their_spread_is_shown() -> None:
    writes, reads = report.growth_aims(GROWTH)

    # All processes together: 0.005 s against 0.0025, 0.0035 and 0.0045 s.
    assert writes.value == pytest.approx(0.005 / 0.0035)
    assert not writes.is_met
    assert reads.value == pytest.approx(0.0035 / 0.0025)
    assert "| 1.43 (1.11 to 2.00) | 1.00 (1.00 to 1.00) |" in "".join(report.growth_table(GROWTH))
    assert "| 1.40 (1.40 to 1.40) | 2.00 (2.00 to 2.00) |" in "".join(report.growth_table(GROWTH))


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
