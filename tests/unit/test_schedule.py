"""When a flush is due, by a clock that the test moves; and ticks of the real scheduler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from worker.schedule import JITTER, Schedule, ticking

INTERVAL = 300.0


class Clock:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> Schedule:
    return Schedule(INTERVAL, clock=clock)


def flush(schedule: Schedule) -> None:
    assert schedule.is_due()
    schedule.begin()
    schedule.succeeded()


def test_the_first_flush_is_due_at_once_and_the_next_with_a_tick(schedule: Schedule) -> None:
    flush(schedule)
    assert not schedule.is_due()
    schedule.tick()
    flush(schedule)
    assert not schedule.is_due()


def test_ticks_during_a_flush_make_one_more_due(schedule: Schedule) -> None:
    schedule.begin()
    schedule.tick()
    schedule.tick()
    schedule.succeeded()
    flush(schedule)
    assert not schedule.is_due()


def test_without_ticks_a_flush_is_due_once_the_last_is_too_long_ago(schedule: Schedule, clock: Clock) -> None:
    flush(schedule)
    clock.now += INTERVAL  # the wall clock was set back an hour: no tick for an hour
    assert not schedule.is_due()
    clock.now += 0.15 * INTERVAL
    flush(schedule)
    assert not schedule.is_due()
    clock.now += 1.15 * INTERVAL
    assert schedule.is_due()


def test_after_a_failure_it_tries_again_with_growing_pauses(schedule: Schedule, clock: Clock) -> None:
    pauses = []
    for _ in range(10):
        schedule.begin()
        schedule.failed()
        schedule.tick()  # does not count
        before = clock.now
        while not schedule.is_due():
            clock.now += 0.125
        pauses.append(clock.now - before)
    assert pauses[0] <= 0.5
    assert pauses[3] > 2 * pauses[0]
    assert 20 < pauses[-1] <= 30.125
    schedule.begin()
    schedule.succeeded()
    assert not schedule.failing
    schedule.begin()
    schedule.failed()
    clock.now += 0.5
    assert schedule.is_due(), "the first pause after a success is short again"


def test_the_pause_is_never_longer_than_the_interval(clock: Clock) -> None:
    schedule = Schedule(2.0, clock=clock)
    for _ in range(10):
        schedule.begin()
        schedule.failed()
    clock.now += 2
    assert schedule.is_due()


def test_it_comes_back_for_shards_left_to_others(schedule: Schedule, clock: Clock) -> None:
    schedule.begin()
    schedule.succeeded(again_after=30)
    clock.now += 29
    assert not schedule.is_due()
    clock.now += 1
    flush(schedule)
    clock.now += 60
    assert not schedule.is_due()


def test_the_scheduler_ticks_again_and_again() -> None:
    ticked = Event()
    with ticking(0.01, ticked.set):
        for _ in range(3):
            assert ticked.wait(10)
            ticked.clear()


def test_a_tick_comes_with_the_interval_or_a_little_sooner_and_late_ones_are_made_up_for() -> None:
    began = datetime.now(UTC)
    with ticking(INTERVAL, lambda: None) as scheduler:
        (job,) = scheduler.get_jobs()
        first = (job.next_run_time - began) / timedelta(seconds=INTERVAL)
        assert 1 - JITTER <= first < 1.01
        assert (job.misfire_grace_time, job.coalesce, job.max_instances) == (None, True, 1)


def test_a_late_tick_is_not_skipped() -> None:
    ticked = Event()
    with ticking(INTERVAL, ticked.set) as scheduler:
        scheduler.modify_job("flush", next_run_time=datetime.now(UTC) - timedelta(minutes=1))
        assert ticked.wait(10)
