"""Histories of two faults, or a fault and an operator: each counted likes twice, lost them in silence, or told twice.

They were found by the models beside this folder, which go through all of them; here each runs on real servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, delete, update

from likes.errors import DatabaseUnavailable, WrongRedis
from likes.reports.audit import Audit, audit
from likes.sql.engine import writing
from likes.sql.tables import batches, cursors
from tests.rig import Rig
from tests.seams import TappedLink
from tests.servers import RedisServer
from tests.stepping import SteppedWorker


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine) as rig:
        yield rig


def die_after(rig: Rig, call: str) -> None:
    """A worker dies just after its first such call."""
    with SteppedWorker(rig) as worker:
        worker.go_until(call).step()


def die_before(rig: Rig, call: str) -> None:
    """A worker dies just before such a call."""
    with SteppedWorker(rig) as worker:
        worker.go_until(call)


def the_audit(rig: Rig) -> Audit:
    return audit(rig.worker.buffer, rig.worker.ledger, 1)


def in_flight(rig: Rig) -> list[int]:
    return [batch.seq for standing in rig.views().values() for batch in standing.in_flight]


def test_redis_goes_back_then_sql_does_with_smaller_batches(rig: Rig) -> None:
    """Batch 1 held them all. Of the branch that is set aside batch 8 looks as if SQL lacked the seven before it."""
    items = dict.fromkeys("abcdefgh", 1)
    rig.flush()
    rig.batch_items = 10
    rig.likes.add(items)
    redis_before = rig.copy_redis()
    with rig.new_worker() as worker:
        worker.flush([0])
    sql_then = rig.copy_sql()
    rig.restore_redis(redis_before)
    rig.batch_items = 1
    with SteppedWorker(rig) as worker:
        while 8 not in in_flight(rig):
            worker.step()
    rig.restore_sql(sql_then)
    for _ in range(3):
        rig.flush()
    assert rig.totals() == items
    assert rig.set_aside() == dict.fromkeys("efgh", 1)
    assert "sql_went_back" not in rig.kinds()


def test_a_cursor_on_another_branch_does_not_catch_up(rig: Rig) -> None:
    """Redis is ahead with nothing in flight, but its batch of the cursor's number is another one than SQL has."""
    for item in "ab":
        rig.likes.like(item)
        rig.flush()
    with writing(rig.engine) as connection:
        connection.execute(update(cursors).values(seq=1, nonce="f" * 32))
    rig.flush()
    assert [row.reason for row in rig.retired().values()] == ["Redis and the database both went back"]
    assert rig.kinds() == ["sql_went_back"]
    rig.likes.like("a")
    rig.flush()
    assert rig.totals() == {"a": 2, "b": 1}


def test_a_database_restored_while_the_shard_is_idle_is_noticed_at_the_next_flush(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 7)
    rig.flush()
    rig.restore_sql(copy)
    rig.flush()
    assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("sql_went_back", 7)]
    assert (rig.cursor().seq, rig.cursor().nonce) == (2, rig.views()[rig.epoch()].nonce)
    rig.likes.like("a", 1)
    rig.flush()
    assert rig.totals() == {"a": 6}
    assert rig.kinds() == ["sql_went_back"]


def test_all_is_accounted_for_once_a_database_that_went_back_has_caught_up(rig: Rig) -> None:
    """The rows of the ledger that are gone are on record."""
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 7)
    rig.flush()
    rig.restore_sql(copy)
    assert not the_audit(rig).ok
    rig.flush()
    assert the_audit(rig).problems == []


def lose(rig: Rig, count: int) -> None:
    """Somebody deletes what is pending."""
    rig.likes.like("lost", count)
    rig.redis.delete(rig.key("delta:likes:lost"))


def lost(rig: Rig) -> dict[str, int]:
    found: dict[str, int] = {}
    for incident in rig.incidents():
        found[incident.kind] = found.get(incident.kind, 0) + (incident.delta or 0)
    return found


def test_a_database_that_went_back_behind_an_incident_of_missing_likes(rig: Rig) -> None:
    """Redis had counted them as sealed: they were in no batch, and what is missing later is told as well."""
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 7)
    lose(rig, 100)
    rig.flush()
    rig.restore_sql(copy)
    rig.flush()
    assert lost(rig) == {"sql_went_back": 7, "deltas_missing": 100}
    lose(rig, 1000)
    rig.flush()
    assert lost(rig) == {"sql_went_back": 7, "deltas_missing": 1100}
    rig.likes.like("a", 1)
    rig.flush()
    assert rig.totals() == {"a": 6}
    assert the_audit(rig).problems == []


def test_a_database_that_went_back_before_redis_knew_what_is_written_off(rig: Rig) -> None:
    """A worker died in between: the incident is there, and counts once."""
    rig.likes.like("a", 5)
    lose(rig, 100)
    die_before(rig, "write_off")
    assert lost(rig) == {"deltas_missing": 100}
    copy = rig.copy_sql()
    rig.likes.like("a", 7)
    die_before(rig, "write_off")
    rig.restore_sql(copy)
    rig.flush()
    assert lost(rig) == {"sql_went_back": 7, "deltas_missing": 100}
    assert the_audit(rig).problems == []


def test_an_operator_lets_another_redis_in_while_a_flush_is_under_way(
    rig: Rig, own_valkey: Callable[..., RedisServer]
) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 2)
    die_after(rig, "hand_off")
    with Rig(own_valkey().url, rig.engine) as moved, SteppedWorker(rig) as old:
        old.go_until("fetch")
        rig.adopt_redis("new")
        with moved.new_worker(redis_name="new") as worker:
            moved.likes.like("a", 100)
            worker.flush([0])
            adopted = moved.epoch()
            moved.likes.like("a", 1000)
            with pytest.raises(WrongRedis, match="belongs to the Redis new"):
                old.finish()
            assert (rig.cursor().redis_name, rig.cursor().epoch) == ("new", adopted)
            worker.flush([0])
    assert rig.totals() == {"a": 1105}
    assert adopted not in rig.retired()


def test_a_database_made_anew_while_a_flush_is_under_way_gets_nothing(rig: Rig) -> None:
    nothing = rig.copy_sql()
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
        rig.restore_sql(nothing)
        rig.worker.ledger.make_database_id()
        with pytest.raises(DatabaseUnavailable, match="made anew"):
            worker.finish()
    assert rig.totals() == {}
    assert in_flight(rig) == [1]


def test_a_batch_that_one_read_does_not_show_is_looked_for_again(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after(rig, "hand_off")
    key = rig.key("batch:1")
    content = rig.redis.dump(key)
    fetched: list[str] = []

    def without_content(call: str, make: Callable[[], Any]) -> Any:
        """As when a replica that is being resynchronised is asked first; whoever is asked afresh has it."""
        if call != "fetch" or fetched:
            return make()
        fetched.append(call)
        rig.redis.delete(key)
        reply = make()
        rig.redis.restore(key, 0, content)
        return reply

    with rig.new_worker(lambda opened: TappedLink(opened, without_content)) as worker:
        worker.flush([0])
    assert rig.totals() == {"a": 5}
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_a_batch_that_is_missing_is_told_once(rig: Rig) -> None:
    rig.likes.like("a", 5)
    die_after(rig, "hand_off")
    rig.redis.delete(rig.key("batch:1"))
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")
    rig.flush()
    assert rig.kinds() == ["batch_missing"]


def test_a_stalled_workers_batch_whose_row_was_pruned_is_let_go(rig: Rig) -> None:
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as stalled:
        stalled.go_until("hand_off").step()
        rig.flush()
        rig.likes.like("a", 1)
        rig.flush()
        with writing(rig.engine) as connection:
            connection.execute(delete(batches).where(batches.c.seq == 1))
        stalled.finish()
    rig.flush()
    assert rig.totals() == {"a": 6}
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_an_epoch_that_returns_after_it_was_drained_is_told_again(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    before = rig.copy_redis()
    rig.flush()
    rig.restore_redis(before)
    with SteppedWorker(rig) as worker:
        while len(rig.epochs()) < 2 or rig.cursor().epoch != rig.epoch():
            worker.step()
        not_yet_drained = rig.copy_redis()
        worker.finish()
    told = len(rig.incidents())
    rig.restore_redis(not_yet_drained)
    rig.flush()
    assert rig.totals() == {"a": 5}
    assert [(letter.seq, letter.delta) for letter in rig.dead_letters()] == [(1, 5), (1, 5)]
    (again,) = rig.incidents()[told:]
    assert "at most one of the two is to be counted" in again.detail


def test_pointer_and_list_of_epochs_are_both_gone(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 100)
    rig.redis.delete("{likes:0}:epoch", "{likes:0}:epochs")
    rig.flush()
    assert rig.totals() == {"a": 105}
    rig.likes.like("a", 1)
    rig.flush()
    assert rig.totals() == {"a": 106}


def test_a_live_total_is_not_exact_where_redis_went_back_to_an_epoch_given_up(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 7)
    with_seven = rig.copy_redis()
    rig.flush()
    rig.restore_redis(with_seven)
    rig.flush()  # which gives that epoch up
    rig.likes.like("a", 1)
    rig.flush()
    rig.restore_redis(with_seven)
    live = rig.likes.live(["a"])["a"]
    assert (live.database, live.exact) == (8, False)
