"""Fixtures of the project; plugin authors get the same from `core.testing`."""

pytest_plugins = ["core.testing"]
