"""Flushes found in the ledger, and likes a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from likes.reports.flushes import Flush, flushes_in
from likes.reports.overview import Rates
from likes.reports.shards import ShardStatus
from likes.sql.history import AppliedBatch

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def applied(sealed: float, done: float, worker: str = "a", items: int = 1, delta: int = 1) -> AppliedBatch:
    return AppliedBatch(0, "e", 1, items, delta, at(sealed), at(done), 1, worker)


def test_batches_without_a_pause_are_one_flush_and_those_of_two_workers_are_two():
    found = flushes_in(
        [applied(0, 0.2, delta=5), applied(10, 10.2), applied(0.3, 0.9, items=3), applied(0.1, 0.4, "b")]
    )
    assert found == [
        Flush("a", at(10), at(10.2), 1, 1, 1),
        Flush("a", at(0), at(0.9), 2, 4, 6),
        Flush("b", at(0.1), at(0.4), 1, 1, 1),
    ]


def shard(accepted: int | None, epoch: str | None = "e") -> ShardStatus:
    return ShardStatus(0, epoch, 0, 0, None, None, None, 0, None, None, accepted=accepted)


def test_likes_a_second_are_what_was_accepted_in_between():
    rates = Rates()
    for seconds, accepted in ((100.0, 50), (101.0, 60), (103.0, 50)):
        rates.note([shard(accepted)], START, seconds)
    assert [sample.rate for sample in rates.samples] == [10.0, -5.0]


def test_another_epoch_and_damaged_sums_are_no_likes():
    rates = Rates()
    for seconds, status in enumerate((shard(50), shard(7, "f"), shard(None, "f"), shard(9, "f"))):
        rates.note([status], START, 100.0 + seconds)
    assert [sample.rate for sample in rates.samples] == [0.0, 0.0, 0.0]


def test_the_first_like_of_all_counts():
    rates = Rates()
    rates.note([shard(0, None)], START, 100.0)
    rates.note([shard(3)], START, 101.0)
    assert [sample.rate for sample in rates.samples] == [3.0]


def test_after_a_while_in_which_nobody_looked_it_begins_anew():
    rates = Rates()
    for seconds in (100.0, 101.0, 200.0):
        rates.note([shard(int(seconds))], START, seconds)
    assert [*rates.samples] == []
