"""Nobody waits in vain for the analysis of a video, and it is answered when what was found is kept, not before."""

from __future__ import annotations

import queue
import uuid
from typing import TYPE_CHECKING, Any, Never

import peewee
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import Unavailable
from core.jobs import JobRegistry
from core.valkey import EmbeddedValkey
from plugins.stream import answers, services
from plugins.stream.analysis.observations import Observations
from plugins.stream.answers import Answer, Answers, Reply
from plugins.stream.findings import Keeper
from plugins.stream.models import Segment
from plugins.stream.uploads import analyze_upload
from tests.stream.scripts import video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from core.testing import Caller, MakeApp


class QuickAnswers:
    """Answer every segment at once, as a worker that sees nobody does."""

    inbox = 1

    def expect(
        self,
        segment: int,
        send: object,
        is_queued: object,
        deliver: Callable[[Answer], object],
        seconds: float,
    ) -> None:
        nobody = Observations(12.0, tuple(n / 10 for n in range(120)), (), None, None)
        deliver(Answer(segment, observations=nobody.dump()))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[redis.Redis]:
    with (
        EmbeddedValkey(tmp_path / "valkey") as valkey,
        redis.Redis.from_url(valkey.url, retry=Retry(NoBackoff(), 0)) as broker,
    ):
        yield broker


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(SUBTEXT_PLUGINS_DISABLED=("ingestion", "clickstream"))


def analyze(caller: Caller) -> dict[str, Any]:
    quick: Any = QuickAnswers()
    return analyze_upload(
        caller.account_id, "s", str(uuid.uuid4()), data=video(12.0), include=(), answers=quick
    )


@pytest.mark.parametrize("step", ["keep", "close"])
def test_an_upload_that_cannot_be_kept_is_refused_for_now(
    app: Flask, caller: Caller, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> Never:
        raise Unavailable

    monkeypatch.setattr(JobRegistry, "enqueue", lambda *_, **__: True)
    monkeypatch.setattr(JobRegistry, "worker_count", lambda *_: 1)
    with app.app_context():
        assert analyze(caller)["engagement_state"], "something is found that can be lost"
        monkeypatch.setattr(Keeper, step, fail)
        with pytest.raises(Unavailable):
            analyze(caller)


def test_a_segment_that_a_dying_worker_took_is_sent_again_and_then_given_up(
    broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LEASE_SECONDS", 0.1)
    monkeypatch.setattr(answers, "BLOCK_MILLISECONDS", 50)
    sent: list[int] = []
    came: queue.Queue[Answer] = queue.Queue()

    def send(attempt: int) -> bool:
        sent.append(attempt)
        return True

    Answers(broker).expect(7, send, lambda: False, came.put, 60.0)
    assert came.get(timeout=30) == Answer(7)
    assert sent == [2]


def test_a_segment_that_waits_for_a_worker_is_not_sent_again(
    broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LEASE_SECONDS", 0.1)
    monkeypatch.setattr(answers, "BLOCK_MILLISECONDS", 50)
    sent: list[int] = []
    came: queue.Queue[Answer] = queue.Queue()
    Answers(broker).expect(7, sent.append, lambda: True, came.put, 1.0)
    assert came.get(timeout=30) == Answer(7)
    assert not sent


def test_who_waits_for_a_segment_learns_that_the_database_is_away(
    app: Flask, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Never:
        raise peewee.OperationalError

    monkeypatch.setattr(Segment, "get_or_none", fail)
    nobody: Any = None
    with app.app_context(), pytest.raises(peewee.OperationalError):
        services.analyze_segment(7, 7, nobody, Reply(broker, 1, 7, 1))
    entries: Any = broker.xrange(answers.INBOX_KEY.format(inbox=1))
    assert [fields[b"state"] for _, fields in entries] == [answers.STARTED, answers.FAILED]
