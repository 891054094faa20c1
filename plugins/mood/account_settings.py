"""What an account set for itself: thresholds, weights of modalities, adaptive suggestions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

from core import current, enqueue, fetch_all, transaction
from plugins.mood.observations import NATIVE
from plugins.mood.problems import InvalidValue
from plugins.mood.rules import THRESHOLDS, WHOLE_THRESHOLDS, Rules
from plugins.mood.signals import MAX_WEIGHT, NATIVE_RULES, SignalRule

MAX_CACHED = 1_000
"""Different settings whose rules one process keeps ready."""

SWEEP_JOB = "mood.sweep"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Hold the rules of an account, and whether suggestions adapt to feedback."""

    rules: Rules
    adaptive: bool


def signal_rules() -> tuple[SignalRule, ...]:
    """Return the table of this app: own events, and what plugins registered for evidence."""
    caches = current().caches
    if "mood_signals" not in caches:
        registered = current().plugins.hook.register_signals()
        caches["mood_signals"] = (*NATIVE_RULES, *(rule for each in registered for rule in each))
    table: tuple[SignalRule, ...] = caches["mood_signals"]
    return table


def account_settings(account_id: int) -> AccountSettings:
    """Return the settings of an account."""
    rows = fetch_all("SELECT changes FROM mood_settings WHERE account_id = ?", (account_id,))
    return _settings(rows[0][0] if rows else "{}")


def _settings(text: str) -> AccountSettings:
    cache: dict[str, AccountSettings] = current().caches.setdefault("mood_settings", {})
    if (known := cache.get(text)) is None:
        changes = orjson.loads(text)
        known = AccountSettings(
            Rules(
                signal_rules=signal_rules(),
                modality_weights=changes.get("modality_weights", {}),
                **changes.get("thresholds", {}),
            ),
            adaptive=changes.get("adaptive", False),
        )
        if len(cache) < MAX_CACHED:
            cache[text] = known
    return known


def describe_settings(account_id: int) -> dict[str, Any]:
    """Return all settings of an account as they hold, defaults included."""
    settings = account_settings(account_id)
    rules = settings.rules
    modalities = dict.fromkeys(rule.modality for rule in rules.signal_rules)
    return {
        "thresholds": {name: getattr(rules, name) for name in THRESHOLDS},
        "modality_weights": {
            name: rules.modality_weights.get(name, 1.0) for name in modalities if name != NATIVE
        },
        "adaptive": settings.adaptive,
    }


def change_settings(account_id: int, wanted: Any) -> dict[str, Any]:
    """Change what `wanted` names, null back to the default, and return all settings.

    Sessions are read anew in the background. Raises InvalidValue.
    """
    if not isinstance(wanted, dict):
        raise InvalidValue("body", "must be an object")
    with transaction():
        # Written to be read: so the row is there, and locked until the commit, and changes that come at once all hold.
        [(before,)] = fetch_all(
            "INSERT INTO mood_settings (account_id, changes) VALUES (?, '{}')"
            " ON CONFLICT (account_id) DO UPDATE SET changes = mood_settings.changes"
            " RETURNING changes",
            (account_id,),
        )
        changes = _merged(orjson.loads(before), wanted)
        text = orjson.dumps(changes, option=orjson.OPT_SORT_KEYS).decode()
        try:
            _settings(text)
        except ValueError as error:
            raise InvalidValue("thresholds", str(error)) from error
        fetch_all(
            "UPDATE mood_settings SET changes = ? WHERE account_id = ? RETURNING account_id",
            (text, account_id),
        )
        enqueue(SWEEP_JOB, unique="sweep")
        return describe_settings(account_id)


def _merged(changes: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    merged = {
        "thresholds": dict(changes.get("thresholds", {})),
        "modality_weights": dict(changes.get("modality_weights", {})),
        "adaptive": changes.get("adaptive", False),
    }
    for group, value in wanted.items():
        if group == "adaptive":
            if value is not None and type(value) is not bool:
                raise InvalidValue("adaptive", "must be true or false")
            merged["adaptive"] = bool(value)
        elif group == "thresholds":
            _merge(merged[group], group, value, _checked_threshold)
        elif group == "modality_weights":
            _merge(merged[group], group, value, _checked_weight)
        else:
            raise InvalidValue(group, "is not a setting")
    return merged


def _merge(kept: dict[str, Any], group: str, wanted: Any, check: Any) -> None:
    if not isinstance(wanted, dict):
        raise InvalidValue(group, "must be an object")
    for name, value in wanted.items():
        checked = check(f"{group}.{name}", name, value)
        if checked is None:
            kept.pop(name, None)
        else:
            kept[name] = checked


def _checked_threshold(field: str, name: str, value: Any) -> float | None:
    if name not in THRESHOLDS:
        raise InvalidValue(field, f"is not a threshold; there are {', '.join(THRESHOLDS)}")
    if value is None:
        return None
    if name in WHOLE_THRESHOLDS:
        if type(value) is not int:
            raise InvalidValue(field, "must be a whole number")
    elif type(value) not in {int, float} or not 0 <= value <= 1:
        raise InvalidValue(field, "must be a number from 0 to 1")
    return float(value) if name not in WHOLE_THRESHOLDS else int(value)


def _checked_weight(field: str, name: str, value: Any) -> float | None:
    known = {rule.modality for rule in signal_rules()} - {NATIVE}
    if name not in known:
        raise InvalidValue(field, f"is not a modality; there are {', '.join(sorted(known))}")
    if value is None:
        return None
    if type(value) not in {int, float} or not math.isfinite(value) or not 0 <= value <= MAX_WEIGHT:
        raise InvalidValue(field, f"must be a number from 0 to {MAX_WEIGHT:g}")
    return float(value)
