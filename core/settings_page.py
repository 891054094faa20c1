"""Writes the tables of `docs/settings.md` from what is declared: `python -m core.settings_page`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.runtime import EXTENSION, Runtime
from core.settings import CORE_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.settings import Setting

#: What stands above the tables.
HEAD = """# Settings

Every setting is an environment variable; an argument of `create_app` of the same name wins over it. They are read
once, when a process starts. A value that cannot be read stops the start, and so does a name that begins with
`SUBTEXT_` and that no setting has: the message names the nearest one. Switches are `1` or `0`, lists are separated
by commas or spaces.

This page is written by `python -m core.settings_page > docs/settings.md`.
"""


def render(groups: Iterable[tuple[str, Iterable[Setting]]]) -> str:
    """Return the page: a heading and a table for each group."""
    parts = [HEAD]
    for title, settings in groups:
        lines = [f"## {title}", "", "| name | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{one.name}` | {_shown(one.default)} | {one.help.replace('|', chr(92) + '|')} |"
            for one in settings
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def declared() -> list[tuple[str, list[Setting]]]:
    """Return the settings of the core and of each built-in plugin that has some."""
    app = importlib.import_module("app").create_app()
    runtime: Runtime = app.extensions[EXTENSION]
    groups: list[tuple[str, list[Setting]]] = [("Core", list(CORE_SETTINGS))]
    for name, origin in runtime.plugins.origins.items():
        found = runtime.plugins.only(name).register_settings()
        if origin == "built in" and found:
            groups.append((name.capitalize(), [setting for part in found for setting in part]))
    return groups


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{int(value)}`"
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={item}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return "" if value in (None, "") else f"`{value}`"


if __name__ == "__main__":
    print(render(declared()), end="")  # noqa: T201 (this is the command's answer)
