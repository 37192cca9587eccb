"""The audit: a running system is in order, and each kind of damage is found, and nothing else with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update

from likes.deltas import MAX_DELTA
from likes.items import shard_of
from likes.reports.audit import Audit, ShardAudit, audit
from likes.sql.engine import reading, writing
from likes.sql.tables import batches, cursors, dead_letters, totals
from tests.rig import Rig
from tests.stepping import SteppedWorker

ITEMS = {f"item {n}": n - 20 for n in range(100)}
SUM = sum(ITEMS.values())


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=2) as rig:
        yield rig


def look(rig: Rig, *, repair: bool = False) -> Audit:
    return audit(rig.worker.buffer, rig.worker.ledger, rig.shards, repair=repair)


def shard(item: str) -> int:
    return shard_of(item.encode(), 2)


def assert_in_order(found: Audit) -> None:
    assert (found.ok, list(found.problems), list(found.notes)) == (True, [], [])
    assert all(each.ok and each.compared_books and each.compared_keys for each in found.shards)
    assert found.accepted == (found.applied + found.in_flight + found.dead_letters + found.written_off + found.pending)


def the_problem(found: Audit) -> str:
    """The only one."""
    assert not found.ok
    (problem,) = found.problems
    return problem


def of(found: Audit, item: str) -> ShardAudit:
    return found.shards[shard(item)]


def change(rig: Rig, statement: Any) -> None:
    with writing(rig.engine) as connection:
        connection.execute(statement)


# In order.


def test_before_anything_happened(rig: Rig) -> None:
    found = look(rig)
    assert_in_order(found)
    assert (found.accepted, found.totals) == (0, 0)


def test_pending_in_flight_and_applied_add_up(rig: Rig) -> None:
    rig.likes.add(ITEMS)
    found = look(rig)
    assert_in_order(found)
    assert (found.accepted, found.pending, found.applied) == (SUM, SUM, 0)

    rig.flush()
    rig.likes.add(ITEMS)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
    found = look(rig)
    assert_in_order(found)
    assert found.accepted == 2 * SUM
    assert found.applied == found.totals == SUM
    assert found.in_flight != 0
    assert found.in_flight + found.pending == SUM

    rig.flush()
    found = look(rig)
    assert_in_order(found)
    assert (found.applied, found.totals, found.pending) == (2 * SUM, 2 * SUM, 0)


def test_a_batch_applied_and_not_acknowledged_counts_once(rig: Rig) -> None:
    rig.likes.add(ITEMS)
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")
        found = look(rig)
    assert_in_order(found)
    assert found.in_flight == 0


def test_dead_letters_and_their_resolution_are_accounted_for(rig: Rig) -> None:
    change(rig, insert(totals).values(counter="likes", item="full", total=MAX_DELTA, updated_at=func.now()))
    rig.likes.add({"full": 5, "a": 1})
    rig.flush()
    change(rig, delete(totals).where(totals.c.item == "full"))
    found = look(rig)
    assert_in_order(found)
    assert (found.dead_letters, found.applied, found.totals) == (5, 1, 1)

    change(rig, insert(totals).values(counter="likes", item="full", total=5, updated_at=func.now()))
    assert "the totals add up to 6, but 1 was applied" in the_problem(look(rig))
    change(rig, update(dead_letters).values(applied_delta=5))
    assert_in_order(look(rig))


def test_epochs_given_up_and_what_was_written_off_are_accounted_for(rig: Rig) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    rig.redis.flushall()
    rig.likes.add(ITEMS)
    rig.flush()
    found = look(rig)
    assert_in_order(found)
    assert (found.accepted, found.totals, found.ever_applied) == (SUM, 2 * SUM, 2 * SUM)


def test_a_restored_database_is_in_order_once_it_is_written_off(rig: Rig) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    copy = rig.copy_sql()
    for _ in range(2):
        rig.likes.add(ITEMS)
        rig.flush()
    rig.restore_sql(copy)
    found = look(rig)
    assert all(any("neither in the database nor in flight" in text for text in each.problems) for each in found.shards)
    rig.likes.add(ITEMS)
    rig.flush()
    found = look(rig)
    assert_in_order(found)
    assert (found.written_off, found.totals) == (2 * SUM, 2 * SUM)


def test_other_namespaces_of_the_database_do_not_disturb(rig: Rig, valkey_url: str, engine: Engine) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    with Rig(valkey_url, engine, shards=2, prefix="others") as other:
        other.likes.add(ITEMS)
        other.flush()
        found = look(other)
        assert_in_order(found)
        assert (found.applied, found.totals) == (SUM, 2 * SUM)
    assert_in_order(look(rig))


def test_sums_past_64_bits_are_not_comparable_rather_than_wrong(rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    rig.redis.hset(rig.key("state", shard("a")), "accepted", MAX_DELTA)
    found = look(rig)
    assert found.ok
    (note,) = found.notes
    assert "64 bits" in note


def test_a_running_system_is_in_order(rig: Rig) -> None:
    stop = Event()

    def keep_going(work: Callable[[], object]) -> None:
        while not stop.is_set():
            work()

    with ThreadPoolExecutor() as pool, rig.new_worker() as another:
        running = [
            pool.submit(keep_going, work)
            for work in (rig.flush, another.flush, lambda: rig.likes.add(ITEMS), lambda: rig.likes.like("item 1"))
        ]
        try:
            for _ in range(2):
                found = look(rig, repair=True)
                assert (found.ok, list(found.problems)) == (True, [])
                assert sum(each.repaired for each in found.shards) == 0
        finally:
            stop.set()
        for each in running:
            each.result()
    assert_in_order(look(rig))


# Damage.


@pytest.fixture
def flushed(rig: Rig) -> Rig:
    """A rig with batches 1, 2 and 3 of both shards applied, and likes pending."""
    for _ in range(3):
        rig.likes.add(ITEMS)
        rig.flush()
    rig.likes.add(ITEMS)
    assert_in_order(look(rig))
    return rig


def test_a_total_changed_by_hand(flushed: Rig) -> None:
    change(flushed, update(totals).where(totals.c.item == "item 7").values(total=totals.c.total + 1))
    assert the_problem(look(flushed)) == f"the totals add up to {3 * SUM + 1}, but {3 * SUM} was applied"


def test_a_total_deleted(flushed: Rig) -> None:
    change(flushed, delete(totals).where(totals.c.item == "item 7"))
    assert "the totals add up to" in the_problem(look(flushed))


def test_a_row_of_the_ledger_removed(flushed: Rig) -> None:
    change(flushed, delete(batches).where(batches.c.shard == 1, batches.c.seq == 2))
    assert the_problem(look(flushed)) == "shard 1: 1 batches between 1 and 3 are not in the ledger"


def test_the_newest_row_of_the_ledger_removed(flushed: Rig) -> None:
    change(flushed, delete(batches).where(batches.c.shard == 1, batches.c.seq == 3))
    assert "shard 1: the cursor is at batch 3, but that is not the newest row" in the_problem(look(flushed))


def test_a_row_of_the_ledger_changed(flushed: Rig) -> None:
    row = (batches.c.shard == 0) & (batches.c.seq == 1)
    change(flushed, update(batches).where(row).values(delta=batches.c.delta + 2))
    assert "shard 0: the ledger adds up to" in the_problem(look(flushed))


def test_what_the_cursor_says_was_applied_changed(flushed: Rig) -> None:
    change(flushed, update(cursors).where(cursors.c.shard == 0).values(applied_delta=cursors.c.applied_delta + 2))
    problems = "\n".join(look(flushed).problems)
    assert "shard 0: the ledger adds up to" in problems
    assert "shard 0: sealed" in problems
    assert "the totals add up to" in problems
    assert "shard 1" not in problems


def test_a_cursor_set_back(flushed: Rig) -> None:
    with reading(flushed.engine) as connection:
        nonce = connection.scalar(select(batches.c.nonce).where(batches.c.shard == 0, batches.c.seq == 2))
    change(flushed, update(cursors).where(cursors.c.shard == 0).values(seq=2, nonce=nonce))
    problems = look(flushed).problems
    assert any("of batches 3 to 3, 1 are neither in the database nor in flight" in problem for problem in problems)
    assert all(problem.startswith("shard 0: ") for problem in problems)


def test_a_batch_in_flight_whose_content_is_gone(rig: Rig) -> None:
    rig.likes.like("a")
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
    rig.redis.delete(rig.key("batch:1", shard("a")))
    problems = look(rig).problems
    assert f"shard {shard('a')}: batch 1 is in flight, but its content is gone" in problems


def test_a_delta_key_removed(flushed: Rig) -> None:
    flushed.redis.delete(flushed.key("delta:likes:item 7", shard("item 7")))
    where = f"shard {shard('item 7')}: accepted - sealed = "
    assert the_problem(look(flushed)).startswith(where)


def test_a_delta_that_is_no_number(flushed: Rig) -> None:
    flushed.redis.set(flushed.key("delta:likes:item 7", shard("item 7")), "many")
    problems = look(flushed).problems
    assert f"shard {shard('item 7')}: the delta of 'likes:item 7' is no number" in problems


def test_redis_that_went_back(flushed: Rig) -> None:
    copy = flushed.copy_redis()
    flushed.flush()
    flushed.restore_redis(copy)
    problems = look(flushed).problems
    assert "shard 0: Redis went back: it is at batch 3, the database at 4" in problems


def test_redis_that_was_emptied(flushed: Rig) -> None:
    flushed.redis.flushall()
    problem, other = look(flushed).problems
    assert problem.startswith("shard 0: the database is at epoch")
    assert "Redis is empty" in problem
    flushed.likes.add(ITEMS)
    problem, other = look(flushed).problems
    assert "Redis points at epoch" in problem
    assert "Redis points at epoch" in other


def test_a_delta_without_a_pending_entry_is_found_and_repaired(flushed: Rig) -> None:
    lost = [item for item in ITEMS if ITEMS[item] and shard(item) == 0][:3]
    for item in lost:
        flushed.redis.lrem(flushed.key("pending", 0), 1, f"likes:{item}")
    found = look(flushed)
    assert "shard 0: 3 deltas have no entry among the pending" in the_problem(found)
    assert (of(found, lost[0]).missing_entries, of(found, lost[0]).repaired) == (3, 0)

    found = look(flushed, repair=True)
    assert found.ok
    assert (of(found, lost[0]).missing_entries, of(found, lost[0]).repaired) == (3, 3)
    assert_in_order(look(flushed))
    flushed.flush()
    assert flushed.totals() == {item: 4 * delta for item, delta in ITEMS.items() if delta}


def test_without_a_repair_it_changes_nothing(flushed: Rig) -> None:
    flushed.redis.lrem(flushed.key("pending", 0), 1, "likes:item 3")
    before, sql = flushed.copy_redis(), flushed.copy_sql()
    look(flushed)
    assert (flushed.copy_redis(), flushed.copy_sql()) == (before, sql)


def test_items_that_are_patterns_belong_to_themselves(rig: Rig) -> None:
    rig.likes.add({"*": 1, "{likes:1}:x": 2, "[a]": 3, "?": 4, "delta:": 5})
    assert_in_order(look(rig))
