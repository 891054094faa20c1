"""What goes into a blob store comes out again, until its time is over."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import fsspec  # type: ignore[import-untyped]
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.blobs import (
    BlobGone,
    BlobStore,
    FsspecBlobs,
    LocalBlobs,
    RedisBlobs,
    open_blobs,
)
from core.errors import ConfigurationError, PayloadTooLarge, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from core.valkey import EmbeddedValkey

LIMIT = 1_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["local", "redis", "fsspec"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> BlobStore:
    if request.param == "local":
        return LocalBlobs(tmp_path / "blobs", limit=LIMIT, clock=clock)
    if request.param == "redis":
        return RedisBlobs(request.getfixturevalue("broker"), limit=LIMIT, clock=clock)
    return FsspecBlobs(f"memory://{uuid.uuid4().hex}", limit=LIMIT, clock=clock)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=LIMIT))
def test_the_bytes_come_back_as_they_went_in(store: BlobStore, data: bytes) -> None:
    assert store.get(store.put(data, 60)) == data


def test_a_deleted_blob_is_gone_and_may_be_deleted_again(store: BlobStore) -> None:
    reference, other = store.put(b"one", 60), store.put(b"two", 60)
    store.delete(reference)
    store.delete(reference)
    with pytest.raises(BlobGone):
        store.get(reference)
    assert store.get(other) == b"two"


def test_more_than_the_limit_is_refused(store: BlobStore) -> None:
    assert store.get(store.put(bytes(LIMIT), 60)) == bytes(LIMIT)
    with pytest.raises(PayloadTooLarge, match="1001 bytes"):
        store.put(bytes(LIMIT + 1), 60)


def test_a_blob_is_gone_at_its_end_but_not_before(store: BlobStore, clock: Clock) -> None:
    reference = store.put(b"short", 5)
    clock.now += 5
    assert store.get(reference) == b"short"
    clock.now += 2
    with pytest.raises(BlobGone):
        store.get(reference)


@pytest.mark.parametrize(
    "reference",
    ["", "x", "../../etc/passwd", "1750000060-", "1750000060-" + "0" * 48, "é" * 59, "a\0b"],
)
def test_what_is_no_reference_of_ours_is_gone(store: BlobStore, reference: str) -> None:
    store.delete(reference)
    with pytest.raises(BlobGone):
        store.get(reference)


def test_references_are_different_for_the_same_bytes(store: BlobStore) -> None:
    references = {store.put(b"same", 60) for _ in range(20)}
    assert len(references) == 20
    assert all(len(reference.partition("-")[2]) == 48 for reference in references)


@pytest.mark.parametrize("kind", ["local", "fsspec"])
def test_a_sweep_removes_what_is_over_and_nothing_else(
    kind: str, tmp_path: Path, clock: Clock
) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    store: BlobStore = (
        LocalBlobs(tmp_path, clock=clock) if kind == "local" else FsspecBlobs(url, clock=clock)
    )
    assert store.sweep() == 0
    over, living = store.put(b"over", 5), store.put(b"living", 50)
    if kind == "local":
        (tmp_path / "notes.txt").write_text("somebody else's")
    clock.now += 10
    assert store.sweep() == 1
    assert store.get(living) == b"living"
    clock.now -= 10
    with pytest.raises(BlobGone):
        store.get(over)
    if kind == "local":
        assert (tmp_path / "notes.txt").exists()


def test_redis_forgets_a_blob_by_itself(broker: redis.Redis) -> None:
    store = RedisBlobs(broker)
    reference = store.put(b"short", 100)
    assert 0 < broker.ttl(f"subtext:blob:{reference}") <= 100
    assert store.sweep() == 0


def test_files_are_for_this_user_alone_and_nothing_partial_stays(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path / "blobs")
    reference = store.put(b"face", 60)
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "blobs" / reference).stat().st_mode & 0o777 == 0o600
    assert names(tmp_path / "blobs") == [reference]


def test_a_sweep_removes_writes_that_were_cut_off(tmp_path: Path, clock: Clock) -> None:
    clock.now = 4_000_000_000.0
    (tmp_path / ".partial-old").write_bytes(b"half")
    LocalBlobs(tmp_path, clock=clock).sweep()
    assert names(tmp_path) == []
    (tmp_path / ".partial-new").write_bytes(b"half")
    LocalBlobs(tmp_path).sweep()
    assert names(tmp_path) == [".partial-new"], "this one may still be written"


def test_a_disk_that_does_not_take_it_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the directory should be")
    with pytest.raises(Unavailable):
        LocalBlobs(tmp_path / "blobs").put(b"x", 60)


def test_a_redis_that_is_away_is_unavailable(tmp_path: Path) -> None:
    nobody = redis.Redis(
        unix_socket_path=str(tmp_path / "nobody.sock"), retry=Retry(NoBackoff(), 0)
    )
    away = RedisBlobs(nobody)
    for call in (
        lambda: away.put(b"x", 60),
        lambda: away.get("1950000060-" + "0" * 48),
        lambda: away.delete("x"),
    ):
        with pytest.raises(Unavailable):
            call()


def test_the_address_says_which_store(tmp_path: Path, valkey: EmbeddedValkey) -> None:
    plain, url = open_blobs(str(tmp_path / "a")), open_blobs(f"file://{tmp_path}/a")
    assert url.get(plain.put(b"same directory", 60)) == b"same directory"
    with redis.Redis.from_url(valkey.url) as client:
        shared = open_blobs("redis:", redis=client)
        assert shared.get(shared.put(b"shared", 60)) == b"shared"
    place = uuid.uuid4().hex
    memory = open_blobs(f"memory://{place}")
    reference = memory.put(b"anywhere", 60)
    assert fsspec.filesystem("memory").cat_file(f"/{place}/{reference}") == b"anywhere"


def test_redis_without_a_redis_and_an_unknown_scheme_say_so() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        open_blobs("redis:")
    with pytest.raises(ConfigurationError, match="nowhere://host/p") as caught:
        open_blobs("nowhere://user:secret@host/p").put(b"x", 60)
    assert "secret" not in str(caught.value)


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    open_blobs(str(tmp_path / "blobs"))
    assert names(tmp_path) == []


def test_another_process_reads_what_one_wrote(tmp_path: Path) -> None:
    reference = LocalBlobs(tmp_path).put(b"handed over", 60)
    assert LocalBlobs(tmp_path).get(reference) == b"handed over"
