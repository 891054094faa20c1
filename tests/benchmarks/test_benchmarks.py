"""`python -m benchmarks` measures what it says, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.intake import Intake
from benchmarks.moods import Moods
from benchmarks.server import _cpu_seconds

ROOT = Path(__file__).resolve().parents[2]
SECONDS = {"parse only": 0.001, "ingestion API": 0.002, "marshmallow + insert_many": 0.012}
MOODS = Moods(
    {("POST", 10): 0.002, ("POST", 500): 0.003, ("GET", 10): 0.001, ("GET", 500): 0.001}, 500
)


def test_a_short_run_measures_a_real_server_and_prints_every_figure() -> None:
    page = report.PAGE.read_text()
    command = ["--rounds", "1", "--requests", "2", "--samples", "1", "--events", "20", "--no-write"]

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    # 1: a run as short as this may miss an aim.
    assert result.returncode in {0, 1}, result.stderr
    for name in (*SECONDS, "POST of 3 events", "GET"):
        assert f"| {name} | " in result.stdout
    assert result.stdout.count("| met |") + result.stdout.count("| missed |") == 4
    assert report.PAGE.read_text() == page


def test_ratios_are_held_against_the_aims() -> None:
    aims = report.aims(Intake(SECONDS, 1), MOODS)

    assert [aim.value for aim in aims] == pytest.approx([2, 6, 1.5, 1])
    assert [aim.is_met for aim in aims] == [True, True, False, True]


def test_figures_replace_the_ones_before_and_leave_the_page_as_it_is() -> None:
    page = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nMore.\n"

    once = report.replace_figures(page, "new\n")

    assert once == f"# Title\n\n{report.BEGIN}\nnew\n{report.END}\n\nMore.\n"
    assert report.replace_figures(once, "new\n") == once


def test_a_page_without_a_place_for_figures_is_not_touched() -> None:
    with pytest.raises(ValueError, match="no marks"):
        report.replace_figures("# Title\n", "new\n")


def test_the_page_has_a_place_for_figures() -> None:
    assert "ingestion API" in report.replace_figures(report.PAGE.read_text(), "figures\n")


def test_the_cpu_time_of_a_process_is_the_one_that_it_sees_itself() -> None:
    before = time.process_time()
    measured = _cpu_seconds(os.getpid())
    after = time.process_time()

    assert before <= measured <= after
