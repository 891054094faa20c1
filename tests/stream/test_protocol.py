"""The pure parts of a stream: messages, order, back-pressure, the mailbox."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.stream import protocol
from plugins.stream.answers import Answer
from plugins.stream.backlog import Backlog, Pending
from plugins.stream.mailbox import ROOM_BYTES, AskedToEnd, HungUp, Mailbox

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text())
def test_any_text_is_a_message_or_a_bad_one(text: str) -> None:
    try:
        message = protocol.read_text(text)
    except protocol.BadMessage:
        return
    assert isinstance(message, protocol.Configuration | protocol.CloseRequest)


@given(JSON, JSON)
def test_any_object_is_a_configuration_of_what_is_known_in_the_documents_order(
    include: Any, other: Any
) -> None:
    text = json.dumps({"include": include, "other": other})
    try:
        message = protocol.read_text(text)
    except protocol.BadMessage:
        assert include is not None
        assert not isinstance(include, list) or len(text) > protocol.MAX_TEXT
    else:
        assert isinstance(message, protocol.Configuration)
        assert [name for name in protocol.INCLUDES if name in message.include] == list(
            message.include
        )


@pytest.mark.parametrize(
    "text", ["[" * 50_000, '{"include": [' + "[" * 2_000, "NaN", '{"a": 1e999}', '"\\ud800"', "\0"]
)
def test_hostile_text_is_a_bad_message(text: str) -> None:
    with pytest.raises(protocol.BadMessage):
        protocol.read_text(text)


@given(st.permutations(range(8)))
def test_answers_in_any_order_leave_in_the_order_of_the_media(order: list[int]) -> None:
    backlog = Backlog(1_000, 1_000)
    for key in range(8):
        backlog.add(Pending(key, key + 1, 3.0, 10))
    left = [p.key for key in order for p in backlog.settle(Answer(key, b"{}"))]
    assert left == list(range(8))
    assert len(backlog) == 0
    assert list(backlog.settle(Answer(3, b"{}"))) == [], "an answer that comes twice is nothing"


def test_a_backlog_has_room_up_to_its_seconds_and_bytes() -> None:
    backlog = Backlog(6.0, 100)
    backlog.add(Pending(1, 1, 3.0, 10))
    assert backlog.has_room()
    backlog.add(Pending(2, 2, 3.0, 10))
    assert not backlog.has_room()
    list(backlog.settle(Answer(1)))
    assert backlog.has_room()
    backlog.add(Pending(3, 3, 1.0, 95))
    assert not backlog.has_room()
    assert backlog.abandon() == [2, 3]
    assert backlog.has_room()


def test_a_reader_waits_while_messages_do_and_goes_on_when_one_is_taken() -> None:
    mailbox = Mailbox()
    mailbox.add_message(bytes(ROOM_BYTES))
    went_on = threading.Event()

    def read() -> None:
        assert mailbox.wait_for_room()
        went_on.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert mailbox.take(0.05, messages=False) is None
    assert not went_on.is_set()
    assert mailbox.take(1, messages=True) == bytes(ROOM_BYTES)
    assert went_on.wait(5)
    reader.join()
    assert mailbox.wait_for_room() is False


def test_answers_come_before_messages_and_the_end_is_said_each_time() -> None:
    mailbox = Mailbox()
    mailbox.add_message("text")
    mailbox.add_answer(Answer(1))
    assert mailbox.take(1, messages=True) == Answer(1)
    assert mailbox.take(1, messages=True) == "text"
    mailbox.ask_to_end()
    assert isinstance(mailbox.take(1, messages=True), AskedToEnd)
    assert isinstance(mailbox.take(1, messages=True), AskedToEnd)
    mailbox.close()
    mailbox.add_message("late")
    assert mailbox.take(0, messages=True) is None
    mailbox.hang_up()
    assert isinstance(mailbox.take(1, messages=True), HungUp)
