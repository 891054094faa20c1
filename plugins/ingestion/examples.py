"""The examples of the contract, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any

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
            "emotions": {
                "neutral": 0.72,
                "surprise": 0.14,
                "confusion": 0.09,
                "frustration": 0.05,
            },
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


def _answer(accepted: int, *rejections: tuple[int, str]) -> dict[str, Any]:
    return {
        "success": True,
        "data": {
            "sessionId": "sess_001",
            "accepted": accepted,
            "rejected": len(rejections),
            "rejections": [{"index": index, "reason": reason} for index, reason in rejections],
        },
        "error": None,
        "metadata": None,
    }


REJECTED_EVENTS = _answer(2, (2, "Missing required field: eventType"))
ACCEPTED_FRAMES = _answer(2)
ACCEPTED_SEGMENTS = _answer(2)
