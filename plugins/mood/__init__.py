"""The mood of a session, inferred from what the visitor does and what other plugins have seen.

`SignalRule` is what plugins of third parties return from the hook `register_signals`.
"""

from __future__ import annotations

from plugins.mood.engine import Assessment
from plugins.mood.signals import Ramp, SignalRule

__all__ = ["Assessment", "Ramp", "SignalRule"]
