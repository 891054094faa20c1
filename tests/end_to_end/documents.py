"""Short copies of the APIs' documents: their own command lines and bodies, to the letter."""

from __future__ import annotations

from typing import Any

#: The host that the mood API's document writes, and the keys.
HOST = "https://session-mood-api-production.up.railway.app"
KEYS = ("YOUR_KEY", "sm_live_xxxxxxxxxxxx")

GENERATE_KEY = """curl -X POST "https://session-mood-api-production.up.railway.app/v1/keys/generate" \\
  -H "Content-Type: application/json" \\
  -d '{ "customer_name": "Acme Inc", "email": "dev@acme.com", "plan": "starter" }'"""

SEND_ONE_EVENT = """curl -X POST "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc/events" \\
  -H "X-Api-Key: YOUR_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"events":[{"type":"rage_click","x":240,"y":580,"ts":1746352800}]}'"""

READ_MOOD = """curl "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc/mood" \\
  -H "X-Api-Key: YOUR_KEY\""""

READ_MOOD_BEARER = """curl "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc/mood" \\
  -H "Authorization: Bearer sm_live_xxxxxxxxxxxx\""""

SEND_EVENTS = """curl -X POST \\
  "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc/events" \\
  -H "X-Api-Key: sm_live_xxxxxxxxxxxx" \\
  -H "Content-Type: application/json" \\
  -d '{ "events": [
    { "type": "rage_click", "x": 240, "y": 580, "ts": 1746352800 },
    { "type": "error", "message": "Payment failed", "ts": 1746352802 },
    { "type": "idle", "duration_ms": 4500, "ts": 1746352807 } ] }'"""

SEND_FEEDBACK = """curl -X POST \\
  "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc/feedback" \\
  -H "X-Api-Key: sm_live_xxxxxxxxxxxx" \\
  -H "Content-Type: application/json" \\
  -d '{ "action_taken": "show_live_chat", "was_helpful": true, "notes": "User started chat immediately" }'"""

READ_ANALYTICS = """curl \\
  "https://session-mood-api-production.up.railway.app/v1/analytics/moods" \\
  -H "X-Api-Key: sm_live_xxxxxxxxxxxx\""""

DELETE_SESSION = """curl -X DELETE \\
  "https://session-mood-api-production.up.railway.app/v1/sessions/user_abc" \\
  -H "X-Api-Key: sm_live_xxxxxxxxxxxx\""""

READ_HEALTH = 'curl "https://session-mood-api-production.up.railway.app/health"'

EVENTS: dict[str, Any] = {
    "sessionId": "sess_001",
    "batch": [
        {
            "eventType": "click",
            "targetSelector": "#checkout-btn",
            "timestamp": "2026-03-16T10:14:32.120Z",
            "x": 540,
            "y": 210,
            "viewport": {"width": 1440, "height": 900},
        },
        {
            "eventType": "scroll",
            "targetSelector": "body",
            "timestamp": "2026-03-16T10:14:35.400Z",
            "scrollY": 820,
        },
        {
            "eventType": "input",
            "targetSelector": "#email-field",
            "timestamp": "2026-03-16T10:14:40.000Z",
            "inputLength": 18,
        },
    ],
}

FRAMES: dict[str, Any] = {
    "sessionId": "sess_001",
    "batch": [
        {
            "frameIndex": 0,
            "timestamp": "2026-03-16T10:14:30.000Z",
            "emotions": {"neutral": 0.72, "surprise": 0.14, "confusion": 0.09, "frustration": 0.05},
            "attentionScore": 0.91,
            "gazeX": 0.53,
            "gazeY": 0.47,
        },
        {
            "frameIndex": 1,
            "timestamp": "2026-03-16T10:14:31.000Z",
            "emotions": {"neutral": 0.45, "confusion": 0.38, "frustration": 0.17},
            "attentionScore": 0.74,
            "gazeX": 0.12,
            "gazeY": 0.80,
        },
    ],
}

SEGMENTS: dict[str, Any] = {
    "sessionId": "sess_001",
    "batch": [
        {
            "segmentIndex": 0,
            "startTime": "2026-03-16T10:14:30.000Z",
            "endTime": "2026-03-16T10:14:38.200Z",
            "transcript": "I'm trying to find the settings but I can't see where it is.",
            "sentiment": "negative",
            "sentimentScore": -0.62,
            "hesitationCount": 2,
            "wordsPerMinute": 124,
        },
        {
            "segmentIndex": 1,
            "startTime": "2026-03-16T10:14:40.000Z",
            "endTime": "2026-03-16T10:14:48.500Z",
            "transcript": "Oh I see it now, it was hidden in the profile menu.",
            "sentiment": "positive",
            "sentimentScore": 0.71,
            "hesitationCount": 0,
            "wordsPerMinute": 138,
        },
    ],
}

SEARCH: dict[str, Any] = {
    "session_id": "sess-123",
    "search_query": "transformer optimization",
    "search_results": [
        {"object_id": "obj-1", "rank": 1, "meta": {"source": "hf_models", "score": 0.92}}
    ],
    "search_meta": {"latency_ms": 450},
    "payload_filter": {"task": "text-classification"},
    "sort_by": {"field": "downloads", "order": "desc"},
    "user_id": "user-456",
    "created_at": 1701012345678,
}

CLICKS: dict[str, Any] = {
    "session_id": "sess-123",
    "events": [
        {
            "event_id": "evt-1",
            "object_id": "obj-1",
            "event_type": "click",
            "created_at": 1701012350000,
            "meta": {"rank_position": 1},
        }
    ],
}


def addressed(command: str, url: str, key: str = "") -> str:
    """Return a documented command for another host, and with a key that exists."""
    for name in KEYS:
        command = command.replace(name, key)
    return command.replace(HOST, url)
