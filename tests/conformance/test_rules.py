"""What a flush does when Redis or SQL is not as it left it: each rule of the design, each line of its failure table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from sqlalchemy import Engine, delete, update

from likes.batch import FORMAT, Batch, BatchId
from likes.deltas import MAX_DELTA
from likes.errors import DatabaseUnavailable, LikesError, WrongDatabase, WrongRedis
from likes.sql.engine import writing
from likes.sql.tables import metadata, totals
from tests.rig import SLACK, Rig
from tests.seams import TappedLink, tap_statements
from tests.stepping import SteppedWorker


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine) as rig:
        yield rig


def die_after_hand_off(rig: Rig) -> None:
    """Leave what is pending in flight."""
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()


def die_after_apply(rig: Rig) -> None:
    """Leave a batch in flight that SQL has."""
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")


def assert_nothing_happened(rig: Rig) -> None:
    assert rig.kinds() == []
    assert rig.dead_letters() == []
    assert rig.retired() == {}


# Nothing went wrong.


def test_an_ordinary_flush_asks_each_server_no_more_than_it_has_to(rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    rig.likes.add({f"item {n}": 1 for n in range(5)})
    rig.batch_items = 1  # four in a row, then one
    made: list[str] = []
    with SteppedWorker(rig) as worker:
        while worker.at is not None:
            made.append(worker.at)
            worker.step()
    assert made == [
        *("transaction", "transaction", "GET", "INFO CONFIG TIME", "SMEMBERS GET HMGET LLEN LRANGE", "LRANGE"),
        *("hand_off", "hand_off", "hand_off", "hand_off", "transaction", "acknowledge"),
        *("hand_off", "transaction", "acknowledge"),
        *("INFO CONFIG TIME", "transaction"),
    ]


def test_a_flush_ends_with_what_was_pending_at_its_start_whatever_comes_meanwhile(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each batch is left to the rules, as the database refuses an entry of it."""
    settle = rig.worker.recovery.settle

    def settle_while_likes_come(batch: Batch) -> Any:
        rig.likes.like("full")
        return settle(batch)

    rig.likes.like("full", 1)
    rig.flush()
    with writing(rig.engine) as connection:
        connection.execute(update(totals).values(total=MAX_DELTA))
    rig.likes.add({"full": 1, "a": 1})
    monkeypatch.setattr(rig.worker.recovery, "settle", settle_while_likes_come)
    flushed = rig.flush()
    assert (flushed.batches, flushed.items, flushed.dead_letters) == (1, 1, 1)
    assert rig.likes.pending("full") == 1


def test_batches_in_flight_wait_for_the_older_ones(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed out of their order, as none of ours does."""
    monkeypatch.setattr("worker.shard_flush.STEPS", 3)
    rig.flush()
    rig.likes.add({"a": 1, "b": 1})
    rig.batch_items = 1
    with SteppedWorker(rig) as dying:
        dying.go_until("hand_off").step()
        dying.step()  # the other one
    older, later = rig.redis.lrange(rig.key("in_flight"), 0, -1)
    rig.redis.lset(rig.key("in_flight"), 0, later)
    rig.redis.lset(rig.key("in_flight"), 1, older)
    rig.flush()
    assert rig.totals() == {}
    assert rig.redis.lrange(rig.key("in_flight"), 0, -1) == [later, older]
    rig.redis.lset(rig.key("in_flight"), 0, older)
    rig.redis.lset(rig.key("in_flight"), 1, later)
    rig.flush()
    assert rig.totals() == {"a": 1, "b": 1}
    assert_nothing_happened(rig)


@pytest.mark.parametrize("field", ["accepted", "sealed", "acked", "pending_since"])
def test_a_damaged_sum_stops_no_flush(rig: Rig, field: str) -> None:
    rig.likes.like("a")
    rig.flush()
    rig.likes.like("a")
    rig.redis.hset(rig.key("state"), field, "1.5e3")
    rig.flush()
    assert rig.totals() == {"a": 2}


def test_the_first_flush_adopts_the_epoch_in_silence(rig: Rig) -> None:
    rig.likes.add({"a": 2, "b": -1})
    flushed = rig.flush()
    assert (flushed.batches, flushed.items, flushed.delta, flushed.dead_letters) == (1, 2, 1, 0)
    assert rig.totals() == {"a": 2, "b": -1}
    assert rig.cursor().epoch == rig.epoch()
    assert_nothing_happened(rig)


def test_a_first_flush_before_any_client_begins_the_shards(rig: Rig) -> None:
    assert rig.flush().batches == 0
    rig.likes.like("a")
    rig.flush()
    assert rig.totals() == {"a": 1}
    assert_nothing_happened(rig)


def test_an_epoch_goes_on_from_flush_to_flush(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.likes.like("a", number)
        rig.flush()
    rig.flush()
    assert rig.totals() == {"a": 6}
    assert [(batch.epoch, batch.seq, batch.delta) for batch in rig.ledger()] == [
        (rig.epoch(), number, number) for number in (1, 2, 3)
    ]
    assert_nothing_happened(rig)


def test_what_is_pending_goes_in_batches_each_naming_the_one_before(rig: Rig) -> None:
    rig.worker.buffer.batch_items = 3
    rig.likes.add({f"item {n}": n for n in range(1, 9)})
    assert rig.flush().batches == 3
    assert rig.totals() == {f"item {n}": n for n in range(1, 9)}
    (view,) = rig.views().values()
    assert (view.seq, view.pending, view.in_flight) == (3, 0, ())


# A worker died; the next flush goes on. (tests/crash does this at every call.)


def test_a_batch_left_after_the_hand_off_is_counted(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}
    assert_nothing_happened(rig)


def test_a_batch_left_after_the_commit_is_only_acknowledged(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_apply(rig)
    assert rig.totals() == {"a": 5}
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert rig.views()[rig.epoch()].in_flight == ()
    assert_nothing_happened(rig)


# named: a Redis that went back is left behind, with all it remembers.


def test_a_redis_gone_back_is_left_behind_and_counting_goes_on(rig: Rig) -> None:
    rig.likes.like("a", 5)
    copy = rig.copy_redis()
    rig.flush()
    old = rig.epoch()
    rig.restore_redis(copy)
    covered = rig.covered_to()

    flushed = rig.flush()
    assert flushed.dead_letters == 0  # those of flushed batches
    assert rig.totals() == {"a": 5}
    assert rig.set_aside() == {"a": 5}
    assert rig.kinds() == ["redis_went_back", "set_aside"]
    went_back = rig.incidents()[0]
    assert (went_back.shard, went_back.epoch) == (0, old)
    assert covered - SLACK < went_back.exposed_from <= covered < went_back.exposed_to <= datetime.now(UTC) + SLACK

    assert rig.epoch() not in ("", old)
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}
    assert len(rig.incidents()) == 2


def test_an_epoch_left_behind_is_dropped_and_its_sums_are_kept(rig: Rig) -> None:
    rig.likes.add({"a": 5, "b": -2})
    rig.flush()
    rig.likes.add({"a": 1, "c": 7})
    copy = rig.copy_redis()
    rig.likes.add({"a": 10})
    rig.flush()
    old = rig.epoch()
    rig.restore_redis(copy)
    rig.flush()
    assert rig.totals() == {"a": 16, "b": -2, "c": 7}
    assert rig.set_aside() == {"a": 1, "c": 7}
    assert rig.epochs() == {rig.epoch()}
    assert not [key for key in rig.redis.scan_iter() if old.encode() in key]
    retired = rig.retired()[old]
    assert (retired.seq, retired.applied_delta, retired.accepted, retired.sealed) == (2, 21, 11, 11)


def test_a_batch_that_is_no_longer_in_flight_is_not_given_up(rig: Rig) -> None:
    """Another worker acknowledged it, and its row of the ledger was pruned since."""
    rig.likes.like("a", 5)
    rig.flush()
    rig.worker.recovery.give_up_missing(BatchId(0, rig.epoch(), 1, "pruned"))
    assert_nothing_happened(rig)


def test_content_that_is_not_of_the_batch_in_flight_is_not_counted(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    sealed = msgpack.unpackb(rig.redis.get(rig.key("batch:1")), raw=True)
    sealed[4] = b"of another batch"  # its nonce
    rig.redis.set(rig.key("batch:1"), msgpack.packb(sealed))
    rig.flush()
    assert rig.totals() == {}
    assert rig.kinds() == ["batch_missing"]


def test_a_batch_of_a_later_version_is_named_and_left_untouched(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    sealed = msgpack.unpackb(rig.redis.get(rig.key("batch:1")), raw=True)
    rig.redis.set(rig.key("batch:1"), msgpack.packb([FORMAT + 1, *sealed[1:]]))
    before = rig.copy_redis()
    with pytest.raises(LikesError, match=r"batch:1 was sealed by a later version .* update this one"):
        rig.flush()
    assert rig.copy_redis() == before
    rig.redis.set(rig.key("batch:1"), msgpack.packb(sealed))
    rig.flush()
    assert rig.totals() == {"a": 5}


def test_the_sums_of_an_epoch_are_kept_before_its_keys_are_dropped(rig: Rig) -> None:
    rig.likes.like("a", 5)
    copy = rig.copy_redis()
    rig.flush()
    old = rig.epoch()
    rig.restore_redis(copy)
    with SteppedWorker(rig) as dying:
        dying.go_until("drop_epoch")
    assert old in rig.epochs()
    assert (rig.retired()[old].accepted, rig.retired()[old].sealed) == (5, 5)
    rig.flush()
    assert rig.epochs() == {rig.epoch()}
    assert (rig.retired()[old].accepted, rig.retired()[old].sealed) == (5, 5)


def test_a_batch_that_comes_back_with_a_restored_redis_is_recognised(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert_nothing_happened(rig)  # nothing was lost and nothing is in doubt


def test_likes_posted_to_a_redis_gone_back_are_set_aside_not_lost(rig: Rig) -> None:
    rig.likes.like("a", 5)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.likes.like("b", 3)
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert rig.set_aside() == {"a": 5, "b": 3}


# nonce: a number applied before is the same batch only if its nonce is.


def test_a_redis_level_with_the_cursor_but_with_another_batch_went_back(rig: Rig) -> None:
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as stalled:
        stalled.go_until("hand_off")
        copy = rig.copy_redis()
        rig.flush()
        rig.restore_redis(copy)
        stalled.step()  # the same number again, with a nonce of its own
    assert [batch.seq for batch in rig.views()[rig.epoch()].in_flight] == [1]
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert rig.set_aside() == {"a": 5}
    assert rig.kinds() == ["set_aside"]
    rig.likes.like("a")
    rig.flush()
    assert rig.totals() == {"a": 6}


def test_a_redis_level_with_another_nonce_and_nothing_in_flight_went_back(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.redis.hset(rig.key("state"), "nonce", "f" * 32)
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert rig.set_aside() == {"a": 2}
    assert rig.kinds() == ["redis_went_back", "set_aside"]


def test_an_epoch_given_up_with_many_batches_is_one_incident(rig: Rig) -> None:
    likes = {f"item {n}": n for n in range(1, 10)}
    rig.likes.add(likes)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.worker.buffer.batch_items = 1
    rig.flush()
    assert rig.set_aside() == likes
    assert len({letter.seq for letter in rig.dead_letters()}) == len(likes)
    assert rig.kinds() == ["redis_went_back", "set_aside"]


# chain: a batch is applied only on top of the one it names.


def test_a_batch_on_top_of_another_batch_of_that_number_is_set_aside(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    redis_before, sql_before = rig.copy_redis(), rig.copy_sql()
    rig.flush()
    sql_with_the_first = rig.copy_sql()
    rig.restore_redis(redis_before)
    rig.restore_sql(sql_before)
    rig.flush()  # batch 1 again, with another nonce
    rig.likes.like("b", 3)
    die_after_hand_off(rig)  # batch 2 on top of that
    rig.restore_sql(sql_with_the_first)
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert rig.set_aside() == {"b": 3}


# order: SQL's cursor is read before Redis's state.


def test_a_worker_paused_between_sql_and_redis_raises_no_false_alarm(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as slow:
        slow.go_until("SMEMBERS GET HMGET LLEN LRANGE")  # it has read the cursor
        rig.flush()
        rig.likes.like("a", 1)
        slow.finish()
    assert rig.totals() == {"a": 11}
    assert_nothing_happened(rig)


def test_the_master_is_asked_only_once_the_cursor_is_locked(rig: Rig) -> None:
    """Asked before, it may have gone on while the lock was waited for, and look as if it had gone back."""
    calls: list[str] = []

    def note(call: str, make: Callable[[], Any]) -> Any:
        calls.append(call)
        return make()

    rig.likes.like("a", 5)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    with rig.new_worker(lambda link: TappedLink(link, note), lambda engine: tap_statements(engine, note)) as worker:
        worker.flush()
    transactions = "\n".join(calls).split("COMMIT")
    asking = [text for text in transactions if "confirm" in text and "FROM likes_cursors" in text]
    assert len(asking) == 3  # retiring the epoch, adopting the fresh one, setting aside what was left behind
    for text in asking:
        assert text.index("FROM likes_cursors") < text.index("confirm")


# retired: an epoch given up is never applied from or adopted again.


def test_an_epoch_given_up_is_not_applied_from_when_redis_comes_back_to_it(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    rig.likes.like("b", 2)
    copy = rig.copy_redis()
    given_up = rig.epoch()
    rig.redis.flushall()
    rig.likes.like("c")
    rig.flush()
    assert rig.totals() == {"c": 1}

    rig.restore_redis(copy)
    rig.flush()
    assert rig.totals() == {"c": 1}
    assert rig.set_aside() == {"a": 5, "b": 2}
    assert given_up in rig.retired()
    assert rig.epoch() not in rig.retired()
    rig.likes.like("c")
    rig.flush()
    assert rig.totals() == {"c": 2}


def test_a_batch_held_while_its_epoch_was_given_up_is_set_aside(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("b", 2)
    with SteppedWorker(rig) as stalled:
        stalled.go_until("hand_off").step()
        rig.redis.flushall()
        rig.likes.like("c")
        rig.flush()
        stalled.finish()
    assert rig.totals() == {"a": 5, "c": 1}
    assert rig.set_aside() == {"b": 2}
    rig.flush()
    assert rig.totals() == {"a": 5, "c": 1}


def test_an_epoch_given_up_is_not_adopted_by_a_worker_that_read_it_before(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    read, epoch = rig.cursor(), rig.epoch()  # all that a slow worker knows when it is about to adopt the epoch
    copy = rig.copy_redis()
    rig.flush()
    assert rig.totals() == {"a": 5}
    rig.restore_redis(copy)
    with SteppedWorker(rig) as dying:
        dying.go_until("begin_epoch")
    assert epoch in rig.retired()
    assert (rig.epoch(), rig.cursor().epoch) == (epoch, read.epoch)

    rig.worker.recovery.adopt(read, epoch)
    assert rig.cursor().epoch is None
    rig.flush()
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}
    assert rig.set_aside() == {"a": 5}


def test_an_epoch_that_sql_has_never_seen_and_redis_has_left_is_set_aside(rig: Rig) -> None:
    rig.likes.like("a", 5)
    left = rig.epoch()
    rig.redis.delete("{likes:0}:epoch")
    rig.likes.like("b", 2)
    rig.flush()
    assert rig.totals() == {"b": 2}
    assert rig.set_aside() == {"a": 5}
    assert rig.retired()[left].reason == "left behind"
    assert rig.epochs() == {rig.epoch()} != {left}


def test_an_epoch_that_redis_points_at_again_is_not_retired_as_left_behind(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    rig.worker.recovery.retire(0, rig.epoch())  # by a worker that saw another one current
    assert rig.retired() == {}
    rig.flush()
    assert rig.totals() == {"a": 5}


def test_an_epoch_that_another_worker_adopted_meanwhile_is_not_adopted_again(rig: Rig) -> None:
    """The cursor would begin anew, and the next batch would seem to be one that SQL has lost."""
    rig.flush()
    rig.likes.like("a", 5)
    read, epoch = rig.cursor(), rig.epoch()
    rig.flush()
    before = rig.cursor()
    assert (before.epoch, before.seq) == (epoch, 1)
    rig.worker.recovery.adopt(read, epoch)
    assert rig.cursor() == before
    assert_nothing_happened(rig)


# Redis was emptied or replaced.


def test_an_emptied_redis_is_adopted_with_an_incident(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    old, covered = rig.epoch(), rig.covered_to()
    rig.likes.like("a", 100)  # lost
    rig.redis.flushall()
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}
    assert rig.kinds() == ["redis_replaced"]
    (incident,) = rig.incidents()
    assert covered - SLACK < incident.exposed_from <= covered < incident.exposed_to <= datetime.now(UTC) + SLACK
    assert rig.retired()[old].applied_delta == 5


def test_an_emptied_redis_that_no_client_has_written_to_is_noticed(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.redis.flushall()
    rig.flush()
    assert rig.kinds() == ["redis_replaced"]
    rig.flush()
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}
    assert rig.kinds() == ["redis_replaced"]


def test_a_redis_emptied_while_a_worker_held_a_batch_counts_it(rig: Rig) -> None:
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
        rig.redis.flushall()
        worker.finish()
    assert rig.totals() == {"a": 5}
    rig.likes.like("a", 2)
    rig.flush()
    assert rig.totals() == {"a": 7}


def test_a_redis_with_a_history_joins_a_new_database(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    with writing(rig.engine) as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))
    rig.likes.like("a", 2)
    with pytest.raises(DatabaseUnavailable, match="is it being restored"):
        rig.flush()
    with rig.new_worker() as another, pytest.raises(WrongDatabase, match="likes adopt --database"):
        another.flush([0])
    rig.adopt_database()
    rig.flush()
    assert rig.totals() == {"a": 2}
    assert rig.kinds() == ["redis_replaced", "sql_went_back"]
    assert rig.incidents()[1].delta == 5
    rig.likes.like("a", 1)
    rig.flush()
    assert rig.totals() == {"a": 3}


# Single keys are gone.


def test_a_lost_pointer_costs_nothing_when_a_worker_notices(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 2)
    rig.redis.delete("{likes:0}:epoch")
    rig.flush()
    assert rig.totals() == {"a": 7}
    rig.likes.like("a")
    rig.flush()
    assert rig.totals() == {"a": 8}
    assert rig.dead_letters() == []
    assert rig.epochs() == {rig.epoch()}


def test_a_lost_pointer_costs_nothing_when_a_client_notices(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 2)
    rig.redis.delete("{likes:0}:epoch")
    rig.likes.like("a", 10)
    rig.flush()
    assert rig.totals() == {"a": 17}
    assert rig.dead_letters() == []
    assert rig.epochs() == {rig.epoch()}


def test_a_batch_in_flight_that_is_gone_is_an_incident_and_no_standstill(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_hand_off(rig)
    rig.likes.like("b", 2)
    rig.redis.delete(rig.key("batch:1"))
    rig.flush()
    assert rig.kinds()[0] == "batch_missing"
    assert rig.totals() == {}
    assert rig.set_aside() == {"b": 2}
    rig.likes.like("a")
    rig.flush()
    assert rig.totals() == {"a": 1}


def test_a_batch_in_flight_that_is_gone_but_counted_is_no_incident(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after_apply(rig)
    rig.redis.delete(rig.key("batch:1"))
    rig.likes.like("b", 2)
    rig.flush()
    assert rig.totals() == {"a": 5, "b": 2}
    assert_nothing_happened(rig)


def test_an_entry_that_is_no_delta_is_set_aside_alone(rig: Rig) -> None:
    rig.likes.add({"a": 1, "b": 2, "c": 3, "d": 4})
    rig.redis.set(rig.key("delta:likes:b"), "abc")
    rig.redis.set(rig.key("delta:likes:c"), "1.5")
    rig.redis.delete(rig.key("delta:likes:d"))
    rig.redis.rpush(rig.key("delta:likes:d"), "x")
    flushed = rig.flush()
    assert (flushed.items, flushed.delta, flushed.dead_letters) == (1, 1, 3)
    assert rig.totals() == {"a": 1}
    letters = {letter.item: letter for letter in rig.dead_letters()}
    assert (letters["b"].delta, letters["b"].raw) == (None, b"abc")
    assert (letters["c"].delta, letters["c"].raw) == (None, b"1.5")
    assert letters["d"].raw and "WRONGTYPE" in letters["d"].reason
    rig.likes.add({"b": 2, "c": 3, "d": 4})
    rig.flush()
    assert rig.totals() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("deltas_missing", 2 + 3 + 4)]


# SQL was restored from an older copy.


def test_a_restored_database_goes_on_and_says_what_is_missing(rig: Rig) -> None:
    rig.likes.like("a", 1)
    rig.flush()
    copy = rig.copy_sql()
    for number in (10, 20):
        rig.likes.like("a", number)
        rig.flush()
    rig.restore_sql(copy)
    rig.likes.like("a", 300)
    rig.flush()
    assert rig.totals() == {"a": 301}
    (incident,) = rig.incidents()
    assert (incident.kind, incident.delta) == ("sql_went_back", 30)
    assert "batches 2 to 3" in incident.detail
    rig.likes.like("a", 4000)
    rig.flush()
    assert rig.totals() == {"a": 4301}
    assert len(rig.incidents()) == 1


def test_a_batch_in_flight_while_the_database_was_restored_is_counted_once(rig: Rig) -> None:
    rig.likes.like("a", 1)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 10)
    rig.flush()
    rig.likes.like("a", 200)
    die_after_apply(rig)
    rig.restore_sql(copy)
    rig.flush()
    assert rig.totals() == {"a": 201}
    assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("sql_went_back", 10)]


def test_a_database_restored_to_just_before_the_batch_in_flight_has_lost_nothing(rig: Rig) -> None:
    rig.likes.like("a", 1)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 10)
    die_after_apply(rig)
    rig.restore_sql(copy)
    rig.flush()
    assert rig.totals() == {"a": 11}
    assert_nothing_happened(rig)


def test_redis_and_sql_restored_to_one_moment_lose_nothing_more(rig: Rig) -> None:
    rig.likes.like("a", 1)
    rig.flush()
    rig.likes.like("a", 10)
    redis_copy, sql_copy = rig.copy_redis(), rig.copy_sql()
    rig.likes.like("a", 100)
    rig.flush()
    rig.restore_redis(redis_copy)
    rig.restore_sql(sql_copy)
    rig.flush()
    assert rig.totals() == {"a": 11}
    assert_nothing_happened(rig)


# Only the Redis the database knows.


def test_another_redis_is_refused_before_anything_is_touched(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 2)
    redis_before, sql_before = rig.copy_redis(), rig.copy_sql()
    with rig.new_worker(redis_name="laptop") as worker, pytest.raises(WrongRedis, match="likes adopt") as refused:
        worker.flush()
    assert "laptop" in str(refused.value)
    assert (rig.copy_redis(), rig.copy_sql()) == (redis_before, sql_before)
    rig.flush()
    assert rig.totals() == {"a": 7}


def test_two_namespaces_add_into_one_database(rig: Rig, valkey_url: str) -> None:
    with Rig(valkey_url, rig.engine, prefix="europe") as europe:
        rig.likes.like("a", 1)
        europe.likes.like("a", 10)
        rig.flush()
        europe.flush()
        europe.flush()
        rig.flush()
        assert rig.totals() == {"a": 11}
        europe.redis.delete("{europe:0}:epoch", "{europe:0}:epochs")
        europe.likes.like("a", 100)
        europe.flush()
        assert rig.totals() == {"a": 111}
    assert {incident.namespace for incident in rig.incidents()} == {"europe"}
