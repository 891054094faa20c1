"""What slow pages mean for a session: its timeline, its mood, its erasure, its age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from subtext_plugin_vitals.services import DAY

from core import erase_session, fetch_all, find_session, now
from core.testing import BOTH, drain

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import Caller, MakeApp, MakeCaller

SLOW = [
    {"id": "v5-1", "name": "LCP", "value": 9000},
    {"id": "v5-2", "name": "INP", "value": 1200},
    {"id": "v5-3", "name": "LCP", "value": 7000},
    {"id": "v5-4", "name": "TTFB", "value": 5000},
]


def send(client: FlaskClient, caller: Caller, session_id: str = "s") -> None:
    """Report slow pages of a session."""
    body = {"session_id": session_id, "page": "/pay", "metrics": SLOW}
    answer = client.post("/v1/vitals", json=body, headers=caller.headers)
    assert (answer.status_code, answer.get_json()) == (202, {"stored": len(SLOW)})


def age(app: Flask, days: int) -> None:
    """Make all measurements older."""
    with app.app_context():
        fetch_all("UPDATE vitals_measurement SET at = at - ? RETURNING id", (days * DAY,))


def count(app: Flask) -> int:
    """Return how many measurements are stored."""
    with app.app_context():
        return int(fetch_all("SELECT COUNT(*) FROM vitals_measurement")[0][0])


def test_slow_pages_make_a_visitor_frustrated(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    send(client, caller)
    drain(app)

    mood = client.get("/v1/sessions/s/mood", headers=caller.headers).get_json()

    assert mood["mood"] == "frustrated"
    assert {"slow_page", "slow_reaction"} <= set(mood["signals"])


def test_a_worse_value_of_the_same_page_view_does_not_count_twice(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    send(client, caller)
    drain(app)
    worse = {
        "session_id": "s",
        "page": "/pay",
        "metrics": [{**metric, "value": 20_000} for metric in SLOW],
    }
    client.post("/v1/vitals", json=worse, headers=caller.headers)
    drain(app)

    mood = client.get("/v1/sessions/s/mood", headers=caller.headers).get_json()

    assert mood["event_count"] == 3


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_timeline_of_a_session_shows_its_pages(client: FlaskClient, caller: Caller) -> None:
    send(client, caller)

    answer = client.get("/v1/sessions/s/timeline", headers=caller.headers).get_json()

    entries = [entry for entry in answer["entries"] if entry["source"] == "vitals"]
    assert [entry["kind"] for entry in entries] == ["LCP", "INP", "LCP", "TTFB"]
    assert entries[0]["data"] == {"page": "/pay", "value": 9000.0, "rating": "poor"}


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_erasing_a_session_removes_its_measurements_and_no_others(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    send(client, caller)
    send(client, caller, "other")

    with app.app_context():
        erase_session(caller.account_id, "s")
        assert find_session(caller.account_id, "s") is None

    assert count(app) == len(SLOW)
    body = {"session_id": "s", "page": "/pay", "metrics": SLOW}
    assert client.post("/v1/vitals", json=body, headers=caller.headers).status_code == 410


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_job_removes_what_is_older_than_the_setting_says(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(SUBTEXT_VITALS_KEEP_DAYS=10)
    client, caller = app.test_client(), make_caller(app)
    send(client, caller)
    age(app, 11)
    send(client, caller, "fresh")

    with app.app_context():
        removed = app.extensions["subtext"].jobs.run("vitals.prune")

    assert removed == len(SLOW)
    assert count(app) == len(SLOW)


def test_health_is_degraded_while_old_measurements_stay(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    send(client, caller)
    age(app, 40)

    with app.app_context():
        (check,) = dict(app.extensions["subtext"].plugins.collect("check_health"))["vitals"]
        assert not check.works
        assert not check.critical
        app.extensions["subtext"].jobs.run("vitals.prune")
        (check,) = dict(app.extensions["subtext"].plugins.collect("check_health"))["vitals"]
        assert check.works


def test_the_command_lists_the_worst_pages(app: Flask, client: FlaskClient, caller: Caller) -> None:
    send(client, caller)

    result = app.test_cli_runner().invoke(args=["vitals", "pages", "--tenant", caller.tenant])

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "poor\tTTFB\t5000 ms\t1\t/pay",
        "poor\tINP\t1200 ms\t1\t/pay",
        "poor\tLCP\t9000 ms\t2\t/pay",
    ]


def test_the_command_for_an_unknown_account_says_so(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["vitals", "pages", "--tenant", "nobody"])

    assert result.exit_code == 1
    assert "There is no account nobody" in result.output


def test_the_plugin_works_while_the_others_are_disabled(
    make_app: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_app(SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "mood", "stream"))
    client, caller = app.test_client(), make_caller(app)

    send(client, caller)

    assert drain(app) == 1
    assert count(app) == len(SLOW)


def test_rows_are_stamped_with_the_time_of_receipt(
    app: Flask, client: FlaskClient, caller: Caller
) -> None:
    before = now()
    send(client, caller)

    with app.app_context():
        times = [at for (at,) in fetch_all("SELECT at FROM vitals_measurement")]
    assert all(before <= at <= now() for at in times)
