"""Where the bytes of a segment lie between the socket that took them and the worker.

Blobs are for minutes, not for keeping: each has an end, and what is past it is gone. A reference is
a name that cannot be guessed and carries its own end, so a store needs no index.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from core.errors import ConfigurationError, PayloadTooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

DEFAULT_LIMIT: Final = 64 * 1024 * 1024  # bytes; twice the largest segment of the stream contract
TOKEN_BYTES: Final = 24  # 192 bits: not to be guessed
REDIS_KEY: Final = "subtext:blob:{reference}"
REFERENCE_FORM: Final = re.compile(r"(?P<end>\d{10,12})-[0-9a-f]{48}")
PARTIAL_PREFIX: Final = ".partial-"  # a write that has not ended yet
PARTIAL_SECONDS: Final = 600  # a write that took longer was cut off


class BlobGone(LookupError):
    """The blob was deleted, is past its end, or never was."""


class BlobStore(Protocol):
    """Keep bytes for a while under a name that cannot be guessed.

    Every method raises `Unavailable` while the store is away or full.
    """

    def put(self, data: bytes, ttl: float) -> str:
        """Keep `data` for `ttl` seconds and return its reference; PayloadTooLarge if too large."""

    def get(self, reference: str) -> bytes:
        """Return the bytes; BlobGone when they are not there any more."""

    def delete(self, reference: str) -> None:
        """Remove the bytes, if they are still there."""

    def sweep(self) -> int:
        """Remove what is past its end and return how many blobs that were."""


class _Store:
    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._clock = clock

    def _reference(self, data: bytes, ttl: float) -> str:
        if len(data) > self.limit:
            raise PayloadTooLarge(f"The data has {len(data)} bytes; {self.limit} are allowed")
        # Rounded up: never gone before its time.
        return f"{int(self._clock() + ttl) + 1}-{secrets.token_hex(TOKEN_BYTES)}"

    def _is_over(self, reference: str) -> bool:
        """Tell whether a blob is past its end; BlobGone for what no reference looks like."""
        match = REFERENCE_FORM.fullmatch(reference)
        if match is None:
            raise BlobGone("not a reference")
        return int(match["end"]) < self._clock()

    def _living(self, reference: str) -> str:
        if self._is_over(reference):
            raise BlobGone("past its end")
        return reference

    def _is_swept(self, name: str) -> bool:
        try:
            return self._is_over(name)
        except BlobGone:  # a file of somebody else's: left alone
            return False


class LocalBlobs(_Store):
    """Keep blobs as files of one directory, readable by this user alone."""

    def __init__(
        self,
        directory: Path | str,
        *,
        limit: int = DEFAULT_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(limit, clock)
        self.directory = Path(directory)

    def put(self, data: bytes, ttl: float) -> str:
        """Write the bytes; they are there as a whole or not at all."""
        reference = self._reference(data, ttl)
        partial = self.directory / f"{PARTIAL_PREFIX}{reference}"
        with _unavailable(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
                    view = memoryview(data)
                    while view:
                        view = view[file.write(view) :]
                partial.rename(self.directory / reference)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
        return reference

    def get(self, reference: str) -> bytes:
        """Read the bytes."""
        path = self.directory / self._living(reference)
        with _unavailable(OSError):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise BlobGone("deleted") from None

    def delete(self, reference: str) -> None:
        """Remove the file."""
        if REFERENCE_FORM.fullmatch(reference):
            with _unavailable(OSError):
                (self.directory / reference).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove files past their end, and what is left of writes that were cut off."""
        swept = 0
        with _unavailable(OSError):
            for path in self._files():
                if self._is_swept(path.name) or self._was_cut_off(path):
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept

    def _files(self) -> list[Path]:
        try:
            return list(self.directory.iterdir())
        except FileNotFoundError:
            return []

    def _was_cut_off(self, path: Path) -> bool:
        if not path.name.startswith(PARTIAL_PREFIX):
            return False
        try:
            status = path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_mtime < self._clock() - PARTIAL_SECONDS


class RedisBlobs(_Store):
    """Keep blobs in Redis, for web and worker on machines that share no disk.

    Redis forgets them by itself; they count against its memory until then.
    """

    def __init__(
        self,
        client: Redis,
        *,
        limit: int = DEFAULT_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(limit, clock)
        self._client = client

    def put(self, data: bytes, ttl: float) -> str:
        """Set the bytes with their end."""
        reference = self._reference(data, ttl)
        with self._available():
            self._client.set(self._key(reference), data, px=max(1, int(ttl * 1000)))
        return reference

    def get(self, reference: str) -> bytes:
        """Read the bytes."""
        with self._available():
            data = self._client.get(self._key(self._living(reference)))
        if not isinstance(data, bytes):
            raise BlobGone("deleted")
        return data

    def delete(self, reference: str) -> None:
        """Remove the key."""
        with self._available():
            self._client.delete(self._key(reference))

    def sweep(self) -> int:
        """Do nothing: Redis removes a key at its end."""
        return 0

    @staticmethod
    def _key(reference: str) -> str:
        return REDIS_KEY.format(reference=reference)

    @staticmethod
    def _available() -> contextlib.AbstractContextManager[None]:
        from redis import RedisError

        return _unavailable(RedisError)


class FsspecBlobs(_Store):
    """Keep blobs wherever fsspec reaches: an object store, an SFTP server, memory.

    Needs the `fsspec` package and the one for the scheme (`s3fs`, `gcsfs`, …). The bucket's own
    access rules hold; writes are as atomic as the file system's `pipe_file`.
    """

    def __init__(
        self, url: str, *, limit: int = DEFAULT_LIMIT, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(limit, clock)
        self._url = url
        self._opened: tuple[Any, str] | None = None

    def put(self, data: bytes, ttl: float) -> str:
        """Write the bytes."""
        reference = self._reference(data, ttl)
        with _unavailable(OSError):
            files, root = self._open()
            files.makedirs(root, exist_ok=True)
            files.pipe_file(f"{root}/{reference}", data)
        return reference

    def get(self, reference: str) -> bytes:
        """Read the bytes."""
        self._living(reference)
        with _unavailable(OSError):
            files, root = self._open()
            try:
                data: bytes = files.cat_file(f"{root}/{reference}")
            except FileNotFoundError:
                raise BlobGone("deleted") from None
        return data

    def delete(self, reference: str) -> None:
        """Remove the file."""
        if REFERENCE_FORM.fullmatch(reference):
            with _unavailable(OSError), contextlib.suppress(FileNotFoundError):
                files, root = self._open()
                files.rm_file(f"{root}/{reference}")

    def sweep(self) -> int:
        """Remove files past their end."""
        swept = 0
        with _unavailable(OSError):
            files, root = self._open()
            with contextlib.suppress(FileNotFoundError):
                for path in files.ls(root, detail=False):
                    if self._is_swept(str(path).rpartition("/")[2]):
                        files.rm_file(path)
                        swept += 1
        return swept

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            try:
                from fsspec.core import url_to_fs  # type: ignore[import-untyped]

                files, root = url_to_fs(self._url)
            except (ImportError, ValueError) as error:
                raise ConfigurationError(
                    f"blobs cannot lie at {_shown(self._url)}: {error}"
                ) from error
            self._opened = files, str(root).rstrip("/")
        return self._opened


def open_blobs(
    where: str,
    *,
    redis: Redis | None = None,
    limit: int = DEFAULT_LIMIT,
) -> BlobStore:
    """Describe the store that `where` names; nothing is opened yet.

    A path or `file:` URL is a local directory, `redis:` the Redis of REDIS_URL (`redis`), any other
    URL goes to fsspec. Raises ConfigurationError for `redis:` without a Redis.
    """
    parts = urlsplit(where)
    if parts.scheme in {"", "file"}:
        return LocalBlobs(parts.path if parts.scheme else where, limit=limit)
    if parts.scheme == "redis":
        if redis is None:
            raise ConfigurationError("blobs are to lie in Redis, and REDIS_URL is not set")
        return RedisBlobs(redis, limit=limit)
    return FsspecBlobs(where, limit=limit)


@contextlib.contextmanager
def _unavailable(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise Unavailable(f"Media cannot be stored or read: {type(error).__name__}") from error


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
