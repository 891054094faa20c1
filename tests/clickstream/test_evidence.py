"""What searches tell other plugins about how a user fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.testing import BOTH
from plugins.clickstream.reformulation import is_reformulation

if TYPE_CHECKING:
    from flask import Flask

    from tests.clickstream.conftest import Listener, Site

AT = 1701012345678


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_search_that_finds_nothing_is_told_once(site: Site, listener: Listener) -> None:
    site.search(shown="", created_at=AT)
    site.search(shown="", created_at=AT)
    ((session_id, kind, details),) = listener.details()
    assert (session_id, kind) == ("s1", "zero_results")
    assert details == {"at": AT * 1000, "strength": 1.0, "reference": "zero_results"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_clicks_on_results_are_told_once_with_their_position(
    site: Site, listener: Listener
) -> None:
    site.search(shown="abc")
    site.click("s1", "c", created_at=AT)
    site.click("s1", "c", "b", created_at=AT)
    site.click("s1", "elsewhere")
    site.click("s1", "a", event_type="hover")
    told = listener.details()
    assert [(kind, details["position"]) for _, kind, details in told] == [
        ("result_click", 3),
        ("result_click", 2),
    ]
    assert len({details["reference"] for *_, details in told}) == 2
    assert told[0][2]["at"] == AT * 1000


def test_clicks_that_came_before_their_session_are_told_when_it_is_created(
    site: Site, listener: Listener
) -> None:
    site.click("s1", "b", "elsewhere")
    assert listener.told() == []
    site.search()
    assert listener.told() == [("s1", "result_click")]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_next_search_of_a_user_abandons_the_one_without_a_click(
    site: Site, listener: Listener
) -> None:
    site.search("s1", user_id="u", created_at=AT)
    site.search("s2", user_id="somebody else")
    assert listener.told() == []
    site.search("s3", user_id="u", search_query="lamp")
    assert listener.told() == [("s1", "abandoned")]
    site.click("s3", "a")
    site.search("s4", user_id="u", search_query="tv")
    assert listener.told() == [("s3", "result_click")]


def test_without_a_user_nobody_abandons_the_search_of_another(
    site: Site, listener: Listener
) -> None:
    site.search("s1")
    site.search("s2", search_query="red boots")
    assert listener.told() == []


def test_a_rewritten_query_is_a_reformulation_of_the_users_last_one(
    site: Site, listener: Listener
) -> None:
    site.search("s1", user_id="u", search_query="wirelress headphones", shown="")
    site.search("s2", user_id="u", search_query="wireless headphones")
    assert listener.told() == [("s1", "zero_results"), ("s2", "reformulation")]
    site.search("s3", user_id="u", search_query="garden chair")
    assert listener.told() == [("s2", "abandoned")]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_search_without_a_click_is_abandoned_when_its_time_is_over(
    app: Flask, site: Site, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import now

    jobs = app.extensions["subtext"].jobs
    site.search("left", created_at=AT)
    site.search("clicked")
    site.click("clicked", "a")
    site.search("bought")
    site.click("bought", "a", event_type="purchase")
    site.search("empty", shown="")
    site.search("irrelevant")
    site.post("/session/irrelevant", {"session_id": "irrelevant"})
    listener.told()
    with app.app_context():
        assert jobs.run("clickstream.close_overdue") == 0
        later = now() + 1801 * 1_000_000
        monkeypatch.setattr("plugins.clickstream.outcomes.now", lambda: later)
        assert jobs.run("clickstream.close_overdue") == 2
        assert jobs.run("clickstream.close_overdue") == 0
    ((session_id, kind, details),) = listener.details()
    assert (session_id, kind) == ("left", "abandoned")
    assert details["at"] == (AT + 1_800_000) * 1000


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("boots", "red boots", True),
        ("red boots", "boots", True),
        ("wirelress", "wireless", True),
        ("boots", "lamp", False),
        ("Boots ", "boots", False),
        ("", "boots", False),
        ("boots", "  ", False),
        ("x" * 100_000, "x" * 99_999 + "y", True),
    ],
)
def test_a_reformulation_keeps_a_word_or_most_letters(
    before: str,
    after: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert is_reformulation(before, after) is expected
