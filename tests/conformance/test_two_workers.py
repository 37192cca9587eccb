"""Two workers at one shard, each held up between any two of its external calls: exact, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from likes.reports.audit import audit
from likes.sql.identity import Claim
from tests.rig import Rig
from tests.stepping import SteppedWorker


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, batch_items=2) as rig:
        yield rig


def calls_of_a_flush(rig: Rig) -> int:
    """How many calls it takes to flush three items in two batches; the first flush takes more."""
    rig.likes.add({"a": 1, "b": 1, "c": 1})
    count = 0
    with SteppedWorker(rig) as worker:
        while worker.at is not None:
            worker.step()
            count += 1
    return count


def test_two_workers_each_paused_between_any_two_calls(rig: Rig) -> None:
    """A makes i calls, B makes j, then A goes on to its end, then B."""
    calls_of_a_flush(rig)
    calls = calls_of_a_flush(rig)
    rounds = 2
    for i in range(calls):
        for j in range(1, calls):
            rig.likes.add({"a": 1, "b": 1, "c": 1})
            rounds += 1
            with SteppedWorker(rig) as one:
                make(one, i)
                with SteppedWorker(rig) as other:
                    make(other, j)
                    one.finish()
                    other.finish()
            rig.flush()
    assert rig.totals() == {"a": rounds, "b": rounds, "c": rounds}
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_two_workers_at_the_first_flush_of_all(rig: Rig) -> None:
    nothing = rig.copy_sql()
    for i in range(calls_of_a_flush(rig)):
        rig.redis.flushall()
        rig.restore_sql(nothing)
        rig.worker.ledger.claim = Claim()  # as a worker that has just been started
        rig.likes.add({"a": 1, "b": 1, "c": 1})
        with SteppedWorker(rig) as one:
            make(one, i)
            rig.flush()
            one.finish()
        assert rig.totals() == {"a": 1, "b": 1, "c": 1}
        assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_a_worker_paused_anywhere_while_another_goes_far_ahead(rig: Rig) -> None:
    calls_of_a_flush(rig)
    calls = calls_of_a_flush(rig)
    posted = 2
    for i in range(calls):
        rig.likes.add({"a": 1, "b": 1, "c": 1})
        with SteppedWorker(rig) as stalled:
            make(stalled, i)
            for _ in range(3):
                rig.flush()
                rig.likes.add({"a": 1, "b": 1, "c": 1})
            stalled.finish()
        rig.flush()
        posted += 4
    assert rig.totals() == {"a": posted, "b": posted, "c": posted}
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


FAULTS = ["Redis is emptied", "the pointer is lost", "Redis goes back", "SQL goes back"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_a_worker_is_paused_anywhere_counts_nothing_twice(rig: Rig, fault: str) -> None:
    """A pauses; the fault; B flushes; A goes on. Each pause has items of its own, liked once each."""
    calls_of_a_flush(rig)
    for i in range(calls_of_a_flush(rig)):
        rig.likes.like(f"{i}: in the copy")
        redis_copy, sql_copy = rig.copy_redis(), rig.copy_sql()
        rig.flush()
        pending = [f"{i}: pending {n}" for n in range(3)]
        rig.likes.add(dict.fromkeys(pending, 1))
        with SteppedWorker(rig) as paused:
            make(paused, i)
            if fault == "Redis is emptied":
                rig.redis.flushall()
            elif fault == "the pointer is lost":
                rig.redis.delete("{likes:0}:epoch")
            elif fault == "Redis goes back":
                rig.restore_redis(redis_copy)
            else:
                rig.restore_sql(sql_copy)
            rig.likes.like(f"{i}: after")
            rig.flush()
            paused.finish()
        rig.flush()
        rig.likes.like(f"{i}: at the end")
        rig.flush()

        totals = rig.totals()
        assert {totals[item] for item in totals if ":" in item} == {1}, "counted twice"
        assert f"{i}: at the end" in totals, "counting does not go on"
        kept = {f"{i}: after"}
        if fault.startswith("Redis"):
            kept.add(f"{i}: in the copy")  # as it was counted before
        if fault == "the pointer is lost":
            kept.update(pending)
        assert kept <= totals.keys() | rig.set_aside().keys(), "lost"
    assert rig.kinds()


def test_what_another_acknowledged_before_sql_went_back_is_never_set_aside(rig: Rig) -> None:
    """A pauses, maybe with batches in hand; B counts and acknowledges them; SQL goes back to before; A goes on."""
    calls_of_a_flush(rig)
    for i in range(calls_of_a_flush(rig)):
        copy = rig.copy_sql()
        rig.likes.like(f"{i}: flushed")
        rig.flush()
        rig.likes.add({f"{i}: in hand {n}": 1 for n in range(3)})
        with SteppedWorker(rig) as paused:
            make(paused, i)
            rig.flush()
            rig.restore_sql(copy)
            paused.finish()
        rig.likes.like(f"{i}: at the end")
        rig.flush()

        totals = rig.totals()
        assert {totals[item] for item in totals if ":" in item} == {1}, "counted twice"
        assert f"{i}: at the end" in totals, "counting does not go on"
        assert set(rig.kinds()) == {"sql_went_back"}
        assert not rig.dead_letters()
        assert audit(rig.worker.buffer, rig.worker.ledger, rig.shards).ok


def make(worker: SteppedWorker, calls: int) -> None:
    """Let it make so many calls, or all it has."""
    for _ in range(calls):
        if worker.at is None:
            return
        worker.step()
