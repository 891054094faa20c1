"""Structured logs: one JSON object a line, with secrets removed wherever they come from."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import orjson

from core import clock

#: What a credential looks like: our keys, bearer values, JWTs, passwords in URLs.
_SECRETS = (
    (re.compile(r"sm_[0-9a-zA-Z_]{6,}"), "sm_[removed]"),
    (re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*"), "[removed token]"),
    (re.compile(r"(?i)(bearer\s+)\S+"), r"\1[removed]"),
    (re.compile(r'(://[^/\s:@"]*):[^\s"]+@'), r"\1:[removed]@"),
)
#: What every log record has; everything else came through `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Remove what looks like a credential from a text."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class JsonFormatter(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; values that JSON cannot hold are written as text."""
        entry: dict[str, Any] = {
            "time": clock.isoformat(int(record.created * clock.SECOND)),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        try:
            line = orjson.dumps(entry, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # lone surrogates, integers beyond 64 bits
            line = json.dumps(entry, default=repr, skipkeys=True)
        return redact(line)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, OverflowError):
        # Left to itself, logging would print the arguments as they are.
        return f"{record.msg} (its arguments do not fit: {record.pathname}:{record.lineno})"


def configure_logging(level: str) -> None:
    """Send this process's logs to standard error as JSON; for entry points, never for a library import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its debug lines are statements with their values: what clients sent.
    logging.getLogger("peewee").setLevel(logging.INFO)
