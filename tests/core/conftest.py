"""Apps with the core alone, and with tiny plugins that a test writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app import BUILTIN_PLUGINS
from core.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from core.testing import MakeApp

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the directory of the project."""
    return ROOT


@pytest.fixture
def make_core(make_app: MakeApp) -> MakeApp:
    """Return a function that builds apps without the built-in plugins."""

    def build(**arguments: Any) -> Flask:
        return make_app(**{"SUBTEXT_PLUGINS_DISABLED": tuple(BUILTIN_PLUGINS), **arguments})

    return build


@pytest.fixture
def core_app(make_core: MakeApp) -> Flask:
    """Return the core alone."""
    return make_core()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """Run a Valkey server for the tests of limits and health."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server
