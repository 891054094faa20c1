"""Periodic jobs: due once per period in the whole installation, whatever comes and goes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq.utils import as_text

from core.jobs import Job
from core.queues import Queues
from workers.scheduler import LEADER_KEY, SCHEDULE_KEY, Scheduler, _last_due

if TYPE_CHECKING:
    from pathlib import Path

HOUR = Job("demo.hourly", print, every=3600)
MINUTE = Job("demo.minutely", print, every=60)
NEVER = Job("demo.on_demand", print)


def turn_back(broker: redis.Redis, name: str, seconds: float) -> None:
    """Have a job be last due that much earlier."""
    last = broker.hget(SCHEDULE_KEY, name)
    assert last is not None
    broker.hset(SCHEDULE_KEY, name, float(last) - seconds)


def test_a_new_job_is_due_at_once_and_then_every_period(broker: redis.Redis) -> None:
    scheduler = Scheduler([HOUR, MINUTE, NEVER], broker)
    assert scheduler.tick() == ["demo.hourly", "demo.minutely"]
    assert scheduler.tick() == []
    turn_back(broker, "demo.minutely", 61)
    assert scheduler.tick() == ["demo.minutely"]
    turn_back(broker, "demo.hourly", 3600)
    assert scheduler.tick() == ["demo.hourly"]


def test_what_is_due_lies_on_its_queue_once_while_nobody_takes_it(broker: redis.Redis) -> None:
    scheduler = Scheduler([MINUTE], broker)
    for _ in range(4):
        scheduler.tick()
        turn_back(broker, "demo.minutely", 61)
    assert [(sent.name, dict(sent.kwargs)) for sent in Queues(broker).list()] == [
        ("demo.minutely", {})
    ]


def test_missed_ticks_run_once_and_the_rhythm_stays(broker: redis.Redis) -> None:
    scheduler = Scheduler([MINUTE], broker)
    scheduler.tick()
    first = float(broker.hget(SCHEDULE_KEY, "demo.minutely") or 0)
    turn_back(broker, "demo.minutely", 60 * 1000 + 5)
    assert scheduler.tick() == ["demo.minutely"]
    assert scheduler.tick() == []
    assert float(broker.hget(SCHEDULE_KEY, "demo.minutely") or 0) == pytest.approx(first - 5)


@given(
    last=st.floats(1e9, 2e9), every=st.floats(1, 1e6), later=st.floats(-1e6, 1e7, allow_nan=False)
)
def test_a_job_is_due_exactly_when_a_period_has_passed(
    last: float, every: float, later: float
) -> None:
    now = last + later
    due = _last_due(last, every, now)
    if due is None:
        assert 0 <= now - last < every * 1.000001
    else:
        assert due <= now * 1.000001
        assert now < last or now - due < every * 1.001 + 1e-6
        assert _last_due(due, every, now) is None


def test_definitions_that_change_or_vanish_are_followed(broker: redis.Redis) -> None:
    Scheduler([HOUR, MINUTE], broker).tick()
    broker.delete(LEADER_KEY)
    turn_back(broker, "demo.hourly", 120)
    faster = Job("demo.hourly", print, every=60)
    assert Scheduler([faster], broker).tick() == ["demo.hourly"]
    assert broker.hkeys(SCHEDULE_KEY) == [b"demo.hourly"]


def test_a_clock_that_was_put_back_does_not_stop_a_job(broker: redis.Redis) -> None:
    scheduler = Scheduler([MINUTE], broker)
    scheduler.tick()
    turn_back(broker, "demo.minutely", -1e6)
    assert scheduler.tick() == ["demo.minutely"]
    assert scheduler.tick() == []


def test_one_leads_and_another_takes_over_when_it_resigns_or_dies(broker: redis.Redis) -> None:
    first, second = Scheduler([MINUTE], broker), Scheduler([MINUTE], broker)
    assert first.tick() == ["demo.minutely"]
    assert second.tick() == []
    assert (first.leading, second.leading) == (True, False)
    first.resign()
    second.tick()
    assert (first.leading, second.leading) == (False, True)
    broker.delete(LEADER_KEY)  # its lease ran out while it was held up
    first.tick()
    second.tick()
    assert (first.leading, second.leading) == (True, False)


def test_the_lead_is_renewed_with_every_tick_and_expires_without(broker: redis.Redis) -> None:
    scheduler = Scheduler([MINUTE], broker, lease_seconds=50)
    scheduler.tick()
    broker.pexpire(LEADER_KEY, 10_000)
    scheduler.tick()
    assert 40_000 < broker.pttl(LEADER_KEY) <= 50_000


def test_one_who_resigns_late_does_not_take_the_lead_from_another(broker: redis.Redis) -> None:
    first, second = Scheduler([MINUTE], broker), Scheduler([MINUTE], broker)
    first.tick()
    broker.delete(LEADER_KEY)
    second.tick()
    first.resign()
    second.tick()
    assert second.leading


def test_jobs_that_wait_for_their_time_are_released_by_the_leader(broker: redis.Redis) -> None:
    queues = Queues(broker)
    queues.put(NEVER, {"n": 1}, delay=3600)
    (job_id,) = [as_text(key) for key, _ in broker.zscan_iter("rq:scheduled:default")]
    scheduler = Scheduler([], broker)
    scheduler.tick()
    assert queues.lengths() == {"default": 0}
    broker.zadd("rq:scheduled:default", {job_id: 1})
    scheduler.tick()
    assert queues.lengths() == {"default": 1}


def test_a_job_that_fails_all_the_time_does_not_fill_the_memory(broker: redis.Redis) -> None:
    often = Job("demo.often", print, every=5)
    Scheduler([often, HOUR], broker).tick()
    ttl = {}
    for sent in Queues(broker).list():
        stored = broker.hgetall(f"rq:job:{sent.id}")
        ttl[sent.name] = int(stored[b"failure_ttl"])
        assert (b"retries_left" in stored) == (sent.name == "demo.hourly")
    assert ttl == {"demo.often": 500, "demo.hourly": 360_000}


def test_it_waits_for_a_redis_that_is_away_and_ends_when_told(tmp_path: Path) -> None:
    away = redis.Redis(unix_socket_path=str(tmp_path / "no.sock"), retry=Retry(NoBackoff(), 0))
    scheduler, stopping = Scheduler([MINUTE], away), threading.Event()
    with pytest.raises(redis.ConnectionError):
        scheduler.tick()
    thread = threading.Thread(target=scheduler.run, args=(stopping,))
    thread.start()
    assert thread.is_alive()
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()
