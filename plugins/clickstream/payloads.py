"""Objects of clients, kept as JSON text: the form in which they are stored and answered."""

from __future__ import annotations

from typing import Any

import orjson


def json_text(value: object) -> str:
    """Write JSON text; TypeError for what is nested deeper than 254 levels."""
    return orjson.dumps(value).decode()


def from_text(text: str | None) -> Any:
    """Read stored JSON text; None stays None."""
    return None if text is None else orjson.loads(text)


def fragment(text: str | None) -> orjson.Fragment | None:
    """Put stored JSON text into an answer as it is; None stays None."""
    return None if text is None else orjson.Fragment(text)
