"""What gunicorn and the `flask` command load."""

from __future__ import annotations

from app import create_app
from core.logs import configure_logging
from core.runtime import EXTENSION

app = create_app()
configure_logging(app.extensions[EXTENSION].settings["SUBTEXT_LOG_LEVEL"])
