"""A real server with a Valkey and a worker, for the tests of the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.valkey import EmbeddedValkey
from tests.stream.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedValkey) -> Iterator[House]:
    """Serve with one worker, for tests that leave both as they are."""
    directory = tmp_path_factory.mktemp("house")
    with redis.Redis.from_url(valkey.url, retry=Retry(NoBackoff(), 0)) as broker:
        broker.flushall()
        with House(directory, valkey.url) as house:
            house.start_worker()
            house.await_worker(broker)
            yield house


@pytest.fixture
def broker(valkey: EmbeddedValkey) -> Iterator[redis.Redis]:
    """Return a client for an empty Valkey."""
    with redis.Redis.from_url(valkey.url, retry=Retry(NoBackoff(), 0)) as broker:
        broker.flushall()
        yield broker
