"""What the stream plugin holds for one app in one process, in `app.extensions["stream"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import ConfigurationError, current
from plugins.stream.analysis.errors import ModelsMissing
from plugins.stream.analyzers import build_analyst
from plugins.stream.switchboard import Switchboard

if TYPE_CHECKING:
    from plugins.stream.analyzers import Analyst


class StreamExtension:
    """Hold the streams of a web process and the analyst of a worker; nothing is made before it is needed."""

    def __init__(self, max_places: int, max_per_account: int) -> None:
        self.switchboard = Switchboard(max_places, max_per_account)

    def close_sockets(self) -> None:
        """Ask all streams to come to their end; for a process that is to end."""
        self.switchboard.close_sockets()

    def prepare_worker(self) -> None:
        """Load what analysis needs; ConfigurationError when a model is missing. For a worker, in an app context."""
        try:
            analyst().start()
        except ModelsMissing as error:
            raise ConfigurationError(str(error)) from error

    def close_worker(self) -> None:
        """End the process of the analysis."""
        made: Analyst | None = current().caches.pop("stream_analyst", None)
        if made is not None:
            made.close()


def analyst() -> Analyst:
    """Return this process's analyst, made when it is first asked for."""
    caches = current().caches
    if "stream_analyst" not in caches:
        caches["stream_analyst"] = build_analyst()
    made: Analyst = caches["stream_analyst"]
    return made
