from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.testing import BOTH, drain
from plugins.ingestion import examples

if TYPE_CHECKING:
    from flask import Flask

    from tests.ingestion.conftest import Writer

EVENT = examples.EVENTS["batch"][0]
FRAME = examples.FRAMES["batch"][0]
SEGMENT = examples.SEGMENTS["batch"][0]
#: 2026-03-16T10:14:30Z in microseconds.
HALF_PAST = 1773656070_000_000


def told(writer: Writer) -> list[list[Any]]:
    """Return the last batch of evidence without the references."""
    return [[*row[:4], row[5]] for row in writer.outbox()[-1]]


def test_events_are_evidence_of_interaction_with_place_and_page(writer: Writer) -> None:
    at = HALF_PAST + 2_120_000
    others = ("scroll", "input", "focus", "blur", "error")
    writer.send(
        "events",
        EVENT,
        *({**EVENT, "eventType": kind, "x": 1.5} for kind in others),
        {"eventType": "navigation", "targetSelector": "a", "timestamp": EVENT["timestamp"]},
        {**EVENT, "eventType": "navigation", "url": "/cart"},
        {**EVENT, "eventType": "navigation", "url": 5},
        {**EVENT, "eventType": "navigation", "url": "/" * 3000},
        {**EVENT, "eventType": "navigation", "url": "/\0"},
    )
    assert told(writer) == [
        [at, "interaction", "click", 1.0, {"x": 540, "y": 210}],
        *([at, "interaction", kind, 1.0, {"x": 1.5, "y": 210}] for kind in others),
        [at, "interaction", "page_view", 1.0, None],
        [at, "interaction", "page_view", 1.0, {"url": "/cart"}],
        *([at, "interaction", "page_view", 1.0, None] for _ in range(3)),
    ]


@pytest.mark.parametrize(
    ("emotions", "attention", "expected"),
    [
        ({"neutral": 0.72, "surprise": 0.28}, 0.6, {"surprise": 0.28}),
        ({"Anger ": 0.5, "joy": 0.26, "fear": 0.24}, 0.5, {"anger": 0.5, "joy": 0.26}),
        ({"neutral": 1}, 0.3, {"low_attention": 0.7}),
        ({"confusion": 1}, 0.9, {"confusion": 1.0, "high_attention": 0.9}),
        ({" ": 1}, 0.6, {}),
    ],
)
def test_a_frame_is_evidence_of_what_stands_out(
    writer: Writer, emotions: dict[str, float], attention: float, expected: dict[str, float]
) -> None:
    writer.send("facial", {**FRAME, "emotions": emotions, "attentionScore": attention})
    batch = told(writer) if writer.outbox() else []
    assert all(row[:2] == [HALF_PAST, "facial"] and row[4] is None for row in batch)
    assert {row[2]: row[3] for row in batch} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"negative_sentiment": 0.62, "hesitation": 0.4}),
        ({"sentiment": "positive", "sentimentScore": 1}, {"positive_sentiment": 1.0, "hesitation": 0.4}),
        ({"sentiment": "neutral", "hesitationCount": 9}, {"hesitation": 1.0}),
        ({"sentimentScore": 0, "hesitationCount": 0}, {}),
    ],
)  # fmt: skip
def test_a_segment_is_evidence_of_sentiment_and_hesitation_at_its_end(
    writer: Writer, changes: dict[str, Any], expected: dict[str, float]
) -> None:
    writer.send("voice", {**SEGMENT, **changes})
    batch = told(writer) if writer.outbox() else []
    assert all(row[:2] == [HALF_PAST + 8_200_000, "voice"] for row in batch)
    assert {row[2]: row[3] for row in batch} == pytest.approx(expected)


def test_a_batch_is_told_once_in_one_piece_and_its_references_differ(
    app: Flask, writer: Writer
) -> None:
    writer.post("events", examples.EVENTS)
    writer.post("events", examples.EVENTS)
    (batch,) = writer.outbox()
    assert len({row[4] for row in batch}) == len(batch) == 3
    assert drain(app) == 1
    assert writer.outbox() == []


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_only_what_is_stored_is_told(writer: Writer) -> None:
    angry = {**FRAME, "emotions": {"anger": 1}, "attentionScore": 0.5}
    happy = {**angry, "emotions": {"joy": 1}}
    new = {**angry, "frameIndex": 1}
    writer.send("facial", angry)
    writer.send("facial", happy, new, angry)
    first, second = writer.outbox()
    assert [row[4] for row in first] == ["f:0:anger"]
    assert [row[4] for row in second] == ["f:1:anger", "f:0:anger"]


def test_a_repeated_event_has_the_same_reference(writer: Writer) -> None:
    with_id = {**EVENT, "eventId": "e1"}
    writer.send("events", EVENT, with_id)
    writer.send("events", {**EVENT, "x": 1}, with_id, {**with_id, "x": 2}, EVENT)
    first, second = writer.outbox()
    assert [row[4] for row in second[1:]] == [first[1][4], first[0][4]]
