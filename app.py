"""The composition root: which plugins are built in, and `python app.py`, which runs everything on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.factory import build_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

#: Built-in plugins by name, in the order in which they answer.
BUILTIN_PLUGINS = {
    "ingestion": "plugins.ingestion.plugin",
    "clickstream": "plugins.clickstream.plugin",
    "mood": "plugins.mood.plugin",
    "stream": "plugins.stream.plugin",
}


def create_app(*, plugins: Mapping[str, object] | None = None, **settings: Any) -> Flask:
    """Return the app; `settings` win over the environment. Opens no file and no connection.

    `plugins` adds plugins that are not installed, by name: modules or objects with hook implementations.
    Raises ConfigurationError that names the setting or the plugin at fault.
    """
    return build_app(BUILTIN_PLUGINS, settings, plugins=plugins)


if __name__ == "__main__":
    from core.processes import main

    # On one machine a visitor without a key is the developer; behind wsgi.py nobody is let in unasked.
    main({"SUBTEXT_CLICKSTREAM_ANONYMOUS": "1"})
