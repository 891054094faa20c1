"""Bodies that mean harm: what each is made of, and what may be answered."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from core.wire import DEFAULT_LIMITS, MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What each kind of fault is answered with: no JSON, or JSON that is no request; too large; of another type.
WRONG = frozenset({400, 422})
LARGE = frozenset({413})
TYPE = frozenset({415})
#: Bodies that are unusual and hold; the example of a release finds nothing to release.
GOOD = frozenset({200, 201, 404})
WIRE, INFLATED = DEFAULT_LIMITS.wire, DEFAULT_LIMITS.inflated
DEPTH = 100_000
GZIP = {"Content-Encoding": "gzip"}
#: Zero bytes of one piece of a bomb.
PIECE = 1024 * 1024


@dataclass(frozen=True)
class Hostile:
    """One body with its headers, and the statuses that answer it."""

    name: str
    body: bytes
    statuses: frozenset[int]
    headers: dict[str, str] = field(default_factory=dict)


def hostile(example: dict[str, Any]) -> Iterator[Hostile]:
    """Yield what can be wrong with a body as a whole, made from one that holds."""
    good = orjson.dumps(example)
    text = good.decode()
    packed = gzip.compress(good, mtime=0)
    first = next(iter(example))

    yield Hostile("nothing at all", good, GOOD)
    yield Hostile("as long as the cap", good.ljust(WIRE), GOOD)
    yield Hostile("one byte over the cap", good.ljust(WIRE + 1), LARGE)
    yield Hostile("inflated to the cap", gzip.compress(good.ljust(INFLATED)), GOOD, GZIP)
    yield Hostile(
        "inflated to one byte over the cap", gzip.compress(good.ljust(INFLATED + 1)), LARGE, GZIP
    )
    yield Hostile("a bomb within the cap", bomb(900), LARGE, GZIP)
    yield Hostile("a bomb in a bomb", gzip.compress(bomb(900)), WRONG, GZIP)
    crowd = good[:-1] + b',"crowd":[' + b"{}," * MAX_VALUES + b"{}]}"
    yield Hostile("a crowd of empty objects", gzip.compress(crowd, 1), LARGE, GZIP)
    yield Hostile("gzip in gzip", gzip.compress(packed), WRONG, GZIP)
    yield Hostile("gzip twice", gzip.compress(packed), TYPE, {"Content-Encoding": "gzip, gzip"})
    yield Hostile("gzip cut short", packed[:-9], WRONG, GZIP)
    yield Hostile("gzip without its end", packed[:-1], WRONG, GZIP)
    yield Hostile("gzip with a tail", packed + b"tail", WRONG, GZIP)
    yield Hostile("gzip that says it is another", good, WRONG, GZIP)
    yield Hostile("a wrong sum in gzip", packed[:-8] + bytes(4) + packed[-4:], WRONG, GZIP)
    yield Hostile("gzip that nobody announced", packed, WRONG)
    yield Hostile("many small members", gzip.compress(b" ") * 10_000 + packed, WRONG, GZIP)
    yield Hostile("deflate", zlib.compress(good), TYPE, {"Content-Encoding": "deflate"})

    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        deep = opening * DEPTH + "1" + closing * DEPTH
        yield Hostile(f"{DEPTH} levels of {opening}", deep.encode(), WRONG)
        yield Hostile(f"{opening} that is never closed", opening.encode() * DEPTH, WRONG)
    inside = f'{text[:-1]},"deep":{"[" * 1000}{"]" * 1000}}}'
    yield Hostile("1,000 levels that nobody asked for", inside.encode(), GOOD | WRONG)

    for value in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "0x10", "01", "1.", "+1"):
        yield Hostile(value, f'{text[:-1]},"n":{value}}}'.encode(), WRONG)
    yield Hostile("twice the same key", f'{{"{first}":null,{text[1:]}'.encode(), GOOD)
    yield Hostile("a lone surrogate", f'{text[:-1]},"s":"\\ud800"}}'.encode(), WRONG)
    yield Hostile("a surrogate in UTF-8", text[:-1].encode() + b',"s":"\xed\xa0\x80"}', WRONG)
    yield Hostile("invalid UTF-8", text[:-1].encode() + b',"s":"\xff"}', WRONG)
    yield Hostile("an overlong slash", text[:-1].encode() + b',"s":"\xc0\xaf"}', WRONG)
    yield Hostile("a byte order mark", b"\xef\xbb\xbf" + good, GOOD)
    yield Hostile("two byte order marks", b"\xef\xbb\xbf" * 2 + good, WRONG)
    for coding in ("utf-16", "utf-16-le", "utf-32", "utf-7"):
        body = text.encode(coding) if coding != "utf-7" else b"+AHsAfQ-"
        charset = {"Content-Type": f"application/json; charset={coding}"}
        yield Hostile(coding, body, WRONG, charset)
    yield Hostile("a zero byte", good + b"\0", WRONG)
    yield Hostile("only zero bytes", bytes(1000), WRONG)
    yield Hostile("a second body", good + good, WRONG)
    for value in ("null", "true", "0", '"{}"', "[]", "[null]", "9" * 10_000):
        yield Hostile(f"{value[:8]} alone", value.encode(), WRONG)
    yield Hostile("white space", b" \n" * 1000, WRONG)
    yield Hostile("another charset", good, GOOD, {"Content-Type": "application/json; charset=é"})
    for kind in (
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json, text/html",
        "json",
        "a" * 5000,
    ):
        yield Hostile(f"sent as {kind[:40]}", good, TYPE, {"Content-Type": kind})


#: JSON texts that stand where an API expects something else.
VALUES = (
    "null",
    "true",
    '""',
    '"\\u0000"',
    '"\\u2028\\uffff\\ud83d\\ude00"',
    '"' + "x" * 100_000 + '"',
    "[]",
    "{}",
    "[" * 900 + "]" * 900,
    "0",
    "-1",
    "-0.0",
    "5e-324",
    "1.7976931348623157e308",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1" + "0" * 300,
    '"9999-12-31T23:59:59.999999999Z"',
    '"0000-00-00T00:00:00Z"',
    '{"":{"":""}}',
    "[null,[],{},1e308]",
)


def replaced(example: Any, value: str) -> Iterator[bytes]:
    """Yield the body with each of its values replaced by a JSON text, and with one more of each name."""
    mark = "the one that is replaced"
    for whole in _each(example, mark):
        yield orjson.dumps(whole).replace(orjson.dumps(mark), value.encode())


def _each(value: Any, mark: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {**value, name: mark}
            for changed in _each(inner, mark):
                yield {**value, name: changed}
        yield {**value, "\0": mark}
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            for changed in [mark, *_each(inner, mark)]:
                yield [*value[:number], changed, *value[number + 1 :]]


def bomb(pieces: int) -> bytes:
    """Return gzip of so many MiB of zeros, a thousandth as long, made without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(PIECE)
    # What a full flush ends stands for itself, so that a piece can be repeated (zlib manual, deflate).
    piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush(zlib.Z_FINISH)
    header = gzip.compress(b"", mtime=0)[:10]
    # Nobody comes as far as the sum.
    return header + piece * pieces + end + bytes(8)
