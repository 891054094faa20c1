"""Where media lies until it was analysed, and a Redis client that may wait longer than a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from redis import ConnectionPool, Redis

from core import current, open_blobs, setting

if TYPE_CHECKING:
    from core.blobs import BlobStore

BLOB_SECONDS: Final = 600.0
"""How long media is kept at most; with SWEEP_SECONDS less than the fifteen minutes that are promised."""
SWEEP_SECONDS: Final = 240
REDIS_SECONDS: Final = 10.0
"""What a read of answers or a write of 32 MiB may take."""


def blobs() -> BlobStore:
    """Return the store of the active app."""
    caches = current().caches
    if "stream_blobs" not in caches:
        where = setting("SUBTEXT_STREAM_BLOBS") or str(Path(setting("SUBTEXT_DATA"), "media"))
        caches["stream_blobs"] = open_blobs(where, redis=patient_redis())
    store: BlobStore = caches["stream_blobs"]
    return store


def patient_redis() -> Redis | None:
    """Return a client for the active app's Redis whose commands may take REDIS_SECONDS; None without one."""
    caches = current().caches
    if "stream_redis" not in caches:
        redis = current().redis
        caches["stream_redis"] = None if redis is None else _patient(redis.connection_pool)
    client: Redis | None = caches["stream_redis"]
    return client


def _patient(pool: ConnectionPool) -> Redis:
    options = {**pool.connection_kwargs, "socket_timeout": REDIS_SECONDS}
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))
