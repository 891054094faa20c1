from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from plugins.ingestion import examples

if TYPE_CHECKING:
    from tests.ingestion.conftest import Writer

EVENT = examples.EVENTS["batch"][0]
FRAME = examples.FRAMES["batch"][0]
SEGMENT = examples.SEGMENTS["batch"][0]
GONE = object()
ISO = "must be an ISO 8601 date and time with a zone, such as 2026-03-16T10:14:32.120Z"
NO_EVENT_TYPES: list[Any] = ["hover", "Click", "", 1, None, True, [], {"a": 1}]
EVENT_TYPES = "click, scroll, input, focus, blur, navigation, error"


def changed(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    copied = {**copy.deepcopy(item), **changes}
    return {key: value for key, value in copied.items() if value is not GONE}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eventType": GONE}, "Missing required field: eventType"),
        ({"targetSelector": GONE}, "Missing required field: targetSelector"),
        ({"timestamp": GONE}, "Missing required field: timestamp"),
        *(
            ({"eventType": value}, f"Invalid value for eventType: must be one of {EVENT_TYPES}")
            for value in NO_EVENT_TYPES
        ),
        ({"targetSelector": 5}, "Invalid value for targetSelector: must be a string"),
        (
            {"targetSelector": "#a\0"},
            "Invalid value for targetSelector: must not contain NUL characters",
        ),
        *(
            ({"timestamp": value}, f"Invalid value for timestamp: {ISO}")
            for value in ("2026-03-16", "2026-03-16T10:14:32", "", 1746352800, None, "soon")
        ),
        (
            {"timestamp": "0001-01-01T00:00:00Z"},
            "Invalid value for timestamp: must be between the years 1970 and 2099",
        ),
        *(({"x": value}, "Invalid value for x: must be a number") for value in ("540", True, None)),
        ({"y": [210]}, "Invalid value for y: must be a number"),
        ({"x": 2**63}, "Invalid value for x: must fit in 64 bits"),
        ({"scrollY": {}}, "Invalid value for scrollY: must be a number"),
        ({"inputLength": -1}, "Invalid value for inputLength: must be at least 0"),
        ({"inputLength": "18"}, "Invalid value for inputLength: must be a number"),
        ({"viewport": "1440x900"}, "Invalid value for viewport: must be an object"),
        ({"viewport": {"width": "1440", "height": 9}}, "Invalid value for viewport.width: must be a number"),
        ({"viewport": {"width": 1440}}, "Missing required field: viewport.height"),
        ({"eventId": ""}, "Invalid value for eventId: must be between 1 and 256 characters"),
        ({"eventId": 7}, "Invalid value for eventId: must be a string"),
        (
            {"y": "1", "eventType": "tap", "viewport": {"height": True}, "x": GONE},
            (f"Invalid value for eventType: must be one of {EVENT_TYPES}; "
            "Invalid value for y: must be a number; "
            "Missing required field: viewport.width; "
            "Invalid value for viewport.height: must be a number"),
        ),
    ],
)  # fmt: skip
def test_an_event_that_breaks_the_schema_is_told_why(
    writer: Writer, changes: dict[str, Any], reason: str
) -> None:
    assert writer.reason("events", changed(EVENT, **changes)) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frameIndex": GONE}, "Missing required field: frameIndex"),
        ({"frameIndex": -1}, "Invalid value for frameIndex: must be at least 0"),
        ({"frameIndex": 1.5}, "Invalid value for frameIndex: must be an integer"),
        ({"frameIndex": "0"}, "Invalid value for frameIndex: must be an integer"),
        ({"frameIndex": True}, "Invalid value for frameIndex: must be an integer"),
        ({"frameIndex": 2**63}, "Invalid value for frameIndex: must fit in 64 bits"),
        ({"attentionScore": GONE}, "Missing required field: attentionScore"),
        *(
            ({"attentionScore": value}, "Invalid value for attentionScore: must be between 0 and 1")
            for value in (1.01, -0.01, 91)
        ),
        ({"gazeX": 1.5}, "Invalid value for gazeX: must be between 0 and 1"),
        ({"gazeY": "0.5"}, "Invalid value for gazeY: must be a number"),
        ({"emotions": GONE}, "Missing required field: emotions"),
        ({"emotions": {}}, "Invalid value for emotions: must have between 1 and 64 entries"),
        (
            {"emotions": {str(label): 2 for label in range(65)}},
            "Invalid value for emotions: must have between 1 and 64 entries",
        ),
        ({"emotions": []}, "Invalid value for emotions: must be an object"),
        (
            {"emotions": {"joy": 1.2, "fear": -0.2}},
            (
                "Invalid value for emotions.joy: must be between 0 and 1; "
                "Invalid value for emotions.fear: must be between 0 and 1"
            ),
        ),
        ({"emotions": {"joy": True}}, "Invalid value for emotions.joy: must be a number"),
        *(
            ({"emotions": scores}, "Invalid value for emotions: scores must sum to 1.0 within 0.05")
            for scores in ({"joy": 0.94}, {"joy": 0.6, "fear": 0.46}, {"joy": 0})
        ),
    ],
)
def test_a_frame_that_breaks_the_schema_is_told_why(
    writer: Writer, changes: dict[str, Any], reason: str
) -> None:
    assert writer.reason("facial", changed(FRAME, **changes)) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"segmentIndex": -1}, "Invalid value for segmentIndex: must be at least 0"),
        (
            {"endTime": "2026-03-16T10:14:29.999Z"},
            "Invalid value for endTime: must not be before startTime",
        ),
        (
            {"startTime": "2026-03-16", "endTime": "2020-01-01T00:00:00Z"},
            f"Invalid value for startTime: {ISO}",
        ),
        ({"transcript": GONE}, "Missing required field: transcript"),
        ({"transcript": None}, "Invalid value for transcript: must be a string"),
        (
            {"sentiment": "mixed"},
            "Invalid value for sentiment: must be one of positive, neutral, negative",
        ),
        ({"sentimentScore": -1.1}, "Invalid value for sentimentScore: must be between -1 and 1"),
        ({"hesitationCount": 0.5}, "Invalid value for hesitationCount: must be an integer"),
        ({"hesitationCount": -2}, "Invalid value for hesitationCount: must be at least 0"),
        ({"wordsPerMinute": "fast"}, "Invalid value for wordsPerMinute: must be a number"),
    ],
)
def test_a_segment_that_breaks_the_schema_is_told_why(
    writer: Writer, changes: dict[str, Any], reason: str
) -> None:
    assert writer.reason("voice", changed(SEGMENT, **changes)) == reason


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("events", changed(EVENT, x=-3.5, y=0, scrollY=-20, viewport={"width": 0, "height": 0.5})),
        ("events", {k: EVENT[k] for k in ("eventType", "targetSelector", "timestamp")}),
        ("events", changed(EVENT, timestamp="2026-03-16T12:14:32+02:00", targetSelector="")),
        ("facial", changed(FRAME, emotions={"joy": 0.95}, gazeX=0, gazeY=1)),
        ("facial", changed(FRAME, emotions={"joy": 0.7, "fear": 0.35}, gazeX=GONE, gazeY=GONE)),
        ("facial", changed(FRAME, emotions={"Verwunderung 😮": 1}, frameIndex=2**53)),
        ("voice", changed(SEGMENT, endTime=SEGMENT["startTime"], transcript="")),
        ("voice", changed(SEGMENT, hesitationCount=GONE, wordsPerMinute=GONE, sentimentScore=-1)),
        ("voice", changed(SEGMENT, hesitationCount=2.0)),
    ],
)
def test_the_edges_of_the_schema_are_inside(
    writer: Writer, kind: str, item: dict[str, Any]
) -> None:
    assert writer.send(kind, item)["accepted"] == 1
    assert len(writer.stored()) == 1


def test_rejections_stand_in_order_of_index_and_the_rest_is_stored(writer: Writer) -> None:
    batch = [
        changed(EVENT, note="deep"),
        changed(EVENT, x="1"),
        EVENT,
        5,
        changed(EVENT, eventType="input"),
    ]
    body = orjson.dumps({"sessionId": "sess_001", "batch": batch})
    body = body.replace(b'"deep"', b"[" * 400 + b"1" + b"]" * 400)
    data = writer.post("events", body).json["data"]
    assert data["rejections"] == [
        {"index": 0, "reason": "Invalid item: is nested too deeply"},
        {"index": 1, "reason": "Invalid value for x: must be a number"},
        {"index": 3, "reason": "Invalid item: must be an object"},
    ]
    assert data["accepted"] == 2
    assert {item["eventType"] for item in writer.stored()} == {"click", "input"}


@pytest.mark.parametrize(
    ("kind", "item"), [("events", EVENT), ("facial", FRAME), ("voice", SEGMENT)]
)
def test_unknown_fields_are_kept(writer: Writer, kind: str, item: dict[str, Any]) -> None:
    extra = {"appVersion": "9.1", "flags": [1, None, {"a.b": "\0 is kept"}], "": 2**64 - 1}
    assert writer.send(kind, {**item, **extra})["accepted"] == 1
    assert writer.stored() == [{**item, **extra}]


def test_what_was_typed_is_not_stored_wherever_it_stands(writer: Writer) -> None:
    typed = {
        "value": "my secret",
        "text": ["my secret"],
        "content": {"html": "my secret"},
        "target": {"tag": "input", "value": "my secret", "near": [{"text": "my secret", "a": 1}]},
        "viewport": {"width": 1, "height": 2, "content": "my secret"},
        "textLength": 9,
    }
    event = changed(EVENT, eventType="input", inputLength=9, **typed)
    assert writer.send("events", event)["accepted"] == 1
    (stored,) = writer.stored()
    assert "secret" not in str(stored)
    assert stored["target"] == {"tag": "input", "near": [{"a": 1}]}
    assert stored["viewport"] == {"width": 1, "height": 2}
    assert (stored["inputLength"], stored["textLength"]) == (9, 9)
    assert "secret" not in str(writer.outbox())


def test_a_name_that_is_written_with_escapes_does_not_get_past(writer: Writer) -> None:
    body = (
        b'{"sessionId":"sess_001","batch":[{"eventType":"input","targetSelector":"#a",'
        b'"timestamp":"2026-03-16T10:14:40Z","\\u0076alue":"my secret"}]}'
    )
    assert writer.post("events", body).json["data"]["accepted"] == 1
    assert "secret" not in str(writer.stored())


def test_text_that_only_mentions_the_names_is_kept(writer: Writer) -> None:
    event = changed(EVENT, targetSelector='input[value="text"], "content":', note='"value":1')
    writer.send("events", event)
    assert writer.stored() == [event]


def test_the_words_of_a_segment_are_kept(writer: Writer) -> None:
    segment = {**SEGMENT, "words": [{"text": "um", "at": 0.5}]}
    writer.send("voice", segment)
    assert writer.stored() == [segment]
