"""What poor pages say about the mood, in the words of the mood plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plugins.mood import SignalRule


def build_rules() -> list[SignalRule]:
    """Return the rules for this plugin's evidence.

    The weights follow the mood plugin's own: an `error` speaks for `frustrated` with 2.0, `scroll_reversals` for
    `confused` with 1.2. A poor page is a milder cause than an error and a stronger one than a pause.
    """
    # Here and not above: the mood plugin may be disabled, and then nobody asks.
    from plugins.mood import SignalRule

    return [
        SignalRule("vitals", "slow_page", "slow_page", {"frustrated": 1.2, "disengaged": 0.6}),
        SignalRule("vitals", "slow_reaction", "slow_reaction", {"frustrated": 1.4}),
        SignalRule(
            "vitals", "moving_layout", "moving_layout", {"frustrated": 0.9, "confused": 0.7}
        ),
    ]
