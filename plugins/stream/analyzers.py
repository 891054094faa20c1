"""Which analyzer observes the media, what it may use, and the process in which it does."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from core import ConfigurationError, current, setting
from plugins.stream.analysis.child import AnalysisChild
from plugins.stream.analysis.interpretation import Interpreter, Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from plugins.stream.analysis.observations import Observations

BUILTIN: Final = "builtin"
BUILTIN_FACTORY: Final = "plugins.stream.analysis.perception:Perception"


def find_analyzers() -> dict[str, str]:
    """Return all analyzers by name, as `package.module:factory`; ConfigurationError when two share a name."""
    found: dict[str, str] = {}
    for registered in current().plugins.hook.register_analyzers():
        for name, factory in registered.items():
            if name in found:
                raise ConfigurationError(f"register_analyzers: two analyzers are named {name}")
            found[name] = factory
    return found


def chosen_analyzer() -> str:
    """Return the factory of the analyzer that SUBTEXT_STREAM_ANALYZER names; ConfigurationError for an unknown name."""
    analyzers = find_analyzers()
    name: str = setting("SUBTEXT_STREAM_ANALYZER")
    if name not in analyzers:
        known = ", ".join(sorted(analyzers))
        raise ConfigurationError(
            f"SUBTEXT_STREAM_ANALYZER: there is no {name!r}; there are {known}"
        )
    return analyzers[name]


def switches() -> Switches:
    """Return from what may be inferred, by the settings of the active app."""
    on = {
        name: bool(setting(f"SUBTEXT_STREAM_{name.upper()}")) for name in ("face", "voice", "words")
    }
    return Switches.of(setting("SUBTEXT_STREAM_PURPOSE"), **on)


def build_interpreter(include: Iterable[str] = ()) -> Interpreter:
    """Return what makes findings of a recording's observations."""
    return Interpreter(include, switches())


class Analyst:
    """Analyse segments one after another, in a process of its own that outlives them."""

    def __init__(self, factory: str, options: Mapping[str, bool], seconds: float) -> None:
        self._child = AnalysisChild(factory, dict(options))
        self._seconds = seconds

    def start(self) -> None:
        """Start the process and load what it needs, now rather than with the first segment."""
        self._child.start()

    def analyze(
        self,
        data: bytes,
        seconds: float,
        media_start: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Observations:
        """Return what is seen and heard in media of about so many seconds; AnalysisError."""
        deadline = self._seconds + seconds
        return self._child.analyze(data, deadline, start=media_start, progress=progress)

    def close(self) -> None:
        """End the process."""
        self._child.close()


def build_analyst() -> Analyst:
    """Return the analyst that the settings of the active app describe; ConfigurationError."""
    return Analyst(
        chosen_analyzer(), asdict(switches()), setting("SUBTEXT_STREAM_ANALYSIS_SECONDS")
    )
