"""What a session is judged by: one thing seen at one moment, whoever saw it."""

from __future__ import annotations

from typing import NamedTuple

NATIVE = "event"
"""The modality of the API's own twelve event types."""

EVENT_TYPES = (
    "click",
    "rage_click",
    "scroll",
    "input_pause",
    "backtrack",
    "back_nav",
    "page_view",
    "error",
    "idle",
    "hover",
    "focus",
    "blur",
)
"""The twelve event types of the API, in the order of its documentation."""

FULL_STRENGTH = 100
"""One whole occurrence, in hundredths; weaker evidence counts as a part of one."""


class Observation(NamedTuple):
    """State one thing that was seen, at `at` (µs, UTC), with the raw fields that the rules read.

    `strength` is in hundredths (0..100) and applies where the rule has no ramp of its own;
    `x` and `y` are pixels, `duration_ms` milliseconds, `speed` pixels per second.
    """

    at: int
    kind: str
    modality: str = NATIVE
    strength: int = FULL_STRENGTH
    x: float | None = None
    y: float | None = None
    duration_ms: float | None = None
    speed: float | None = None
    direction: str | None = None
    url: str | None = None
