"""What applying batches of several shards in one transaction promises, on every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, delete, event, insert, select

from likes.batch import Batch
from likes.chain import Chain
from likes.counted import Counted
from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.sql import cursors, known_redis
from likes.sql.engine import open_engine, reading, writing
from likes.sql.ledger import Ledger
from likes.sql.tables import batches, database
from likes.sql.tables import cursors as cursor_table
from likes.sql.transaction import transact
from likes.sql.urls import url_of
from tests.ledgers import (
    OTHER_SHARD,
    SHARD,
    all_totals,
    another_worker,
    batch,
    cursor,
    everything,
    new_ledger,
    rows,
    start_total,
)
from tests.waiting import wait_until


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return new_ledger(engine)


def apply_together(ledger: Ledger, *batches: Batch) -> dict[int, Counted]:
    """Shard -> what was counted of its chain, by one transaction."""
    chains = [Chain(tuple(one for one in batches if one.id.shard == shard)) for shard in {b.id.shard for b in batches}]
    return {chain.shard: chain.counted for chain in ledger.apply(chains)}


def test_each_is_counted_with_a_cursor_and_a_ledger_row_of_its_own(ledger: Ledger) -> None:
    of_shard, of_other = batch(1, ("a", 3), ("c", 1)), batch(1, ("b", -5), shard=OTHER_SHARD)
    assert apply_together(ledger, of_other, of_shard) == {SHARD: Counted(1, 2, 4), OTHER_SHARD: Counted(1, 1, -5)}
    assert all_totals(ledger) == {"a": 3, "b": -5, "c": 1}
    assert [(cursor(ledger, s).seq, cursor(ledger, s).applied_delta) for s in (SHARD, OTHER_SHARD)] == [(1, 4), (1, -5)]
    payloads = {row.shard: (row.items, row.delta, row.payload) for row in rows(ledger, batches)}
    assert payloads == {SHARD: (2, 4, of_shard.payload), OTHER_SHARD: (1, -5, of_other.payload)}


def test_batches_in_a_row_move_their_cursor_to_the_last(ledger: Ledger) -> None:
    row = [batch(1, ("a", 3)), batch(2, ("a", -1), ("b", 1)), batch(3, ("c", 5))]
    assert apply_together(ledger, *row, batch(1, ("d", 1), shard=OTHER_SHARD)) == {
        SHARD: Counted(3, 4, 8),
        OTHER_SHARD: Counted(1, 1, 1),
    }
    assert all_totals(ledger) == {"a": 2, "b": 1, "c": 5, "d": 1}
    there = cursor(ledger)
    assert (there.seq, there.nonce, there.applied_delta) == (3, "n3", 8)
    recorded = [(row.seq, row.items, row.delta) for row in rows(ledger, batches) if row.shard == SHARD]
    assert sorted(recorded) == [(1, 1, 3), (2, 2, 0), (3, 1, 5)]


ROWS: dict[str, Callable[[], Batch]] = {
    "a gap": lambda: batch(3, ("b", 1), previous="n1"),
    "on top of another nonce": lambda: batch(2, ("b", 1), previous="other"),
    "of another epoch": lambda: batch(2, ("b", 1), epoch="f"),
}


@pytest.mark.parametrize("which", ROWS)
def test_a_row_with_a_break_in_it_is_left_to_each_alone(ledger: Ledger, which: str) -> None:
    before = everything(ledger)
    assert not apply_together(ledger, batch(1, ("a", 1)), ROWS[which]())
    assert everything(ledger) == before


def test_an_item_in_two_shards_is_counted_for_both(ledger: Ledger) -> None:
    """Clients with another number of shards put items elsewhere."""
    both = [batch(1, ("a", 3), ("b", 1)), batch(1, ("b", 10), ("a", -1), shard=OTHER_SHARD)]
    assert apply_together(ledger, *both) == {SHARD: Counted(1, 2, 4), OTHER_SHARD: Counted(1, 2, 9)}
    assert all_totals(ledger) == {"a": 2, "b": 11}


@pytest.mark.parametrize(("largest", "one_more"), [(MAX_DELTA, 1), (MIN_DELTA, -1)])
def test_an_item_whose_deltas_leave_64_bits_together_is_left_to_each_alone(
    ledger: Ledger, largest: int, one_more: int
) -> None:
    both = [batch(1, ("a", largest)), batch(1, ("a", one_more), shard=OTHER_SHARD)]
    assert not apply_together(ledger, *both)


@pytest.mark.parametrize("largest", [MAX_DELTA, MIN_DELTA])
def test_the_largest_deltas_go_with_the_others(ledger: Ledger, largest: int) -> None:
    both = [batch(1, ("a", largest)), batch(1, ("b", 1), shard=OTHER_SHARD)]
    assert apply_together(ledger, *both).keys() == {SHARD, OTHER_SHARD}


NOT_ALL: dict[str, Callable[[], Batch]] = {
    "applied before": lambda: batch(1, ("a", 9)),
    "a gap": lambda: batch(3, ("a", 9)),
    "on top of another nonce": lambda: batch(2, ("a", 9), previous="other"),
    "of another epoch": lambda: batch(2, ("a", 9), epoch="f"),
    "with a misfit": lambda: batch(2, ("a", 9), ("b", b"abc")),
    "refused by the database": lambda: batch(2, ("a", MAX_DELTA)),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("which", NOT_ALL)
def test_one_that_cannot_be_counted_keeps_all_from_being_counted(ledger: Ledger, which: str, first: bool) -> None:
    assert apply_together(ledger, batch(1, ("a", 1)))
    before = everything(ledger)
    together = [NOT_ALL[which](), batch(1, ("b", 1), shard=OTHER_SHARD)]
    assert not apply_together(ledger, *(together if first else together[::-1]))
    assert everything(ledger) == before


@pytest.mark.parametrize("breaks", ["likes_cursors", "likes_totals", "likes_batches"])
def test_an_error_anywhere_in_between_leaves_no_trace(ledger: Ledger, breaks: str) -> None:
    start_total(ledger, "a", 1)
    before = everything(ledger)
    both = [batch(1, ("a", 1)), batch(1, ("b", 1), shard=OTHER_SHARD)]

    def fail(_c: object, _u: object, statement: str, *_: object) -> None:
        if breaks in statement:
            raise RuntimeError("broken from outside")

    event.listen(ledger.engine, "after_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="broken from outside"):
        apply_together(ledger, *both)
    event.remove(ledger.engine, "after_cursor_execute", fail)
    assert everything(ledger) == before
    assert apply_together(ledger, *both) == {SHARD: Counted(1, 1, 1), OTHER_SHARD: Counted(1, 1, 1)}


def test_two_workers_that_have_the_shards_in_different_order(ledger: Ledger) -> None:
    """Each batch is counted once, and nobody waits for a deadlock to be broken up: no transaction is repeated."""
    others = [another_worker(ledger) for _ in range(2)]
    begun: list[object] = []
    for other in others:
        event.listen(other.engine, "begin", begun.append)
    with ThreadPoolExecutor(2) as pool:
        for seq in range(1, 31):
            both = [batch(seq, ("a", 1), ("b", 1)), batch(seq, ("b", 2), ("a", 2), shard=OTHER_SHARD)]
            outcomes = list(
                pool.map(lambda args: apply_together(args[0], *args[1]), zip(others, [both, both[::-1]], strict=True))
            )
            assert sorted(map(bool, outcomes)) == [False, True]
    for other in others:
        other.engine.dispose()
    assert all_totals(ledger) == {"a": 90, "b": 90}
    assert len(begun) == 60


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)  # whose time-outs may be short
def test_a_lock_held_by_another_is_waited_for_once(ledger: Ledger) -> None:
    """Going alone is the next attempt: the other shards need not wait for five."""
    hasty = another_worker(ledger, timeout=0.2)
    begun: list[object] = []
    event.listen(hasty.engine, "begin", begun.append)
    with writing(ledger.engine) as connection:
        cursors.lock(connection, "likes", SHARD)
        assert not apply_together(hasty, batch(1, ("a", 1)), batch(1, ("b", 1), shard=OTHER_SHARD))
    hasty.engine.dispose()
    assert len(begun) == 1
    assert all_totals(ledger) == {}


def note_server(connection: Connection) -> int:
    read = cursors.read_all(connection, "likes").values()
    noted = known_redis.note_server(connection, "likes", read, replid="replid", run_id="run id", durable=0)
    return len(noted.changed)


def take_over(connection: Connection) -> int:
    return known_redis.take_over(connection, "likes", "another")


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)  # which keeps rows in the order they were written
@pytest.mark.parametrize("change", [note_server, take_over])
def test_all_cursors_are_locked_in_the_order_of_a_flush(ledger: Ledger, change: Callable[[Connection], int]) -> None:
    """Or a worker that notes a restart and one that flushes wait for each other."""
    with writing(ledger.engine) as connection:  # its new version stands behind the row of the other shard
        cursors.move(connection, "likes", cursors.lock(connection, "likes", SHARD), datetime.now(UTC))
        connection.exec_driver_sql("ANALYZE likes_cursors")  # so few rows are not looked up by their key
    waiting, probe = (open_engine(url_of(ledger.engine), timeout=10) for _ in range(2))
    with ThreadPoolExecutor(1) as pool, writing(ledger.engine) as connection:
        cursors.lock(connection, "likes", SHARD)
        changing = pool.submit(transact, waiting, change)
        wait_until(lambda: waits_for_a_lock(probe))
        with writing(probe) as other:
            other.execute(select(cursor_table).where(cursor_table.c.shard == OTHER_SHARD).with_for_update(nowait=True))
        connection.rollback()
        assert changing.result(30) == 2
    waiting.dispose()
    probe.dispose()


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)  # whose waiting reader sees no new row
def test_rows_put_back_while_a_worker_waits_for_them_are_the_same_database(ledger: Ledger) -> None:
    waiting, probe = another_worker(ledger), open_engine(url_of(ledger.engine), timeout=10)
    with ThreadPoolExecutor(1) as pool, writing(ledger.engine) as connection:
        (row,) = connection.execute(select(database)).mappings()
        connection.execute(delete(database))
        connection.execute(insert(database), [dict(row)])
        counting = pool.submit(waiting.locked, SHARD, lambda shard: shard.count(batch(1, ("a", 1))))
        wait_until(lambda: waits_for_a_lock(probe))
        connection.commit()
        assert counting.result(30) == Counted(1, 1, 1)
    waiting.engine.dispose()
    probe.dispose()
    assert all_totals(ledger) == {"a": 1}


def waits_for_a_lock(engine: Engine) -> bool:
    with reading(engine) as connection:
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return connection.exec_driver_sql(waits).first() is not None
