"""However a client cuts its stream, every picture of it is analysed, once, and at its time."""

from __future__ import annotations

import io
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.stream.analysis.containers import sniff, split_init
from plugins.stream.analysis.errors import NotAContainer, Unreadable
from plugins.stream.analysis.framing import SHORTEST_CONTINUATION, Framing, Segment
from tests.stream.media import FPS, encode, moving, tone

SECONDS = 9
#: A key frame only every four seconds: most slices begin between two.
KEYS = 4 * FPS
RECORDINGS = {
    name: encode(name, moving(SECONDS), tone(200, SECONDS), keys=KEYS)
    for name in ("live webm", "webm", "fragmented mp4")
}


def pictures(segment: Segment) -> list[int]:
    """Return the milliseconds at which the segment has pictures that are not there only to be decoded."""
    kind = sniff(segment.data)
    begins = None if segment.start is None else round(segment.start * 1000)
    with av.open(io.BytesIO(segment.data), "r", format=kind) as container:
        times = [round(frame.time * 1000) for frame in container.decode(video=0)]
    return [at for at in times if begins is None or at >= begins - 1]


def run(messages: list[bytes]) -> list[Segment]:
    framing = Framing()
    segments = [segment for message in messages for segment in framing.feed(message)]
    return segments + framing.flush()


def slices(data: bytes, cuts: list[float]) -> list[bytes]:
    places = [0, *sorted({int(len(data) * cut) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(places) if end > start]


@pytest.mark.parametrize("name", RECORDINGS)
@given(cuts=st.lists(st.floats(0.05, 0.99), max_size=5))
@settings(max_examples=15, deadline=None)
def test_a_recording_cut_anywhere_loses_no_picture_and_repeats_none(
    name: str, cuts: list[float]
) -> None:
    data = RECORDINGS[name]
    segments = run(slices(data, cuts))
    seen = [at for segment in segments for at in pictures(segment)]
    assert seen == pictures(Segment(data))
    assert [segment.continues for segment in segments] == [False] + [True] * (len(segments) - 1)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_segments_of_a_recording_last_as_long_as_it(name: str) -> None:
    segments = run(slices(RECORDINGS[name], [0.34, 0.67]))
    durations = [segment.duration for segment in segments]
    assert None not in durations or name == "webm"
    for before, after in pairwise(segments):
        if before.start is not None and before.duration is not None:
            assert after.start == pytest.approx(before.start + before.duration, abs=0.04)
    assert segments[-1].start is not None
    assert segments[-1].duration is not None
    assert segments[-1].start + segments[-1].duration == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_header_before_every_slice_changes_nothing(name: str) -> None:
    data = RECORDINGS[name]
    header, media = split_init(data)
    messages = [header + media[: len(media) // 3]]
    # Where an encoder cuts: at the next cluster or fragment.
    mark = b"\x1f\x43\xb6\x75" if name != "fragmented mp4" else b"moof"
    cut = media.index(mark, len(media) // 2) - (4 if mark == b"moof" else 0)
    messages = [header + media[:cut], header + media[cut:]]
    segments = run(messages)
    assert [segment.continues for segment in segments] == [False, True]
    seen = [at for segment in segments for at in pictures(segment)]
    assert seen == pictures(Segment(data))


def test_a_header_alone_is_kept_for_what_follows() -> None:
    data = RECORDINGS["live webm"]
    header, media = split_init(data)
    framing = Framing()
    assert framing.feed(header) == []
    (segment,) = framing.feed(media)
    assert not segment.continues
    assert pictures(segment) == pictures(Segment(data))


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi", "mpeg-ts", "m2ts", "webm"])
def test_self_contained_files_pass_as_they_are(name: str) -> None:
    data = encode(name, moving(3))
    assert run([data, data]) == [Segment(data), Segment(data)]


def test_a_recording_that_begins_again_does_not_continue() -> None:
    data = RECORDINGS["live webm"]
    segments = run([data, data])
    assert [segment.continues for segment in segments] == [False, False]
    assert pictures(segments[1]) == pictures(Segment(data))


def test_a_short_slice_is_joined_to_the_next() -> None:
    data = RECORDINGS["live webm"]
    framing = Framing()
    assert len(framing.feed(data[: len(data) // 3])) == 1
    cut = int(len(data) * 0.5)
    assert framing.feed(data[len(data) // 3 : cut]) == []
    (segment,) = framing.feed(data[cut:])
    assert segment.duration is not None
    assert segment.duration > SHORTEST_CONTINUATION


def test_what_waits_is_not_lost_when_the_stream_ends_or_begins_again() -> None:
    data = RECORDINGS["live webm"]
    third, half = len(data) // 3, len(data) // 2
    for end in ("flush", "feed"):
        framing = Framing()
        framing.feed(data[:third])
        assert framing.feed(data[third:half]) == []
        segments = framing.flush() if end == "flush" else framing.feed(encode("mp4", moving(3)))
        assert segments[0].continues
        assert segments[0].duration is not None
        assert 0 < segments[0].duration < SHORTEST_CONTINUATION
        assert framing.flush() == []


def test_a_slice_without_its_recording_is_refused_and_the_stream_goes_on() -> None:
    data = RECORDINGS["live webm"]
    _, media = split_init(data)
    framing = Framing()
    for nonsense in (media, b"", b"hello", b"\x00" * 1000):
        with pytest.raises(NotAContainer):
            framing.feed(nonsense)
    assert len(framing.feed(data)) == 1


def test_nonsense_within_a_recording_is_refused_and_the_next_recording_taken() -> None:
    data = RECORDINGS["live webm"]
    framing = Framing()
    framing.feed(data[: len(data) // 2])
    with pytest.raises(Unreadable):
        framing.feed(b"\x00nonsense" * 30_000)
    assert len(framing.feed(data)) == 1


@given(st.lists(st.binary(max_size=2000), max_size=4), st.sampled_from(sorted(RECORDINGS)))
@settings(max_examples=60, deadline=None)
def test_no_messages_break_it(messages: list[bytes], name: str) -> None:
    header, media = split_init(RECORDINGS[name])
    framing = Framing()
    framing.feed(header + media[:5000])
    for message in [*messages, media[5000:9000], *(header + message for message in messages)]:
        try:
            framing.feed(message)
        except Unreadable:
            continue
    framing.flush()


def test_millions_of_tiny_elements_are_refused_in_little_work() -> None:
    data = RECORDINGS["live webm"]
    framing = Framing()
    framing.feed(data)
    with pytest.raises(Unreadable):
        framing.feed(b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + b"\xec\x80" * 1_000_000)


def test_a_block_that_never_ends_does_not_fill_the_memory() -> None:
    data = RECORDINGS["live webm"]
    framing = Framing()
    framing.feed(data)
    with pytest.raises(Unreadable):
        framing.feed(
            b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + b"\xa3\x08\xff\xff\xff\xff"
        )
