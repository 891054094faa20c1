"""What is kept of recordings: read by session, told to the mood, erased with the session; without a server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from core import now
from core.errors import ConfigurationError
from core.testing import BOTH, drain
from plugins.stream import services
from plugins.stream.analysis.findings import (
    EngagementUpdated,
    QualityPeriod,
    Result,
    SignalDetected,
    SignalEnded,
    SignalUpdated,
)
from plugins.stream.analyzers import chosen_analyzer, switches
from plugins.stream.faults import QuotaUsedUp
from plugins.stream.findings import Keeper
from plugins.stream.media import blobs

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from core.testing import Caller, MakeApp

SIX = dict.fromkeys(
    ("quality_index", "clarity", "authority", "energy", "rapport", "learning"), 50.0
)
FINDINGS = (
    SignalDetected("confusion", 9.0, "low", "A frown for 2.0 s of 8 s."),
    EngagementUpdated("engaged", 0.0),
    SignalUpdated("confusion", 9.0, "high", "A frown for 6.0 s of 8 s."),
    SignalUpdated("confusion", 9.0, "medium", "A frown for 4.0 s of 8 s."),
    EngagementUpdated("neutral", 12.0),
    SignalEnded("confusion", 18.0),
)
RESULT = Result(21.0, (), (), SIX, (QualityPeriod(0.0, 10.0, SIX), QualityPeriod(10.0, 20.0, SIX)))


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Boot the stream plugin beside the mood plugin, which takes its evidence."""
    return make_app(SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream"))


def record(app: Flask, caller: Caller, session_id: str = "s") -> services.Take:
    """Keep the findings of one recording."""
    with app.app_context():
        take = services.open_recording(
            caller.account_id, session_id, f"id-{time.monotonic_ns()}", services.LIVE
        )
        keeper = Keeper(take)
        for finding in FINDINGS:
            keeper.keep([finding])
        keeper.close(RESULT, 21.0)
        return take


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_what_was_found_is_read_by_session(app: Flask, caller: Caller) -> None:
    take = record(app, caller)
    found = app.test_client().get("/v1/stream/sessions/s", headers=caller.headers).get_json()
    assert found["session_id"] == "s"
    (recording,) = found["recordings"]
    assert recording["seconds"] == 21.0
    assert recording["signals"] == [
        {
            "type": "confusion",
            "start": 9.0,
            "end": 18.0,
            "probability": "high",
            "rationale": "A frown for 6.0 s of 8 s.",
        }
    ]
    assert recording["engagement_state"] == [
        {"start": 0.0, "end": 12.0, "state": "engaged"},
        {"start": 12.0, "end": 21.0, "state": "neutral"},
    ]
    assert recording["conversation_quality"]["overall"] == SIX
    assert len(recording["conversation_quality"]["timeline"]) == 2
    entries = app.test_client().get("/v1/sessions/s/timeline", headers=caller.headers).get_json()
    moments = [(entry["source"], entry["kind"]) for entry in entries["entries"]]
    assert moments == [("stream", "engagement"), ("stream", "signal"), ("stream", "engagement")]
    assert take.session.session_id == "s"


def test_signals_speak_for_the_mood_of_the_session_and_count_once(
    app: Flask, caller: Caller
) -> None:
    for _ in range(3):
        record(app, caller)
    drain(app)
    drain(app)
    mood = app.test_client().get("/v1/sessions/s/mood", headers=caller.headers).get_json()
    assert mood["event_count"] == 3
    assert mood["mood"] == "confused"


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_erasing_a_session_takes_everything_and_the_media_that_waits(
    app: Flask, caller: Caller, tmp_path: Path
) -> None:
    take = record(app, caller)
    with app.app_context():
        key = services.accept_segment(take, 1, b"media", 3.0, None)
        assert len(list((tmp_path / "media").iterdir())) == 1
    client = app.test_client()
    assert client.delete("/v1/sessions/s", headers=caller.headers).status_code == 200
    assert not list((tmp_path / "media").iterdir())
    assert client.get("/v1/stream/sessions/s", headers=caller.headers).status_code == 404
    with app.app_context():
        services.settle_segments(
            [(take.session.key, key)], services.LOST
        )  # there is nothing any more
        with pytest.raises(Exception, match="erased"):
            Keeper(take).keep(FINDINGS[:1])
        with pytest.raises(Exception, match="erased"):
            services.accept_segment(take, 2, b"media", 3.0, None)
    assert not list((tmp_path / "media").iterdir())


def test_another_accounts_session_is_not_found(
    app: Flask, caller: Caller, make_caller: Any
) -> None:
    record(app, caller)
    other = make_caller(app)
    answer = app.test_client().get("/v1/stream/sessions/s", headers=other.headers)
    assert answer.status_code == 404
    body = answer.get_json()
    assert set(body) == {"error_id", "correlation_id", "link", "message"}
    assert answer.headers["X-Correlation-ID"] == body["correlation_id"]


def test_media_that_nobody_came_for_is_swept(
    app: Flask, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = record(app, caller)
    with app.app_context():
        services.accept_segment(take, 1, b"media", 3.0, None)
        assert services.sweep() == 0
        later = now() + 601_000_000
        monkeypatch.setattr(services, "now", lambda: later)
        assert services.sweep() == 1
        assert not list((tmp_path / "media").iterdir())
        assert services.sweep() == 0


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_a_days_media_is_counted_for_each_account(make_app: MakeApp, make_caller: Any) -> None:
    app = make_app(
        SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "mood"),
        SUBTEXT_STREAM_DAILY_SECONDS=10,
    )
    first, second = make_caller(app), make_caller(app)
    with app.app_context():
        for caller in (first, second):
            take = services.open_recording(
                caller.account_id, "s", f"id-{caller.account_id}", services.LIVE
            )
            for number in range(3):
                services.accept_segment(take, number, b"media", 3.0, None)
            with pytest.raises(QuotaUsedUp):
                services.accept_segment(take, 4, b"media", 3.0, None)
        assert blobs().sweep() == 0


def test_purpose_and_switches_say_what_may_be_inferred_from(make_app: MakeApp) -> None:
    others: dict[str, Any] = {"SUBTEXT_PLUGINS_DISABLED": ("ingestion", "clickstream", "mood")}
    for settings, face, voice in (
        ({}, True, True),
        ({"SUBTEXT_STREAM_FACE": False}, False, True),
        ({"SUBTEXT_STREAM_VOICE": False}, True, False),
        ({"SUBTEXT_STREAM_PURPOSE": "work"}, False, False),
        ({"SUBTEXT_STREAM_PURPOSE": "education"}, False, False),
    ):
        with make_app(**others, **settings).app_context():
            assert (switches().face, switches().voice) == (face, voice)


def test_an_analyzer_of_another_plugin_is_chosen_by_name_and_an_unknown_one_stops_the_start(
    make_app: MakeApp,
) -> None:
    from core import hookimpl

    class Theirs:
        @hookimpl
        def register_analyzers(self) -> dict[str, str]:
            return {"theirs": "theirs.module:factory"}

    others: dict[str, Any] = {"SUBTEXT_PLUGINS_DISABLED": ("ingestion", "clickstream", "mood")}
    plugins = {"theirs": Theirs()}
    app = make_app(plugins=plugins, SUBTEXT_STREAM_ANALYZER="theirs", **others)
    with app.app_context():
        assert chosen_analyzer() == "theirs.module:factory"
    with pytest.raises(ConfigurationError, match="there are builtin, theirs"):
        make_app(plugins=plugins, SUBTEXT_STREAM_ANALYZER="their", **others)


def test_other_plugins_are_told_of_signals_after_the_commit(
    make_app: MakeApp, make_caller: Any
) -> None:
    from core import hookimpl

    told: list[Any] = []

    class Listener:
        @hookimpl
        def signals_detected(self, session: Any, signals: Any) -> None:
            told.append((session.session_id, [signal["type"] for signal in signals]))

    app = make_app(
        plugins={"listener": Listener()},
        SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream", "mood"),
    )
    record(app, make_caller(app))
    assert told == [("s", ["confusion"])]
