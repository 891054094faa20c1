"""Examples of the HTTP routes, as the documents show them."""

from __future__ import annotations

from typing import Any, Final

from plugins.stream.rendering import EXAMPLE_ID

VALUES: Final = {
    "quality_index": 56.4,
    "clarity": 62.0,
    "authority": 48.0,
    "energy": 59.5,
    "rapport": 62.5,
    "learning": 50.0,
}
SIGNAL: Final = {
    "type": "hesitation",
    "start": 9.0,
    "end": 18.0,
    "probability": "medium",
    "rationale": "Four pauses over 250 ms and gaze off the screen for 2.1 s of 8 s.",
}
ANALYSIS: Final[dict[str, Any]] = {
    "signals": [SIGNAL],
    "engagement_state": [{"start": 0.0, "end": 21.0, "state": "engaged"}],
    "conversation_quality": {
        "overall": VALUES,
        "timeline": [{"start": 0.0, "end": 10.0, "values": VALUES}],
    },
}
SESSION: Final[dict[str, Any]] = {
    "session_id": "user_abc",
    "recordings": [
        {
            "correlation_id": EXAMPLE_ID,
            "kind": "live",
            "started_at": "2026-06-20T15:21:55.149Z",
            "ended_at": "2026-06-20T15:22:16.149Z",
            "seconds": 21.0,
            **ANALYSIS,
        }
    ],
}
