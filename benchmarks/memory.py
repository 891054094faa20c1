"""`python -m benchmarks.memory`: what things take in Redis, many of each in an empty Valkey.

An app with all plugins does what it does in life: queues jobs, keeps media, counts requests and streams. What a thing
takes is what the server's `used_memory` grew by, divided by how many of it there are.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

import click

from app import create_app
from benchmarks.report import machine
from core import current, enqueue
from core.valkey import EmbeddedValkey
from plugins.stream.media import BLOB_SECONDS, blobs
from plugins.stream.switchboard import Line, Switchboard

if TYPE_CHECKING:
    from collections.abc import Callable

#: Media of one second at 1 Mbit/s, and the seconds of a segment that browsers are asked to send.
SECOND_BYTES: Final = 125_000
SEGMENT_SECONDS: Final = 3
#: Until the server has written its file and given back what it read requests into.
BUFFERS_SECONDS: Final = 4.0
#: Fewer of what is large.
MEDIA_SHARE: Final = 20


def _job(number: int) -> None:
    enqueue("mood.recompute", unique=str(number), session_key=number)


def _segment(number: int) -> None:
    enqueue("stream.analyze", session_key=number, segment=number, inbox=2**62 + number, attempt=1)


def _media(number: int) -> None:
    if number % (MEDIA_SHARE * SEGMENT_SECONDS) == 0:
        blobs().put(os.urandom(SECOND_BYTES * SEGMENT_SECONDS), BLOB_SECONDS)


def _account(number: int) -> None:
    limits = current().limits
    limits.hit(limits.account, "account", str(number))


def _address(number: int) -> None:
    limits = current().limits
    limits.hit(limits.address, "address", f"2001:db8::{number:x}")


def _stream(number: int) -> None:
    Line(Switchboard(1, 1), number, f"{number:032x}", current().redis).open()


THINGS: Final[dict[str, tuple[Callable[[int], None], float]]] = {
    "a session whose mood waits to be computed anew": (_job, 1),
    "a segment that waits for its analysis, without its media": (_segment, 1),
    "a second of media of 1 Mbit/s, where media lies in Redis": (_media, 1 / MEDIA_SHARE),
    "an account whose requests are counted": (_account, 1),
    "an address whose requests are counted": (_address, 1),
    "an open stream, each of another account": (_stream, 1),
}


def measure(valkey: EmbeddedValkey, directory: str, count: int) -> dict[str, float]:
    """Return the bytes that one of each thing takes."""
    app = create_app(
        DATABASE_URL=f"sqlite:///{directory}/none.db",
        REDIS_URL=valkey.url,
        SUBTEXT_DATA=directory,
        SUBTEXT_STREAM_BLOBS="redis:",
    )
    found = {}
    with app.app_context():
        redis: Any = current().redis
        for name, (make, share) in THINGS.items():
            redis.execute_command("FLUSHALL", "SYNC")
            make(0)  # what there is one of, however many follow
            before = _used(redis)
            for number in range(1, count + 1):
                make(number)
            found[name] = (_used(redis) - before) / (count * share)
    return found


def _used(redis: Any) -> int:
    time.sleep(BUFFERS_SECONDS)
    used: int = redis.info("memory")["used_memory"]
    return used


@click.command()
@click.option("--count", default=20_000, show_default=True, help="How many of each.")
def main(count: int) -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="subtext-") as directory,
        EmbeddedValkey(directory) as valkey,
    ):
        click.echo(f"{count:,} of each; {machine()}\n\n| | bytes |\n|---|---:|")
        for name, size in measure(valkey, directory, count).items():
            click.echo(f"| {name} | {size:,.0f} |")


if __name__ == "__main__":
    main()
