"""What a flush vouches for: nothing that vanished while it looked, and nothing that another worker has not counted yet.

Else the window of the incident would begin after some of the likes that are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.buffer.calls import Call
from likes.buffer.links.link import Link
from likes.errors import LikesError
from likes.items import shard_of
from tests.rig import SLACK, RedisCopy, Rig
from tests.servers import RedisServer
from tests.stepping import SteppedWorker

CALLS_OF_A_LOOK, CALLS_WITHOUT_AN_EPOCH = 7, 4


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


@pytest.fixture
def covered(rig: Rig) -> datetime:
    """What the flush before vouched for; since then 5 are pending."""
    rig.likes.like("a")
    rig.flush()
    covered = rig.covered_to()
    rig.likes.like("a", 5)
    return covered


@pytest.fixture
def two_shards(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    """Likes of shard 0 were flushed; of shard 1 none yet, but it was claimed."""
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        rig.likes.like(item_of(0))
        rig.flush()
        yield rig


def item_of(shard: int) -> str:
    return next(item for item in "abcdefgh" if shard_of(item.encode(), 2) == shard)


def assert_all_that_is_lost_is_exposed(rig: Rig, covered: datetime) -> None:
    rig.flush()
    (incident,) = rig.incidents()
    assert covered - SLACK < incident.exposed_from <= covered


def test_what_is_lost_before_the_first_flush_of_a_shard_is_told(rig: Rig) -> None:
    """The database has never heard of its epoch; but the shard was claimed, and no longer is."""
    rig.flush()
    covered = rig.covered_to()
    rig.likes.like("a", 5)
    rig.redis.flushall()
    rig.flush()
    (incident,) = rig.incidents()
    assert (rig.totals(), incident.kind, incident.shard) == ({}, "redis_replaced", None)
    assert incident.exposed_from <= covered
    rig.likes.like("a")
    rig.flush()
    assert (rig.totals(), rig.kinds()) == ({"a": 1}, ["redis_replaced"])


@pytest.mark.parametrize("call", ["transaction", "claim", None])
@pytest.mark.parametrize("others_call", ["SREM GET", "transaction", "claim"])
def test_it_is_told_once_by_workers_that_notice_it_at_once_or_die(rig: Rig, call: str | None, others_call: str) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    rig.redis.flushall()
    with SteppedWorker(rig) as worker, SteppedWorker(rig) as other:
        other.go_until(others_call)
        worker.go_until("transaction").go_until(call)
        other.finish()
    rig.flush()
    assert rig.kinds() == ["redis_replaced"]


def test_each_time_that_it_is_emptied_is_told(rig: Rig) -> None:
    for times in range(1, 4):
        rig.flush()
        rig.redis.flushall()
        rig.flush()
        assert rig.kinds() == ["redis_replaced"] * times


def test_a_damaged_key_beside_keeps_only_its_shard_back(two_shards: Rig) -> None:
    two_shards.likes.like(item_of(0), 5)
    two_shards.redis.flushall()
    two_shards.redis.hset("{likes:1}:epochs", "x", "y")
    two_shards.likes.like(item_of(0), 7)
    with pytest.raises(LikesError, match=r"the key \{likes:1\}:epochs holds another type"):
        two_shards.flush()
    assert two_shards.totals() == {item_of(0): 8}


def test_it_is_told_though_sessions_are_swept_before_the_next_flush(rig: Rig) -> None:
    rig.flush()
    rig.likes.like("a", 5)
    rig.redis.flushall()
    rig.sweep().run()
    assert rig.owners() == {0: ""}
    rig.flush()
    rig.sweep().run()
    assert rig.kinds() == ["redis_replaced"]


def test_a_replica_that_has_copied_nothing_yet_is_no_emptied_redis(
    two_shards: Rig, own_valkey: Callable[..., RedisServer]
) -> None:
    replica = own_valkey("--replicaof", "127.0.0.1", "1")
    with (
        Rig(replica.url, two_shards.engine, shards=2) as astray,
        pytest.raises(LikesError, match="read only replica"),
    ):
        astray.flush()
    two_shards.flush()
    assert two_shards.kinds() == []


def emptied(rig: Rig, _: RedisCopy) -> None:
    rig.redis.flushall()


def put_back(rig: Rig, copy: RedisCopy) -> None:
    rig.restore_redis(copy)


@pytest.mark.parametrize("forgets", [emptied, put_back])
def test_workers_that_are_led_to_another_redis_cover_nothing_there(
    rig: Rig, own_valkey: Callable[..., RedisServer], covered: datetime, forgets: Callable[[Rig, RedisCopy], None]
) -> None:
    """Clients go on with the right one, which loses its memory before the workers are back."""
    copy = rig.copy_redis()
    with Rig(own_valkey().url, rig.engine) as astray:
        astray.flush()
        rig.likes.like("a", 5)
        lost_at = rig.redis_now()
        astray.flush()
    assert rig.covered_to() == covered
    forgets(rig, copy)
    rig.flush()
    assert any(one.exposed_from <= covered and lost_at <= one.exposed_to for one in rig.incidents())
    rig.likes.like("a")
    rig.flush()
    assert rig.covered_to() > lost_at


class EmptiedInTheMiddle:
    """A link to a Redis that is emptied once, after so many of the calls with which a flush looks at a shard."""

    def __init__(self, link: Link, rig: Rig, after: int) -> None:
        self.link, self.where = link, link.where
        self.rig, self.after = rig, after

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        if self.after < 0 or "SMEMBERS" not in [call.words[0] for call in calls]:
            return self.link.send(calls)
        assert len(calls) == CALLS_OF_A_LOOK + CALLS_WITHOUT_AN_EPOCH * (self.rig.shards - 1)
        after, self.after = self.after, -1
        replies = self.link.send(calls[:after])
        self.rig.redis.flushall()
        return replies + self.link.send(calls[after:])

    def by_node(self, keys: Mapping[int, bytes]) -> Mapping[str, Collection[int]]:
        return self.link.by_node(keys)

    def close(self) -> None:
        self.link.close()


@pytest.mark.parametrize("after", range(CALLS_OF_A_LOOK + 1))
def test_what_vanishes_while_a_flush_looks_is_not_covered(rig: Rig, covered: datetime, after: int) -> None:
    with rig.new_worker(partial(EmptiedInTheMiddle, rig=rig, after=after)) as worker, suppress(LikesError):
        worker.flush([0])
    assert_all_that_is_lost_is_exposed(rig, covered)


@pytest.mark.parametrize("after", range(CALLS_OF_A_LOOK + CALLS_WITHOUT_AN_EPOCH + 1))
def test_what_vanishes_of_a_new_shard_while_a_flush_looks_is_not_covered(two_shards: Rig, after: int) -> None:
    covered = two_shards.covered_to()
    two_shards.likes.like(item_of(1), 5)
    empties = partial(EmptiedInTheMiddle, rig=two_shards, after=after)
    with two_shards.new_worker(empties) as worker, suppress(LikesError):
        worker.flush([0, 1])
    two_shards.flush()
    assert any(one.shard in (None, 1) and one.exposed_from <= covered for one in two_shards.incidents())


def test_what_vanishes_before_it_is_handed_off_is_not_covered(rig: Rig, covered: datetime) -> None:
    with SteppedWorker(rig) as worker:
        worker.go_until("LRANGE")
        rig.redis.flushall()
        with pytest.raises(LikesError, match="was Redis emptied"):
            worker.finish()
    assert_all_that_is_lost_is_exposed(rig, covered)


def test_what_another_worker_takes_away_is_not_covered_before_sql_has_it(rig: Rig, covered: datetime) -> None:
    """It is in flight only, and its worker is dead."""
    with SteppedWorker(rig) as worker:
        worker.go_until("LRANGE")
        with SteppedWorker(rig) as other:
            other.go_until("hand_off").step()
        worker.finish()
    assert rig.totals() == {"a": 6}
    assert rig.covered_to() > covered
