"""What plugins of third parties can do with moods."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from core import (
    ConfigurationError,
    Evidence,
    hookimpl,
    record_evidence,
    touch_session,
    transaction,
)
from core.testing import drain
from plugins.mood import SignalRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

OTHERS = ("ingestion", "clickstream", "stream")
ANGRY = {"events": [{"type": "rage_click"}, {"type": "error"}, {"type": "error"}]}


@pytest.fixture
def boot(make_app: MakeApp) -> Callable[..., Flask]:
    """Return a function that boots the app with a third party's plugin."""

    def build(**hooks: Callable[..., Any]) -> Flask:
        plugin = ModuleType("thirdparty")
        for name, hook in hooks.items():
            setattr(plugin, name, hookimpl(hook))
        return make_app(plugins={"thirdparty": plugin}, SUBTEXT_PLUGINS_DISABLED=OTHERS)

    return build


def post(app: Flask, caller: Caller, session_id: str = "abc") -> Any:
    return app.test_client().post(
        f"/v1/sessions/{session_id}/events", json=ANGRY, headers=caller.headers
    )


def read(app: Flask, caller: Caller, session_id: str = "abc") -> Any:
    url = f"/v1/sessions/{session_id}/mood"
    return app.test_client().get(url, headers=caller.headers).json


def test_register_signals_teaches_a_new_kind_of_evidence(
    boot: Callable[..., Flask], make_caller: MakeCaller
) -> None:
    def register_signals() -> list[SignalRule]:
        return [SignalRule("posture", "slumped", "slumped_posture", {"disengaged": 1.0})]

    app = boot(register_signals=register_signals)
    caller = make_caller(app)
    with app.app_context(), transaction():
        session = touch_session(caller.account_id, "abc")
        seen = [Evidence(n, "posture", "slumped", 1.0, f"p:{n}") for n in range(6)]
        record_evidence(session, "thirdparty", seen)
    drain(app)
    answer = read(app, caller)
    assert answer["mood"] == "disengaged"
    assert answer["signals"] == ["slumped_posture"]


@pytest.mark.parametrize(("modality", "kind"), [("event", "click"), ("video", "stress")])
def test_a_rule_for_a_kind_that_has_one_stops_the_start(
    boot: Callable[..., Flask], modality: str, kind: str
) -> None:
    rule = SignalRule(modality, kind, "mine", {"disengaged": 1.0})
    with pytest.raises(ConfigurationError, match=f"two rules for {modality}/{kind}"):
        boot(register_signals=lambda: [rule])


def test_choose_action_decides_what_is_suggested(
    boot: Callable[..., Flask], make_caller: MakeCaller
) -> None:
    asked = []

    def choose_action(session: Any, assessment: Any) -> str:
        asked.append((session.session_id, assessment.mood, assessment.action))
        return "show_exit_offer"

    app = boot(choose_action=choose_action)
    caller = make_caller(app)
    post(app, caller)
    assert read(app, caller)["suggested_action"] == "show_exit_offer"
    assert asked == [("abc", "frustrated", "show_live_chat")]


@pytest.mark.parametrize("chosen", [None, "dance"])
def test_without_a_usable_choice_the_documented_action_is_suggested(
    boot: Callable[..., Flask], make_caller: MakeCaller, chosen: str | None
) -> None:
    app = boot(choose_action=lambda session: chosen)
    caller = make_caller(app)
    post(app, caller)
    assert read(app, caller)["suggested_action"] == "show_live_chat"


def test_mood_changed_is_told_once_after_the_commit(
    boot: Callable[..., Flask], make_caller: MakeCaller
) -> None:
    told = []

    def mood_changed(session: Any, before: str, assessment: Any) -> None:
        told.append((session.session_id, before, assessment.mood, read(app, caller)["mood"]))

    app = boot(mood_changed=mood_changed)
    caller = make_caller(app)
    post(app, caller)
    post(app, caller)
    assert told == [("abc", "neutral", "frustrated", "frustrated")]


def test_a_plugin_that_fails_to_take_note_fails_nobody_else(
    boot: Callable[..., Flask], make_caller: MakeCaller, caplog: pytest.LogCaptureFixture
) -> None:
    def mood_changed(session: Any) -> None:
        raise ZeroDivisionError

    app = boot(mood_changed=mood_changed)
    caller = make_caller(app)
    assert post(app, caller).status_code == 200
    assert read(app, caller)["mood"] == "frustrated"
    assert "thirdparty failed to take note" in caplog.text


def test_changes_of_moods_are_counted(app: Flask, make_caller: MakeCaller) -> None:
    caller = make_caller(app)
    post(app, caller)
    text = app.test_client().get("/metrics").text
    assert 'outcome="frustrated"' in text


def test_the_plugin_boots_with_nothing_but_the_core(app: Flask) -> None:
    listed = app.test_cli_runner().invoke(args=["plugins", "list"]).output
    assert [line.split("\t")[0] for line in listed.splitlines()] == ["mood"]
