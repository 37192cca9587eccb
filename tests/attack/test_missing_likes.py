"""Likes that were accepted and are neither sealed nor pending, as keys are gone: found again, or written off once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, update

from likes.buffer.tally import take_tally
from likes.sql.engine import writing
from likes.sql.tables import cursors, incidents
from tests.live_shards import FIRST, HERE, LiveShards, calls_of, delete, made_by, make_another_type, put_in_order
from tests.rig import Rig
from tests.stepping import SteppedWorker


@pytest.fixture
def live(valkey_url: str, sqlite_engine: Engine) -> Iterator[LiveShards]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield LiveShards(rig, valkey_url)


def make_no_number(live: LiveShards, name: str) -> None:
    live.rig.redis.set(live.key(name), "x")


def test_entries_of_pending_that_are_gone_are_found_again_at_the_next_flush(live: LiveShards) -> None:
    delete(live, "pending")
    live.rig.likes.like(FIRST)  # which begins no entry, as its delta is there
    live.accepted[FIRST] += 1
    live.flush()
    assert live.rig.totals() == live.accepted
    assert live.rig.kinds() == []
    assert live.audit() == ""


@pytest.mark.parametrize("damage", [delete, make_another_type, make_no_number])
def test_a_delta_that_is_gone_is_written_off(live: LiveShards, damage: Callable[[LiveShards, str], None]) -> None:
    damage(live, f"delta:likes:{FIRST}")
    assert live.audit() != ""
    live.flush()
    assert live.lost() == {"deltas_missing": 300}
    assert live.audit() == ""
    with writing(live.rig.engine) as connection:
        connection.execute(update(incidents).values(resolved_at=datetime.now(UTC)))
    put_in_order(live)
    assert live.lost() == {"deltas_missing": 300}


@pytest.mark.parametrize("field", ["acked", "pending_since"])
def test_a_field_that_is_no_sum_keeps_nothing_from_being_found(live: LiveShards, field: str) -> None:
    delete(live, "pending")
    delete(live, f"delta:likes:{FIRST}")
    live.rig.redis.hset(live.rig.key("state"), field, "x")
    live.flush()
    assert live.lost() == {"deltas_missing": 300}
    live.check()


def test_what_was_lost_in_several_ways_and_times(live: LiveShards) -> None:
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    live.flush()
    live.like(4000)
    live.rig.redis.lrem(live.key("pending"), 1, f"likes:{HERE[1]}")
    live.rig.redis.delete(live.key(f"delta:likes:{HERE[2]}"))
    live.flush()
    live.rig.redis.incrby(live.key(f"delta:likes:{HERE[3]}"), 7)  # nobody was asked
    live.rig.redis.rpush(live.key("pending"), f"likes:{HERE[3]}")
    live.flush()
    assert [incident.delta for incident in live.rig.incidents()] == [300, 4000, -7]
    assert live.audit() == ""
    assert live.rig.totals()[HERE[1]] == live.accepted[HERE[1]]


def test_it_is_recorded_once_whenever_a_worker_dies(live: LiveShards) -> None:
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    with SteppedWorker(live.rig) as worker:
        worker.go_until("write_off")
    assert live.lost() == {"deltas_missing": 300}
    assert live.audit() != ""
    live.rig.redis.delete(live.key(f"delta:likes:{HERE[1]}"))
    live.like(1)
    live.rig.redis.delete(live.key(f"delta:likes:{HERE[1]}"))
    put_in_order(live)
    assert [incident.delta for incident in live.rig.incidents()] == [300, 1]


def test_what_was_not_searched_for_is_not_written_off(live: LiveShards) -> None:
    live.flush()
    live.like(5)
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    with SteppedWorker(live.rig) as worker:
        worker.go_until("SCAN").go_until("transaction")
        live.like(60)
        live.rig.redis.lrem(live.key("pending"), 1, f"likes:{HERE[1]}")
        worker.finish()
    assert live.lost() == {}
    put_in_order(live)
    assert live.lost() == {"deltas_missing": 5}
    assert live.rig.totals()[HERE[1]] == live.accepted[HERE[1]]


def test_an_entry_pushed_twice_is_one_delta(live: LiveShards) -> None:
    live.flush()
    live.like(5)
    live.rig.redis.rpush(live.key("pending"), f"likes:{FIRST}")
    tally = take_tally(live.rig.worker.buffer, {0: live.rig.epoch()})[0]
    assert (tally.pending, tally.missing) == (5 * len(HERE), 0)


def test_two_workers_record_it_once(live: LiveShards) -> None:
    live.flush()
    live.like(5)
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    with SteppedWorker(live.rig) as one, SteppedWorker(live.rig) as other:
        for worker in (one, other):
            worker.go_until("tally")
        one.finish()
        other.finish()
    assert live.lost() == {"deltas_missing": 5}
    assert live.audit() == ""


def test_one_search_for_each_new_difference_and_none_when_all_is_well(live: LiveShards) -> None:
    assert calls_of(live, live.flush).isdisjoint({"SCAN", "tally"})
    idle = ["GET", "INFO CONFIG TIME", "SMEMBERS GET HMGET LLEN LRANGE", "INFO CONFIG TIME"]
    assert [call for call in made_by(live) if call != "transaction"] == idle
    with writing(live.rig.engine) as connection:  # what was sealed seems to be less than what was counted
        connection.execute(
            update(cursors).where(cursors.c.shard == 0).values(applied_delta=cursors.c.applied_delta + 1)
        )
    live.like(5)
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    assert ["SCAN" in calls_of(live, live.flush) for _ in range(3)] == [True, False, False]
    assert live.lost() == {}  # an audit says why
    live.like(5)
    live.rig.redis.delete(live.key(f"delta:likes:{FIRST}"))
    assert ["SCAN" in calls_of(live, live.flush) for _ in range(2)] == [True, False]


def test_likes_that_come_in_meanwhile_are_not_missing(live: LiveShards) -> None:
    with SteppedWorker(live.rig) as worker:
        while worker.at is not None:
            live.rig.likes.add(dict.fromkeys(HERE, 1))
            live.accepted = {item: before + (item in HERE) for item, before in live.accepted.items()}
            worker.step()
    put_in_order(live)
    assert live.rig.kinds() == []
    assert live.rig.totals() == live.accepted
