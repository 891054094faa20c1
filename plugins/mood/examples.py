"""The bodies that the API's document shows, for the OpenAPI document."""

from __future__ import annotations

from plugins.mood.observations import EVENT_TYPES
from plugins.mood.rules import THRESHOLDS, Rules

EVENTS = {
    "events": [
        {"type": "rage_click", "x": 240, "y": 580, "ts": 1746352800},
        {"type": "error", "message": "Payment failed", "ts": 1746352802},
        {"type": "idle", "duration_ms": 4500, "ts": 1746352807},
    ]
}
RECEIPT = {
    "session_id": "user_abc",
    "events_stored": 3,
    "total_events": 6,
    "current_mood": "frustrated",
}
MOOD = {
    "session_id": "user_abc",
    "mood": "frustrated",
    "confidence": 0.89,
    "signals": ["rage_click_detected", "repeated_errors"],
    "suggested_action": "show_live_chat",
    "event_count": 6,
    "updated_at": "2026-05-04T10:00:00.000Z",
}
FEEDBACK = {
    "action_taken": "show_live_chat",
    "was_helpful": True,
    "notes": "User started chat immediately",
}
FEEDBACK_RECEIPT = {"session_id": "user_abc", "feedback_recorded": True}
ANALYTICS = {
    "total_sessions": 1842,
    "feedback_count": 310,
    "mood_distribution": [
        {"mood": "browsing", "count": 640, "percentage": 34.7},
        {"mood": "focused", "count": 510, "percentage": 27.7},
        {"mood": "neutral", "count": 280, "percentage": 15.2},
        {"mood": "frustrated", "count": 198, "percentage": 10.7},
        {"mood": "confused", "count": 144, "percentage": 7.8},
        {"mood": "disengaged", "count": 70, "percentage": 3.8},
        {"mood": "decisive", "count": 0, "percentage": 0.0},
    ],
}
INTERVENTIONS = {
    "interventions": [
        {
            "mood": "frustrated",
            "action": "show_live_chat",
            "feedback": 45,
            "outcomes": 40,
            "helpful": 30,
            "share": 0.75,
            "interval": [0.5981, 0.8581],
        }
    ]
}
DELETION = {
    "session_id": "user_abc",
    "deleted": True,
    "message": "Session data permanently erased.",
}
KEY_REQUEST = {"customer_name": "Acme Inc", "email": "dev@acme.com", "plan": "starter"}
KEY = {
    "api_key": "sm_4c9174cbe8250bb1d09ae779c168a4399e765819da244cbf",
    "customer": "Acme Inc",
    "email": "dev@acme.com",
    "plan": "starter",
    "limits": "5,000 sessions/month",
    "message": "Store this key safely - it won't be shown again.",
}
SETTINGS_CHANGE = {
    "thresholds": {"rage_click_window_ms": 800},
    "modality_weights": {"facial": 0},
    "adaptive": True,
}
SETTINGS = {
    "thresholds": {name: getattr(Rules(), name) for name in THRESHOLDS},
    "modality_weights": {"interaction": 1.0, "facial": 1.0, "voice": 1.0},
    "adaptive": False,
}
KEY_MISMATCH = {
    "error": "Idempotency-Key mismatch",
    "message": "Idempotency-Key was used with a different request",
}
UNAUTHORIZED = {"error": "Unauthorized", "message": "Missing or invalid API key"}
UNKNOWN_TYPE = {
    "error": "Invalid event type(s)",
    "invalid": ["page_visit"],
    "valid_types": list(EVENT_TYPES),
}
NOT_FOUND = {"error": "Session not found", "session_id": "user_abc"}
ERASED = {"error": "Session was erased", "session_id": "user_abc"}
OVER_QUOTA = {
    "error": "Rate limit exceeded",
    "plan": "starter",
    "limit": 5000,
    "reset_at": "2026-06-01T00:00:00.000Z",
}
MISSING_ACTION = {"error": "Missing required field", "field": "action_taken"}
MISSING_CUSTOMER = {"error": "customer_name is required"}
INVALID_THRESHOLD = {
    "error": "Invalid value",
    "field": "thresholds.rage_click_count",
    "message": "must be a whole number",
}
SERVER_ERROR = {"error": "Internal Server Error", "request_id": "req_7f3a2b"}
