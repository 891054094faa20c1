"""An account reads moods its own way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from core.testing import BOTH
from plugins.mood.rules import THRESHOLDS, Rules

URL = "/v1/mood/settings"
START = 1_746_352_800
SLOW_CLICKS = [{"type": "click", "x": 5, "y": 5, "ts": START + n} for n in range(3)]


@pytest.fixture
def change(client: Any, caller: Any) -> Any:
    return lambda body: client.patch(URL, json=body, headers=caller.headers)


def test_the_defaults_are_the_published_ones(client: Any, caller: Any) -> None:
    answer = client.get(URL, headers=caller.headers)
    assert answer.status_code == 200
    assert answer.json == {
        "thresholds": {name: getattr(Rules(), name) for name in THRESHOLDS},
        "modality_weights": dict.fromkeys(
            ("interaction", "facial", "voice", "video", "search"), 1.0
        ),
        "adaptive": False,
    }


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_threshold_holds_from_now_on_and_for_what_was_stored(
    app: Any, change: Any, send: Any, mood: Any
) -> None:
    send(SLOW_CLICKS, "old")
    assert mood("old").json["mood"] == "decisive"
    answer = change({"thresholds": {"rage_click_window_ms": 2000}})
    assert answer.status_code == 200
    assert answer.json["thresholds"]["rage_click_window_ms"] == 2000
    send(SLOW_CLICKS, "new")
    assert mood("new").json["mood"] == "frustrated"
    with app.app_context():
        app.extensions["subtext"].jobs.run("mood.sweep")
    assert mood("old").json["mood"] == "frustrated"


def test_a_session_goes_on_under_changed_rules(change: Any, send: Any, mood: Any) -> None:
    send(SLOW_CLICKS[:2])
    change({"thresholds": {"rage_click_window_ms": 2000}})
    assert send(SLOW_CLICKS[2:]).json["current_mood"] == "frustrated"


def test_null_brings_a_default_back(client: Any, caller: Any, change: Any) -> None:
    change({"thresholds": {"rage_click_count": 4, "quick_back_window_ms": 5}, "adaptive": True})
    answer = change({"thresholds": {"rage_click_count": None}, "adaptive": None}).json
    assert answer == client.get(URL, headers=caller.headers).json
    assert answer["thresholds"]["rage_click_count"] == 3
    assert answer["thresholds"]["quick_back_window_ms"] == 5
    assert answer["adaptive"] is False


def test_accounts_have_settings_of_their_own(
    app: Any, client: Any, change: Any, make_caller: Any
) -> None:
    change({"modality_weights": {"facial": 0}})
    other = make_caller(app)
    weights = client.get(URL, headers=other.headers).json["modality_weights"]
    assert weights["facial"] == 1.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"mood": 1}, "mood"),
        ({"adaptive": 1}, "adaptive"),
        ({"thresholds": []}, "thresholds"),
        ({"thresholds": {"speed": 1}}, "thresholds.speed"),
        ({"thresholds": {"rage_click_count": True}}, "thresholds.rage_click_count"),
        ({"thresholds": {"rage_click_count": 2.5}}, "thresholds.rage_click_count"),
        ({"thresholds": {"rage_click_count": "3"}}, "thresholds.rage_click_count"),
        ({"thresholds": {"rage_click_count": 1}}, "thresholds"),
        ({"thresholds": {"rage_click_window_ms": 2**62}}, "thresholds"),
        ({"thresholds": {"minimum_observations": 7}}, "thresholds"),
        ({"thresholds": {"unsettled_confidence": 2}}, "thresholds.unsettled_confidence"),
        ({"modality_weights": {"event": 1}}, "modality_weights.event"),
        ({"modality_weights": {"smell": 1}}, "modality_weights.smell"),
        ({"modality_weights": {"facial": -1}}, "modality_weights.facial"),
        ({"modality_weights": {"facial": 6}}, "modality_weights.facial"),
        ({"modality_weights": {"facial": True}}, "modality_weights.facial"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    client: Any, caller: Any, change: Any, body: Any, field: str
) -> None:
    before = client.get(URL, headers=caller.headers).json
    answer = change(body)
    assert answer.status_code == 400
    assert answer.json["error"] == "Invalid value"
    assert answer.json["field"] == field
    assert answer.json["message"]
    assert client.get(URL, headers=caller.headers).json == before


class TestCommandLine:
    def test_settings_are_shown_and_changed(self, app: Any, caller: Any) -> None:
        runner = app.test_cli_runner()
        shown = runner.invoke(args=["mood", "settings", caller.tenant])
        assert orjson.loads(shown.output)["adaptive"] is False
        changes = ["--set", "adaptive=true", "--set", "facial=0", "--set", "rage_click_count=4"]
        changed = runner.invoke(args=["mood", "settings", caller.tenant, *changes])
        answer = orjson.loads(changed.output)
        assert answer["adaptive"] is True
        assert answer["modality_weights"]["facial"] == 0
        assert answer["thresholds"]["rage_click_count"] == 4
        back = runner.invoke(args=["mood", "settings", caller.tenant, "--set", "facial="])
        assert orjson.loads(back.output)["modality_weights"]["facial"] == 1

    @pytest.mark.parametrize(
        ("change", "word"),
        [("facial", "NAME=VALUE"), ("facial=much", "neither"), ("smell=1", "is not a modality")],
    )
    def test_what_cannot_be_set_is_told(
        self, app: Any, caller: Any, change: str, word: str
    ) -> None:
        arguments = ["mood", "settings", caller.tenant, "--set", change]
        result = app.test_cli_runner().invoke(args=arguments)
        assert result.exit_code != 0
        assert word in result.output

    def test_recompute_can_be_for_one_account(self, app: Any, caller: Any, send: Any) -> None:
        send(SLOW_CLICKS)
        runner = app.test_cli_runner()
        one = runner.invoke(args=["mood", "recompute", "--account", caller.tenant])
        assert "recomputed 1 sessions" in one.output
        nobody = runner.invoke(args=["mood", "recompute", "--account", "nobody"])
        assert nobody.exit_code != 0
        assert "There is no account nobody" in nobody.output
