"""Tell whether one query rewrites another."""

from __future__ import annotations

from difflib import SequenceMatcher

SIMILAR = 0.75
"""Share of equal characters from which two queries are the same but for spelling: `wirelress` and `wireless` have
0.94, `boots` and `lamp` 0. difflib's ratio of Ratcliff and Obershelp (1988)."""

MAX_COMPARED = 256
"""Characters of a query that are compared; the comparison is quadratic."""


def is_reformulation(before: str, after: str) -> bool:
    """Tell whether `after` rewrites `before`: another text with a word in common, or a respelling.

    The classes of Jansen, Booth & Spink (2009, "Patterns of query reformulation during Web searching") that keep a
    term: generalisation, specialisation and reformulation. A query without a common term is a new topic, one that
    differs in case and spaces only the same query.
    """
    old, new = before.casefold().split(), after.casefold().split()
    if old == new or not old or not new:
        return False
    if set(old) & set(new):
        return True
    first, second = " ".join(old)[:MAX_COMPARED], " ".join(new)[:MAX_COMPARED]
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= SIMILAR
