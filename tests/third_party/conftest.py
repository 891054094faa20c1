"""The example plugin, installed by pip into an environment of its own, without a network."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "subtext-plugin-vitals"
PACKAGE = "subtext_plugin_vitals"
OTHERS = "ingestion,clickstream,mood,stream"
#: Seconds that one command may take.
PATIENCE = 240


@dataclass(frozen=True)
class Environment:
    """Hold a virtual environment beside the one that runs the tests, whose packages it sees too."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return next(self.directory.glob("lib/python*/site-packages"))

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return what a command's environment holds: nothing of the outer test run."""
        kept = {"LANG", "LD_LIBRARY_PATH", "TMPDIR"}
        return {
            **{name: value for name, value in os.environ.items() if name in kept},
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads "0" as: the switch is set
            "PIP_ROOT_USER_ACTION": "ignore",
            # A pytest in here must not tighten the directory that the outer one works in.
            "PYTEST_DEBUG_TEMPROOT": str(self.directory),
            **more,
        }

    def run(
        self,
        *command: str,
        directory: Path = ROOT,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.CompletedProcess[str]:
        """Run `python <command>` in a directory and return what came of it."""
        return subprocess.run(
            [self.python, *command],
            cwd=directory,
            env=self.variables(settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @contextlib.contextmanager
    def serving(self, settings: Mapping[str, str]) -> Iterator[str]:
        """Run gunicorn as the Procfile does and give its host and port while it answers."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        environment = self.variables({**settings, "PORT": str(port)})
        command = [str(self.python), "-m", "gunicorn", "wsgi:app"]
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            try:
                deadline = time.monotonic() + PATIENCE
                while not _answers(port):
                    assert process.poll() is None, "gunicorn ended"
                    assert time.monotonic() < deadline, "gunicorn does not answer"
                    time.sleep(0.1)
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()

    def pip_install(self, source: Path, *options: str) -> None:
        """Install a package from a directory."""
        result = self.run("-m", "pip", "install", "--no-deps", *options, str(source))
        assert result.returncode == 0, result.stderr


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def create_environment(directory: Path) -> Environment:
    """Make an empty environment that sees the packages of this one."""
    venv.create(directory, with_pip=False, symlinks=True)
    environment = Environment(directory)
    outer = next(path for path in sys.path if path.endswith("site-packages"))
    (environment.site_packages / "outer.pth").write_text(f"{outer}\n")
    return environment


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the example plugin, built from a copy and installed by pip."""
    directory = tmp_path_factory.mktemp("third_party")
    environment = create_environment(directory / "venv")
    source = directory / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    environment.pip_install(source)
    return environment


@pytest.fixture
def storage_variables(tmp_path: Path) -> Mapping[str, str]:
    """Return the settings of a server on an empty directory."""
    return {"SUBTEXT_DATA": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/subtext.db"}


@pytest.fixture
def plugin_on_path(installed: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let apps of this test find the installed plugin by its entry point."""
    monkeypatch.syspath_prepend(str(installed.site_packages))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    importlib.invalidate_caches()
