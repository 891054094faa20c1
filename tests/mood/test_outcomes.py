"""Feedback shows which actions help, and moods can learn from it."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from core.testing import BOTH
from plugins.mood.adaptive import HELD_OUT, Outcomes, choose, wilson_interval
from plugins.mood.models import MoodDecision
from plugins.mood.signals import ACTIONS, MOODS, SUGGESTED_ACTIONS

ANGRY = [{"type": "rage_click"}, {"type": "error"}, {"type": "error"}]


@pytest.fixture
def give(client: Any, caller: Any, send: Any) -> Any:
    def feedback(action: str, helpful: bool | None, times: int = 1) -> None:  # noqa: FBT001
        send(ANGRY, "source")
        body = {"action_taken": action} | ({} if helpful is None else {"was_helpful": helpful})
        for _ in range(times):
            client.post("/v1/sessions/source/feedback", json=body, headers=caller.headers)

    return feedback


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_share_of_helpful_outcomes_is_told_by_mood_and_action(
    client: Any, caller: Any, give: Any
) -> None:
    give("show_live_chat", helpful=True, times=3)
    give("show_live_chat", helpful=False)
    give("show_live_chat", helpful=None)
    give("call_them", helpful=None)
    answer = client.get("/v1/analytics/interventions", headers=caller.headers)
    assert answer.status_code == 200
    assert answer.json == {
        "interventions": [
            {
                "mood": "frustrated",
                "action": "call_them",
                "feedback": 1,
                "outcomes": 0,
                "helpful": 0,
                "share": None,
                "interval": None,
            },
            {
                "mood": "frustrated",
                "action": "show_live_chat",
                "feedback": 5,
                "outcomes": 4,
                "helpful": 3,
                "share": 0.75,
                "interval": [0.3006, 0.9544],
            },
        ]
    }


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (5, 10, (0.2366, 0.7634)),
        (81, 263, (0.2553, 0.3662)),  # Newcombe, Statistics in Medicine 17, 1998, table I
    ],
)
def test_the_interval_is_wilsons(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    interval = wilson_interval(successes, trials)
    assert interval == pytest.approx(expected, abs=5e-5)
    assert wilson_interval(0, 0) is None


def test_without_feedback_the_documented_action_holds(
    client: Any, caller: Any, send: Any, mood: Any
) -> None:
    client.patch("/v1/mood/settings", json={"adaptive": True}, headers=caller.headers)
    for number in range(10):
        send(ANGRY, f"s{number}")
        assert mood(f"s{number}").json["suggested_action"] == "show_live_chat"


def test_with_adaptive_off_feedback_changes_nothing(send: Any, mood: Any, give: Any) -> None:
    give("show_live_chat", helpful=False, times=60)
    give("show_tooltip", helpful=True, times=60)
    send(ANGRY, "new")
    assert mood("new").json["suggested_action"] == "show_live_chat"


def test_with_adaptive_on_what_helped_is_suggested_and_the_choice_is_logged(
    app: Any, caller: Any, send: Any, mood: Any, give: Any
) -> None:
    give("show_live_chat", helpful=False, times=80)
    give("show_tooltip", helpful=True, times=80)
    change = ["mood", "settings", caller.tenant, "--set", "adaptive=true"]
    assert app.test_cli_runner().invoke(args=change).exit_code == 0
    actions = []
    for number in range(20):
        send(ANGRY, f"s{number}")
        actions.append(mood(f"s{number}").json["suggested_action"])
    assert Counter(actions).most_common(1)[0][0] == "show_tooltip"
    with app.app_context():
        logged = list(MoodDecision.select().order_by(MoodDecision.id))
    assert [each.action for each in logged] == actions
    assert all(0 < each.propensity <= 1 for each in logged)


def test_the_suggestion_stays_while_the_mood_stays(
    client: Any, caller: Any, send: Any, mood: Any, give: Any
) -> None:
    give("show_tooltip", helpful=True, times=5)
    client.patch("/v1/mood/settings", json={"adaptive": True}, headers=caller.headers)
    send(ANGRY, "new")
    first = mood("new").json["suggested_action"]
    for _ in range(10):
        send([{"type": "error"}], "new")
        assert mood("new").json["suggested_action"] == first


@pytest.mark.parametrize("mood", MOODS)
def test_the_prior_favours_the_documented_action(mood: str) -> None:
    chosen = Counter(choose(ACTIONS[mood], {}, Random(seed)).action for seed in range(200))  # noqa: S311
    assert chosen.most_common(1)[0][0] == ACTIONS[mood]


def test_propensities_are_the_frequencies_of_the_choices() -> None:
    outcomes = {"show_tooltip": Outcomes(5, 8), "show_live_chat": Outcomes(4, 9)}
    choices = [choose("show_live_chat", outcomes, Random(seed)) for seed in range(400)]  # noqa: S311
    assert {each.action for each in choices} <= set(SUGGESTED_ACTIONS)
    for action, count in Counter(each.action for each in choices).items():
        expected = [each.propensity for each in choices if each.action == action]
        assert count / 400 == pytest.approx(sum(expected) / len(expected), abs=0.1)


def test_the_documented_action_is_held_out_a_share_however_bad_it_is() -> None:
    outcomes = {"show_live_chat": Outcomes(0, 10_000), "show_tooltip": Outcomes(10_000, 10_000)}
    choices = [choose("show_live_chat", outcomes, Random(seed)) for seed in range(400)]  # noqa: S311
    documented = [each for each in choices if each.action == "show_live_chat"]
    assert len(documented) / 400 == pytest.approx(HELD_OUT, abs=0.04)
    assert all(each.propensity == pytest.approx(HELD_OUT) for each in documented)
