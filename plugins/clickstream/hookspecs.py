"""The hook that the clickstream plugin offers to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plugins.clickstream.searches import Search


class Exporter(Protocol):
    """Write searches in one form.

    `name` is what stands in the address and on the command line, `media_type` what is answered,
    `suffix` how a file of it ends.
    """

    @property
    def name(self) -> str:
        """Give the name: lower-case letters, digits and hyphens."""

    @property
    def description(self) -> str:
        """Say in a sentence what it is for."""

    @property
    def media_type(self) -> str:
        """Give the media type."""

    @property
    def suffix(self) -> str:
        """Give the end of a file name, such as `.ndjson`."""

    def write(self, searches: Iterable[Search]) -> Iterator[bytes]:
        """Write the searches piece by piece.

        `searches` may be iterated more than once and reads the database anew each time; what must
        be kept in memory should not grow with the number of searches.
        """


@hookspec
def register_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """Return exporters; they are served at `/v1/search/exports/<name>` and by `flask clickstream export`.

    Any object with the attributes and the method of `Exporter` will do. The searches have `session_id`, `query`,
    `at` (microseconds UTC), `results` (None when unknown; each with `object_id`, `rank`, `meta`), `events` (each with
    `event_id`, `object_id`, `event_type`, `at`, `meta`), `user_id`, `search_meta`, `payload_filter` and `sort_by`.
    """
