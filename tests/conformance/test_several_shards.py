"""Shards flushed side by side, their batches applied in one transaction: what happens to one is no other's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from likes.deltas import MAX_DELTA
from likes.errors import LikesError
from likes.items import shard_of
from likes.sql.engine import writing
from likes.sql.tables import batches
from tests.rig import Rig
from tests.stepping import SteppedWorker

SHARDS = 3
ITEMS = [f"video:{number}" for number in range(12)]
EACH_ONCE = dict.fromkeys(ITEMS, 1)
IN_SHARD = [next(item for item in ITEMS if shard_of(item.encode(), SHARDS) == shard) for shard in range(SHARDS)]


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=SHARDS, batch_items=2) as rig:
        rig.likes.add(EACH_ONCE)
        rig.flush()
        yield rig


def test_one_transaction_applies_a_batch_of_every_shard(rig: Rig) -> None:
    for row in rig.ledger():
        assert len({other.applied_at for other in rig.ledger() if other.seq == row.seq}) == 1
    assert {row.shard for row in rig.ledger() if row.seq == 1} == set(range(SHARDS))


def full(rig: Rig) -> None:
    """The total of an item of shard 1 stands at the limit of 64 bits."""
    with writing(rig.engine) as connection:
        connection.exec_driver_sql(f"UPDATE likes_totals SET total = {MAX_DELTA} WHERE item = '{IN_SHARD[1]}'")


def not_a_number(rig: Rig) -> None:
    """A stranger wrote a word where shard 1 keeps a delta."""
    rig.redis.set(rig.key(f"delta:likes:{IN_SHARD[1]}", shard=1), "word")


@pytest.mark.parametrize("spoil", [full, not_a_number])
def test_an_entry_that_cannot_be_counted_is_the_only_one_set_aside(rig: Rig, spoil: Callable[[Rig], None]) -> None:
    rig.likes.add(EACH_ONCE)
    spoil(rig)
    flushed = rig.flush()
    assert (flushed.items, flushed.dead_letters) == (len(ITEMS) - 1, 1)
    assert [letter.item for letter in rig.dead_letters()] == [IN_SHARD[1]]
    assert {item: total for item, total in rig.totals().items() if item != IN_SHARD[1]} == {
        item: 2 for item in ITEMS if item != IN_SHARD[1]
    }


def test_a_shard_whose_batch_the_database_refuses_stops_no_other(rig: Rig) -> None:
    """A row stands in the ledger where shard 1 wants to write its next one."""
    with writing(rig.engine) as connection:
        connection.execute(batches.update().where(batches.c.shard == 1, batches.c.seq == 1).values(seq=100))
        connection.exec_driver_sql("UPDATE likes_cursors SET seq = 99 WHERE shard = 1")
    rig.redis.hset(rig.key("state", shard=1), "seq", 99)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(LikesError, match="should not be there"):
        rig.flush()
    of_shard_1 = [item for item in ITEMS if shard_of(item.encode(), SHARDS) == 1]
    assert rig.totals() == {item: 1 if item in of_shard_1 else 2 for item in ITEMS}


def test_a_worker_paused_anywhere_while_another_flushes_some_shards(rig: Rig) -> None:
    """So its transaction finds some batches applied already, and the others not."""
    posted, calls = 1, 0
    while True:
        rig.likes.add(EACH_ONCE)
        posted += 1
        calls += 1
        with SteppedWorker(rig) as paused:
            for _ in range(calls):
                if paused.at is not None:
                    paused.step()
            done = paused.at is None
            rig.worker.flush([1])
            paused.finish()
        rig.flush()
        assert rig.totals() == dict.fromkeys(ITEMS, posted), f"paused after {calls} calls"
        if done:
            break
    assert calls > 10
    assert (rig.kinds(), rig.dead_letters()) == ([], [])
