from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MalformedBody, PayloadTooLarge, UnsupportedMediaType
from core.wire import MAX_GZIP_MEMBERS, BodyLimits, parse_json, read_body, read_json

SMALL = BodyLimits(wire=1000, inflated=5000)
JSON = {"Content-Type": "application/json"}
GZIP = {**JSON, "Content-Encoding": "gzip"}


class Drip:
    """A stream that hands out a few bytes at a time, as a chunked body may."""

    def __init__(self, body: bytes, step: int) -> None:
        self.body, self.step, self.taken = body, step, 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self.body[self.taken : self.taken + min(self.step, size)]
        self.taken += len(piece)
        return piece


class Endless:
    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int = -1, /) -> bytes:
        self.taken += size
        return b" " * size


class Broken:
    def read(self, size: int = -1, /) -> bytes:
        raise ConnectionResetError


def read(body: bytes, headers: dict[str, str] = JSON, limits: BodyLimits = SMALL) -> object:
    return read_json(io.BytesIO(body), headers, limits=limits)


def test_a_json_body_is_read() -> None:
    assert read(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("step", [1, 3, 64])
def test_a_body_without_a_length_is_read_piece_by_piece(step: int) -> None:
    assert read_json(Drip(b'{"a": "bcd"}', step), JSON) == {"a": "bcd"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"{",
        b"nope",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"[" * 900,
        b"{} {}",
        b"\xef\xbb\xbf",
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body)


def test_nesting_past_the_parser_is_malformed_and_not_a_crash() -> None:
    with pytest.raises(MalformedBody):
        parse_json(b"[" * 100_000 + b"]" * 100_000)


def test_a_byte_order_mark_is_ignored() -> None:
    assert read(b"\xef\xbb\xbf{}") == {}


def test_the_last_of_two_equal_keys_holds() -> None:
    assert read(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_syntax_error_carries_its_position() -> None:
    with pytest.raises(MalformedBody) as caught:
        read(b'{"a": }')
    assert isinstance(caught.value.__cause__, orjson.JSONDecodeError)
    assert caught.value.__cause__.pos == 6


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;x=y",
        "application/problem+json",
    ],
)
def test_json_types_are_read(content_type: str) -> None:
    assert read(b"1", {"Content-Type": content_type}) == 1


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "text/html", "application/jsonx", "*/*"]
)
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"1", {"Content-Type": content_type})
    with pytest.raises(UnsupportedMediaType):
        read(b"1", {})


def test_a_caller_can_take_plain_text_and_no_type_at_all() -> None:
    types = frozenset({"application/json", "text/plain", ""})
    for headers in ({"Content-Type": "text/plain;charset=UTF-8"}, {}):
        assert read_json(io.BytesIO(b"1"), headers, media_types=types) == 1
    assert read_json(io.BytesIO(b"1"), {"Content-Type": "image/png"}, media_types=None) == 1


def test_a_body_at_the_cap_is_read_and_one_byte_more_is_not() -> None:
    body = b'"' + b"a" * 998 + b'"'
    assert read(body) == "a" * 998
    with pytest.raises(PayloadTooLarge):
        read(body + b" ")


@pytest.mark.parametrize("length", ["1001", "9" * 30])
def test_a_declared_length_over_the_cap_is_refused_unread(length: str) -> None:
    stream = Endless()
    with pytest.raises(PayloadTooLarge):
        read_json(stream, {**JSON, "Content-Length": length}, limits=SMALL)
    assert stream.taken == 0


def test_an_endless_body_is_refused_at_the_cap() -> None:
    stream = Endless()
    with pytest.raises(PayloadTooLarge):
        read_json(stream, JSON, limits=SMALL)
    assert stream.taken <= 2 * SMALL.wire


def test_a_client_that_goes_away_is_malformed() -> None:
    with pytest.raises(MalformedBody):
        read_json(Broken(), JSON)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_gzip_is_inflated(coding: str) -> None:
    assert read(gzip.compress(b'{"a": 1}'), {**JSON, "Content-Encoding": coding}) == {"a": 1}


@pytest.mark.parametrize("coding", ["identity", "", " "])
def test_identity_is_no_coding(coding: str) -> None:
    assert read(b"1", {**JSON, "Content-Encoding": coding}) == 1


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_other_codings_are_refused_with_the_one_that_is_read(coding: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        read(b"1", {**JSON, "Content-Encoding": coding})
    assert caught.value.headers["Accept-Encoding"] == "gzip"


def test_gzip_members_join_and_zero_padding_is_ignored() -> None:
    body = gzip.compress(b"[1,") + gzip.compress(b"2]") + b"\0" * 20
    assert read(body, GZIP) == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"\x1f\x8b",
        gzip.compress(b"[1]", mtime=0)[:-1],
        gzip.compress(b"[1]", mtime=0)[:-9],
        gzip.compress(b"[1]", mtime=0) + b"x",
        gzip.compress(b"[1]", mtime=0) + gzip.compress(b" ", mtime=0)[:5],
        gzip.compress(b"[1]", mtime=0)[:-8] + b"\0" * 8,
        zlib.compress(b"[1]"),
    ],
)
def test_broken_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body, GZIP)


def test_a_flood_of_empty_members_is_malformed() -> None:
    body = gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1)
    with pytest.raises(MalformedBody):
        read(body, GZIP, BodyLimits())


def test_inflated_size_is_capped_to_the_byte() -> None:
    text = b'"' + b"a" * 4998 + b'"'
    assert read(gzip.compress(text), GZIP) == "a" * 4998
    with pytest.raises(PayloadTooLarge):
        read(gzip.compress(text + b" "), GZIP)
    with pytest.raises(PayloadTooLarge):
        read(gzip.compress(text) + gzip.compress(b" "), GZIP)


def test_a_bomb_costs_its_cap_and_no_more_memory() -> None:
    bomb = gzip.compress(b"0" * 64 * 1024 * 1024)
    limits = BodyLimits(inflated=1024 * 1024)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            read(bomb, GZIP, limits)
        assert tracemalloc.get_traced_memory()[1] < 3 * limits.inflated
    finally:
        tracemalloc.stop()


@given(
    parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=4),
    step=st.integers(1, 500),
    level=st.integers(0, 9),
)
def test_any_gzip_inflates_to_what_was_deflated_however_it_arrives(
    parts: list[bytes], step: int, level: int
) -> None:
    body = b"".join(gzip.compress(part, level) for part in parts)
    limits = BodyLimits(wire=100_000, inflated=100_000)
    assert read_body(Drip(body, step), GZIP, limits) == b"".join(parts)
