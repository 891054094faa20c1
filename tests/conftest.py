"""Fixtures of the project; plugin authors get the same from `core.testing`."""

from __future__ import annotations

import os

pytest_plugins = ["core.testing"]


def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run at a time: one more than cores, since many wait for processes that they started."""
    return (os.cpu_count() or 1) + 1
