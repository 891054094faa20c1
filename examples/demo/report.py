"""Print what a replay brought to light."""

from __future__ import annotations

import json
from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from examples.demo.replay import confusion
from examples.demo.visitors import INTENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from examples.demo.replay import Credentials, Outcome
    from examples.demo.visitors import Visitor

#: Signals that are shown for each intent.
SHOWN_SIGNALS = 2
NOTHING = "-"
#: A body to try.
TRY = json.dumps({"events": [{"type": "rage_click"}, {"type": "error"}, {"type": "back_nav"}]})


def print_outcome(console: Console, visitors: Sequence[Visitor], outcome: Outcome) -> None:
    """Print the tallies, the moods by intent, the confusion table and the search metrics."""
    console.print(_tallies(outcome))
    console.print(_moods(visitors, outcome))
    console.print(_confusion(visitors, outcome))
    console.print(_search(outcome))
    console.print()
    for mistake in outcome.mistakes:
        console.print(Text(f"wrong: {mistake}", style="bold red"))


def print_way_on(console: Console, url: str, credentials: Credentials, visitor: Visitor) -> None:
    """Print where the server goes on running and what to try there."""
    mood = f"{url}/v1/sessions/{visitor.session_id}/mood"
    post = f"curl -X POST {url}/v1/sessions/me/events -H 'Content-Type: application/json'"
    lines = (
        f"Subtext goes on running at {url} until Ctrl-C. With its key:",
        "",
        f"KEY={credentials.key}",
        f'curl {mood} -H "X-Api-Key: $KEY"',
        f"""{post} -H "X-Api-Key: $KEY" -d '{TRY}'""",
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _tallies(outcome: Outcome) -> Table:
    table = _table("What was sent", "API", "Requests", "Items accepted", "Items rejected")
    for api, tally in sorted(outcome.tallies.items()):
        table.add_row(api, *map(str, (tally.calls, tally.accepted, tally.rejected)))
    return table


def _moods(visitors: Sequence[Visitor], outcome: Outcome) -> Table:
    table = _table(
        "What it was read as", "Intent", "Recognised", "Confidence", "Action", "Usual signals"
    )
    for intent in INTENTS:
        moods = _moods_of(intent, visitors, outcome)
        right = [mood for mood in moods if mood["mood"] == intent]
        if not moods:
            continue
        table.add_row(
            intent,
            f"{len(right)} of {len(moods)}",
            f"{mean(mood['confidence'] for mood in right):.2f}" if right else NOTHING,
            right[0]["suggested_action"] if right else NOTHING,
            ", ".join(_usual_signals(right)),
        )
    return table


def _moods_of(intent: str, visitors: Sequence[Visitor], outcome: Outcome) -> list[dict[str, Any]]:
    return [
        outcome.moods[visitor.session_id]
        for visitor in visitors
        if visitor.intent == intent and visitor.session_id in outcome.moods
    ]


def _usual_signals(moods: Sequence[dict[str, Any]]) -> list[str]:
    seen = Counter(signal for mood in moods for signal in mood["signals"])
    return [signal for signal, _ in seen.most_common(SHOWN_SIGNALS)]


def _confusion(visitors: Sequence[Visitor], outcome: Outcome) -> Table:
    counts = confusion(visitors, outcome)
    moods = [*INTENTS, "neutral"]
    table = _table("Intent (rows) against mood (columns)", "", *moods)
    for intent in INTENTS:
        cells = [
            Text(str(counts[intent, mood] or "·"), style="bold" if mood == intent else "")
            for mood in moods
        ]
        table.add_row(intent, *cells)
    return table


def _search(outcome: Outcome) -> Table:
    table = _table("Search, with 95 % intervals", "Metric", "Value", "Interval", "n")
    for name, metric in outcome.search.items():
        if isinstance(metric, dict) and "value" in metric:
            table.add_row(
                name, _number(metric["value"]), _interval(metric["interval"]), str(metric["n"])
            )
    return table


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _interval(interval: Sequence[float] | None) -> str:
    return NOTHING if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, column in enumerate(columns):
        is_text = position == 0 or column in {"Action", "Usual signals", "Interval"}
        table.add_column(column, justify="left" if is_text else "right")
    return table
