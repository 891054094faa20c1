"""What is kept of an item, and what it is evidence of. Pure: no database, no request."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from orjson import OPT_SORT_KEYS, dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Fields that hold what a person typed. They are dropped wherever they stand in an event: a script
#: that sends along the element it saw sends its text with it.
TYPED_TEXT = frozenset({"value", "text", "content"})
_TYPED_TEXT_KEYS = tuple(f'"{name}":'.encode() for name in sorted(TYPED_TEXT))

#: Characters of an address that goes along as evidence.
MAX_URL = 2_048

#: Score from which an emotion is evidence. At a sum of 1 at most four labels of a frame have it.
EMOTION_FROM = 0.25
#: Attention up to and from which a frame is evidence; between them a person is merely there.
LOW_ATTENTION = 0.4
HIGH_ATTENTION = 0.8
#: Hesitation markers in one segment that count as hesitation at full strength.
FULL_HESITATION = 5

#: What is stored of an item: its time (µs UTC), its key in the session, its JSON. A plain tuple, as
#: are the rows of evidence: this is the path on which a microsecond an item is a lot.
Record = tuple[int, int, str]
#: (at, modality, kind, strength, reference, fields), as the outbox takes it.
EvidenceRow = tuple[int, str, str, float, str, dict[str, Any] | None]

#: Makes a content's digest a key of 0 or above, and an id's one below 0.
_CONTENT_KEY = 2**63 - 1
_ID_KEY = -(2**63)


def read_event(item: Mapping[str, Any], loaded: Mapping[str, Any]) -> Record:
    """Return what is stored of an event; `orjson.JSONEncodeError` means nested too deeply."""
    payload = dumps(item, option=OPT_SORT_KEYS)
    # Only where there are more fields than the contract's can there be one with typed text.
    more = len(item) > len(loaded) or (
        "viewport" in loaded and len(item["viewport"]) > len(loaded["viewport"])
    )
    if more and any(name in payload for name in _TYPED_TEXT_KEYS):
        payload = dumps(_without_typed_text(item), option=OPT_SORT_KEYS)
    if (event_id := loaded.get("eventId")) is None:
        # The content is the identity: the same event sent again is the same bytes, keys sorted.
        digest = blake2b(payload, digest_size=8).digest()
        key = int.from_bytes(digest) & _CONTENT_KEY
    else:
        digest = blake2b(event_id.encode(), digest_size=8).digest()
        key = int.from_bytes(digest, signed=True) | _ID_KEY
    return loaded["timestamp"], key, payload.decode()


def read_frame(item: Mapping[str, Any], loaded: Mapping[str, Any]) -> Record:
    """Return what is stored of a frame; `orjson.JSONEncodeError` means nested too deeply."""
    return loaded["timestamp"], loaded["frameIndex"], dumps(item, option=OPT_SORT_KEYS).decode()


def read_segment(item: Mapping[str, Any], loaded: Mapping[str, Any]) -> Record:
    """Return what is stored of a segment; `orjson.JSONEncodeError` means nested too deeply."""
    return loaded["startTime"], loaded["segmentIndex"], dumps(item, option=OPT_SORT_KEYS).decode()


def event_evidence(
    record: Record, item: Mapping[str, Any], loaded: Mapping[str, Any]
) -> list[EvidenceRow]:
    """Return an event as evidence, with where it was for the signals that are derived from that."""
    at, key, _ = record
    kind = loaded["eventType"]
    fields: dict[str, Any] | None = None
    if kind == "navigation":
        kind = "page_view"  # the mood API's word for it
        # Beyond the contract, but the only word on which page it was.
        url = item.get("url")
        if type(url) is str and len(url) <= MAX_URL and "\0" not in url:
            fields = {"url": url}
    elif "x" in loaded and "y" in loaded:
        fields = {"x": loaded["x"], "y": loaded["y"]}
    return [(at, "interaction", kind, 1.0, f"e:{key}", fields)]


def frame_evidence(
    record: Record, _item: Mapping[str, Any], loaded: Mapping[str, Any]
) -> list[EvidenceRow]:
    """Return the emotions that stand out in a frame, and the attention where it is low or high."""
    at, key, _ = record
    strengths = {
        label.strip().lower(): score
        for label, score in loaded["emotions"].items()
        if score >= EMOTION_FROM
    }
    # Labels are free text; this one says that there is nothing to see.
    strengths.pop("neutral", None)
    attention = loaded["attentionScore"]
    if attention <= LOW_ATTENTION:
        strengths["low_attention"] = 1 - attention
    elif attention >= HIGH_ATTENTION:
        strengths["high_attention"] = attention
    return [
        (at, "facial", kind, float(strength), f"f:{key}:{kind}", None)
        for kind, strength in strengths.items()
        if kind
    ]


def segment_evidence(
    record: Record, _item: Mapping[str, Any], loaded: Mapping[str, Any]
) -> list[EvidenceRow]:
    """Return the sentiment and the hesitation of a segment, as of its end, when both were known."""
    _, key, _ = record
    strengths = {"hesitation": min(1.0, loaded.get("hesitationCount", 0) / FULL_HESITATION)}
    if (sentiment := loaded["sentiment"]) != "neutral":
        strengths[f"{sentiment}_sentiment"] = abs(loaded["sentimentScore"])
    return [
        (loaded["endTime"], "voice", kind, float(strength), f"s:{key}:{kind}", None)
        for kind, strength in strengths.items()
        if strength > 0
    ]


def _without_typed_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_typed_text(below) for key, below in value.items() if key not in TYPED_TEXT
        }
    if isinstance(value, list):
        return [_without_typed_text(below) for below in value]
    return value
