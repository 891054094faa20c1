"""What gunicorn loads here: the app as it is deployed, and the plugin `baseline` beside the built-in ones."""

from __future__ import annotations

from app import BUILTIN_PLUGINS
from core.factory import build_app
from core.logs import configure_logging
from core.runtime import EXTENSION

app = build_app({**BUILTIN_PLUGINS, "baseline": "benchmarks.baseline"}, {})
configure_logging(app.extensions[EXTENSION].settings["SUBTEXT_LOG_LEVEL"])
