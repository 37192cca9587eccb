"""The worker's loop: what makes it flush, what it outlives and what ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, cast

import pytest

from likes.buffer.backlog import Load
from likes.buffer.heartbeat import Doing, Heartbeat
from likes.errors import (
    CannotBeDurable,
    DatabaseUnavailable,
    LikesError,
    NotDurable,
    RedisUnavailable,
    SchemaOutdated,
    WrongDatabase,
    WrongRedis,
)
from tests.waiting import wait_until
from worker import loop as loop_module
from worker.loop import Loop
from worker.pulse import Pulse
from worker.rounds import Rounds
from worker.schedule import Schedule


class FakeRounds:
    """Counts flushes; each does the next of `outcomes` first, if any is left."""

    def __init__(self, *outcomes: Exception | bool) -> None:
        self.outcomes = list(outcomes)
        self.flushes = 0
        self.last_flushes = 0
        self.pending = 0
        self.have_worked = False
        self.last_outcome: Exception | None = None
        self.looks = 0

    def flush(self) -> bool:
        self.flushes += 1
        outcome = self.outcomes.pop(0) if self.outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        self.have_worked = True
        return outcome

    def flush_everything(self) -> None:
        self.last_flushes += 1
        if self.last_outcome:
            raise self.last_outcome

    def left(self) -> tuple[int, int] | None:
        return 7, 1

    def loads(self) -> list[Load]:
        self.looks += 1
        return [Load(self.pending)]


class Unheard:
    """A heartbeat that nobody hears."""

    refused: LikesError | None = None

    def beat(self, doing: Doing, *, at_once: bool = False) -> None:
        pass

    def end(self) -> None:
        pass


def make(rounds: FakeRounds, interval: float = 300.0, **options: Any) -> Loop:
    given = {"flush_at_items": 0, "again_after": 30.0, **options}
    return Loop(cast("Rounds", rounds), Schedule(interval), Pulse(cast("Heartbeat", Unheard())), **given)


@contextmanager
def running(loop: Loop) -> Iterator[None]:
    thread = Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def no_ticks(_interval: float, _tick: Callable[[], None]) -> Iterator[None]:
    """A scheduler whose wall clock was set back."""
    yield


def test_it_flushes_at_once_on_every_tick_and_at_the_end() -> None:
    rounds = FakeRounds()
    with running(make(rounds, interval=0.02)):
        wait_until(lambda: rounds.flushes > 5)
        assert rounds.last_flushes == 0
    assert rounds.last_flushes == 1


def test_a_wall_clock_set_back_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "ticking", no_ticks)
    rounds = FakeRounds()
    with running(make(rounds, interval=0.02)):
        wait_until(lambda: rounds.flushes >= 3)


def test_it_flushes_early_when_too_much_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "LOOK_SECONDS", 0.01)
    rounds = FakeRounds()
    rounds.pending = 9
    with running(make(rounds, flush_at_items=10)):
        wait_until(lambda: rounds.looks > 3)
        assert rounds.flushes == 1  # the first, which is due at once
        rounds.pending = 10
        wait_until(lambda: rounds.flushes == 2)


def test_it_comes_back_for_shards_left_to_others() -> None:
    rounds = FakeRounds(True)
    with running(make(rounds, again_after=0.1)):
        wait_until(lambda: rounds.flushes == 2)


def said_by_the_worker(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Not by the scheduler, which tells that a tick was skipped where the machine is slow."""
    return [record.getMessage() for record in caplog.records if record.name == "likes.worker"]


def test_it_outlives_whatever_happens_and_says_each_trouble_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "likes.worker")
    rounds = FakeRounds(
        RedisUnavailable("no route to Redis"),
        RedisUnavailable("connection refused"),
        DatabaseUnavailable("no route to SQL"),
        LikesError("a batch cannot be read"),
        LikesError("a batch cannot be read"),
        ZeroDivisionError("a bug"),
    )
    revived: list[None] = []
    with running(make(rounds, interval=0.02, revive=lambda: revived.append(None))):
        wait_until(lambda: rounds.flushes > 8)
    words = said_by_the_worker(caplog)
    assert [word.partition(";")[0] for word in words[:4]] == [
        "no route to Redis",
        "no route to SQL",
        "a batch cannot be read",
        "ZeroDivisionError: a bug",
    ]
    assert words[4].startswith("flushing works again")
    assert len(words) == 5
    assert len(revived) == 6


@pytest.mark.parametrize(
    "error",
    [
        SchemaOutdated("no table"),
        WrongRedis("run adopt"),
        WrongDatabase("not this one"),
        CannotBeDurable("no replica follows it"),
    ],
)
def test_what_waiting_does_not_mend_ends_it(error: LikesError) -> None:
    rounds = FakeRounds(error)
    with pytest.raises(type(error)):
        make(rounds).run()
    assert rounds.last_flushes == 0


@pytest.mark.parametrize("gone", [SchemaOutdated, CannotBeDurable])
def test_tables_and_replicas_that_were_there_may_come_back(
    gone: type[LikesError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "likes.worker")
    rounds = FakeRounds(False, gone("run likes migrate"), gone("run likes migrate"))
    with running(make(rounds, interval=0.02)):
        wait_until(lambda: rounds.flushes > 4)
    told, over = said_by_the_worker(caplog)
    assert told.startswith("run likes migrate;")
    assert over.startswith("flushing works again")


@pytest.mark.parametrize(
    "error", [RedisUnavailable("no route"), DatabaseUnavailable("no route"), NotDurable("no route")]
)
def test_a_server_away_at_the_end_is_no_failure(error: LikesError, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "likes.worker")
    rounds = FakeRounds()
    rounds.last_outcome = error
    loop = make(rounds)
    loop.stop()
    loop.run()
    (said,) = said_by_the_worker(caplog)
    assert "no route; nothing is lost" in said
    assert ("7 items are pending in Redis and 1 batches in flight" in said) != isinstance(error, RedisUnavailable)


@pytest.mark.parametrize("error", [WrongRedis("run likes adopt"), SchemaOutdated("run likes migrate"), ValueError("?")])
def test_whatever_else_fails_the_last_flush_is_one(error: Exception) -> None:
    rounds = FakeRounds()
    rounds.last_outcome = error
    loop = make(rounds)
    loop.stop()
    with pytest.raises(type(error)):
        loop.run()


def test_it_may_be_stopped_before_it_runs() -> None:
    rounds = FakeRounds()
    loop = make(rounds)
    loop.stop()
    loop.run()
    assert (rounds.flushes, rounds.last_flushes) == (0, 1)
