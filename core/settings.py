"""Settings: one table, read once, at start.

A value comes from the defaults, then the environment, then the arguments of `create_app`; the last one wins.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from core.errors import ConfigurationError

T = TypeVar("T")


def flag(text: str) -> bool:
    """Read a switch: 1, true, yes, on against 0, false, no, off or nothing."""
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"", "0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def words(text: str) -> tuple[str, ...]:
    """Read a list separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())


def whole(low: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            raise ValueError(f"must be a whole number, {low} or more")
        return number

    return read


def seconds(text: str) -> float:
    """Read a time in seconds, more than 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("must be a number of seconds, more than 0")
    return number


def log_level(text: str) -> str:
    """Read the name of a log level."""
    level = text.strip().upper()
    if level not in logging.getLevelNamesMapping():
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return level


@dataclass(frozen=True)
class Setting:
    """Declare one setting: its environment name, default, meaning, and how its text is read.

    `parse` turns the environment's text into the value and raises ValueError with what it must be;
    `secret` values are never shown.
    """

    name: str
    default: Any
    help: str
    parse: Callable[[str], Any] = str
    secret: bool = False


CORE_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        "",
        "Where data lies: `sqlite:///path`, `postgresql://…` or `postgres://…`. Empty: `subtext.db` in `SUBTEXT_DATA`.",
        secret=True,
    ),
    Setting(
        "REDIS_URL",
        "",
        "Queues and rate limits: `redis://`, `rediss://` or `unix://`. Empty: requests are served, jobs wait.",
        secret=True,
    ),
    Setting(
        "SUBTEXT_DATA",
        "data",
        "The directory for the SQLite file, spooled media and the embedded Valkey.",
    ),
    Setting("PORT", 8000, "Where the web server listens.", whole(1)),
    Setting(
        "WEB_CONCURRENCY", 0, "Web processes; 0 for one a core, as when it is not set.", whole(0)
    ),
    Setting(
        "SUBTEXT_DATABASE_POOL",
        20,
        "Database connections that one process opens at most.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_DATABASE_TIMEOUT",
        5.0,
        "Seconds that a request waits for a connection, a lock or a statement before it answers 503.",
        seconds,
    ),
    Setting(
        "SUBTEXT_SQLITE_SYNCHRONOUS",
        "FULL",
        "`FULL` survives a power cut; `NORMAL` is faster and survives a crash of the process only.",
    ),
    Setting(
        "SUBTEXT_REDIS_TIMEOUT",
        0.5,
        "Seconds that a request waits for Redis before it goes on without it.",
        seconds,
    ),
    Setting(
        "SUBTEXT_REDIS_PAUSE",
        2.0,
        "Seconds in which Redis is not asked again after it failed.",
        seconds,
    ),
    Setting(
        "SUBTEXT_REDIS_TLS_VERIFY",
        True,
        "Whether the certificate of a `rediss://` server is checked; 0 for Heroku, whose are self-signed.",
        flag,
    ),
    Setting(
        "SUBTEXT_PLUGINS_DISABLED",
        (),
        "Names of plugins that are not loaded, separated by commas.",
        words,
    ),
    Setting(
        "SUBTEXT_SELF_SERVICE_KEYS",
        True,
        "Whether `POST /v1/keys/generate` gives a key to anyone who asks.",
        flag,
    ),
    Setting(
        "SUBTEXT_JWT_SECRET",
        "",
        "HS256 secret of at least 32 bytes; signs and checks tokens.",
        secret=True,
    ),
    Setting(
        "SUBTEXT_JWT_PUBLIC_KEY",
        "",
        "PEM public key (RSA or EC P-256), or the path of one: RS256 or ES256 tokens are accepted.",
    ),
    Setting(
        "SUBTEXT_JWT_JWKS",
        "",
        "Path of a JWKS file with the public keys whose tokens are accepted.",
    ),
    Setting(
        "SUBTEXT_JWT_ISSUER", "", "When set, tokens must carry this `iss`, and issued ones do."
    ),
    Setting(
        "SUBTEXT_JWT_AUDIENCE", "", "When set, tokens must carry this `aud`, and issued ones do."
    ),
    Setting("SUBTEXT_JWT_TENANT_CLAIM", "tenant", "The claim that names the account."),
    Setting(
        "SUBTEXT_CORS_ORIGINS",
        (),
        "Origins that browsers may call from, separated by commas; `*` for any.",
        words,
    ),
    Setting(
        "SUBTEXT_PROXIES",
        0,
        "Reverse proxies in front whose `X-Forwarded-*` headers are believed (1 on Heroku).",
        whole(0),
    ),
    Setting(
        "SUBTEXT_RATE_LIMITS",
        True,
        "Whether requests are counted and limited; `off` for benchmarks.",
        flag,
    ),
    Setting("SUBTEXT_RATE_LIMIT", "12000/minute", "Requests that one account may send."),
    Setting(
        "SUBTEXT_RATE_LIMIT_ADDRESS",
        "600/minute",
        "Requests without a valid credential that one address may send.",
    ),
    Setting(
        "SUBTEXT_RETENTION_DAYS",
        0,
        "Sessions not seen for this many days are erased; 0 keeps them.",
        whole(0),
    ),
    Setting(
        "SUBTEXT_TOMBSTONE_DAYS",
        30,
        "Days in which an erased session cannot be written again.",
        whole(0),
    ),
    Setting(
        "SUBTEXT_WEB_THREADS",
        8,
        "Threads of each web process; sockets need one each.",
        whole(1),
    ),
    Setting(
        "SUBTEXT_METRICS_TOKEN", "", "When set, `/metrics` wants it as a bearer token.", secret=True
    ),
    Setting("SUBTEXT_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.", log_level),
    Setting(
        "SUBTEXT_TRACE_PLUGINS",
        False,
        "Whether every hook call is logged with its implementations and results.",
        flag,
    ),
)


class Settings(Mapping[str, Any]):
    """Hold the values of all declared settings, read-only."""

    def __init__(self, declared: Iterable[Setting], values: Mapping[str, Any]) -> None:
        self.declared = tuple(declared)
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Settings {len(self)}>"


def read_settings(
    declared: Iterable[Setting],
    environment: Mapping[str, str],
    given: Mapping[str, Any],
    *,
    disabled: Iterable[str] = (),
) -> Settings:
    """Merge defaults, environment and arguments.

    Settings of a plugin in `disabled` may stay in the environment. Raises ConfigurationError for a value that
    cannot be read, for a name given to `create_app` that no setting has, and for an environment name that
    starts with `SUBTEXT_` and that none has (with the nearest).
    """
    table = _by_name(declared)
    idle = tuple(f"SUBTEXT_{plugin.upper().replace('-', '_')}_" for plugin in disabled)
    for name in environment:
        if name.startswith("SUBTEXT_") and name not in table and not name.startswith(idle):
            raise ConfigurationError(_unknown(name, table))
    for name in given:
        if name not in table:
            raise ConfigurationError(_unknown(name, table))
    values: dict[str, Any] = {}
    for name, setting in table.items():
        if name in given:
            values[name] = given[name]
        elif name in environment:
            values[name] = _parsed(setting, environment[name])
        else:
            values[name] = setting.default
    return Settings(table.values(), values)


def _by_name(declared: Iterable[Setting]) -> dict[str, Setting]:
    table: dict[str, Setting] = {}
    for setting in declared:
        if setting.name in table:
            raise ConfigurationError(f"Two settings are named {setting.name}")
        table[setting.name] = setting
    return table


def _parsed(setting: Setting, text: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as error:
        if setting.secret:  # the reason may quote the value
            raise ConfigurationError(f"{setting.name} cannot be read") from None
        raise ConfigurationError(f"{setting.name}: {text!r} cannot be read: {error}") from error


def _unknown(name: str, table: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(table), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name} is not a setting{hint}"
