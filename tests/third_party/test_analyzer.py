"""A plugin that came by pip brings an analysis of its own."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

from tests.third_party.conftest import ROOT, create_environment

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "subtext-plugin-rehearsal"


def test_the_tests_of_the_example_pass_against_the_installed_package(tmp_path: Path) -> None:
    environment = create_environment(tmp_path / "venv")
    ignored = shutil.ignore_patterns("build", "*.egg-info")
    shutil.copytree(EXAMPLE, tmp_path / "source", ignore=ignored)
    environment.pip_install(tmp_path / "source")
    shutil.rmtree(tmp_path / "source" / "subtext_plugin_rehearsal")  # the installed one is tested

    # Short, because a database of the tests may have its socket in it: at most 107 bytes (unix(7)).
    with tempfile.TemporaryDirectory() as temporary:
        settings = {"PYTHONPATH": str(ROOT), "PYTEST_DEBUG_TEMPROOT": temporary}
        command = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
        result = environment.run(*command, directory=tmp_path / "source", settings=settings)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "skipped" not in result.stdout
