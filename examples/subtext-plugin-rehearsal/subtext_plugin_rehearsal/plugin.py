"""The table of contents: the one hook that this plugin implements."""

from __future__ import annotations

from core import hookimpl


@hookimpl(optionalhook=True)
def register_analyzers() -> dict[str, str]:
    """Tell the stream plugin where the analyzer is; it is imported where media is analysed, and only there."""
    return {"rehearsal": "subtext_plugin_rehearsal.analyzer:Rehearsal"}
