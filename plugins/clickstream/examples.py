"""Examples of the OpenAPI document; the ones of the API's own documentation where it has any."""

from __future__ import annotations

from typing import Any

CREATE: dict[str, Any] = {
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

EVENT: dict[str, Any] = {
    "event_id": "evt-1",
    "object_id": "obj-1",
    "event_type": "click",
    "created_at": 1701012350000,
    "meta": {"rank_position": 1},
}

EVENTS = {"session_id": "sess-123", "events": [EVENT]}

SESSION_REF = {"session_id": "sess-123"}

SESSION = CREATE | {
    "search_results": [
        {"object_id": "obj-1", "rank": 1.0, "meta": {"source": "hf_models", "score": 0.92}}
    ],
    "is_irrelevant": False,
    "events": [EVENT],
}

RELEASE = {"release_id": "nightly-2023-11-26"}

RELEASED = RELEASE | {
    "batch_id": "5f0c7e1d2b9a4c68a1e3d5f708192a3b",
    "released_at": 1701012400000,
}

BATCH = {
    "batch_id": RELEASED["batch_id"],
    "last_number": 1,
    "sessions": [SESSION | {"session_number": 1}],
}

VALIDATION_PROBLEM = {
    "detail": [
        {
            "type": "missing",
            "loc": ["body", "search_query"],
            "msg": "Field required",
            "input": {"session_id": "sess-123", "search_results": []},
        }
    ]
}

_SHARE = {"value": 0.5, "n": 2, "interval": [0.0945, 0.9055]}

METRICS = {
    "k": 10,
    "searches": 3,
    "ctr_at_k": _SHARE,
    "mean_first_click_rank": {"value": 3.0, "n": 1, "interval": None},
    "mrr": {"value": 0.25, "n": 2, "interval": [0.0, 1.0]},
    "ndcg_at_k": {"value": 0.6934, "n": 2, "interval": None},
    "zero_result_rate": {"value": 0.3333, "n": 3, "interval": [0.0615, 0.7923]},
    "abandonment_rate": _SHARE,
    "orphan_events": 0,
}

EXPORTS = {
    "exports": [
        {
            "name": "ubi-queries",
            "description": "UBI 1.3 queries, one a line.",
            "media_type": "application/x-ndjson",
        }
    ]
}
