"""What is pruned, and what must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from likes import LikeCounter
from likes.buffer import producers as buffer_producers
from likes.buffer.buffer import BATCHES_IN_A_ROW
from likes.buffer.keys import epoch_keys
from likes.buffer.links.link import ask
from likes.buffer.producers import SilentProducers
from likes.buffer.scripts import prune_producers
from likes.posting.producer import MEMORY_SECONDS
from likes.sql import retention
from likes.sql.engine import writing
from likes.sql.retention import prune_ledger
from likes.sql.tables import batches
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.seams import TappedLink
from tests.stepping import SteppedWorker
from worker.housekeeping import EVERY_SECONDS, Housekeeping

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=40)
CUTOFF = NOW - timedelta(days=30)


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=2) as rig:
        yield rig


def make_old(rig: Rig, *, up_to_seq: int) -> None:
    with writing(rig.engine) as connection:
        connection.execute(update(batches).where(batches.c.seq <= up_to_seq).values(applied_at=LONG_AGO))


def prune(rig: Rig, *, seconds: float = 30) -> int:
    return prune_ledger(rig.engine, rig.prefix, CUTOFF, newest=BATCHES_IN_A_ROW, seconds=seconds)


def rows(rig: Rig) -> set[tuple[int, int]]:
    return {(row.shard, row.seq) for row in rig.ledger()}


def flush_seven_times(rig: Rig) -> None:
    for _ in range(7):
        rig.likes.add({f"item {n}": 1 for n in range(20)})
        rig.flush()
    assert rows(rig) == in_both_shards(1, 2, 3, 4, 5, 6, 7)


def in_both_shards(*numbers: int) -> set[tuple[int, int]]:
    return {(shard, number) for shard in (0, 1) for number in numbers}


def test_rows_older_than_the_retention_go(rig: Rig) -> None:
    flush_seven_times(rig)
    make_old(rig, up_to_seq=2)
    assert prune(rig) == 4
    assert rows(rig) == in_both_shards(3, 4, 5, 6, 7)
    assert prune(rig) == 0


def test_the_newest_rows_of_an_epoch_stay_however_old_they_are(rig: Rig) -> None:
    flush_seven_times(rig)
    make_old(rig, up_to_seq=7)
    prune(rig)
    assert rows(rig) == in_both_shards(4, 5, 6, 7)
    rig.redis.flushall()
    rig.likes.add({f"item {n}": 1 for n in range(20)})
    rig.flush()
    make_old(rig, up_to_seq=7)
    assert prune(rig) == 0
    assert rows(rig) == in_both_shards(1, 4, 5, 6, 7)


def test_batches_applied_and_still_in_flight_are_known_after_pruning(rig: Rig) -> None:
    """Or likes that were counted would be set aside as if they were not."""
    rig.batch_items = 1
    likes = {f"item {n}": 1 for n in range(20)}
    rig.likes.add(likes)
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")
    make_old(rig, up_to_seq=100)
    prune(rig)
    rig.flush()
    assert rig.totals() == likes
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_rows_of_another_namespace_stay(rig: Rig, valkey_url: str, engine: Engine) -> None:
    flush_seven_times(rig)
    make_old(rig, up_to_seq=2)
    with Rig(valkey_url, engine, prefix="others") as other:
        assert prune(other) == 0


def test_it_deletes_chunk_by_chunk_until_its_time_is_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    flush_seven_times(rig)
    make_old(rig, up_to_seq=7)
    assert prune(rig, seconds=0) == 0
    assert prune(rig) == 6
    assert rows(rig) == in_both_shards(4, 5, 6, 7)


def test_flushing_goes_on_after_pruning(rig: Rig) -> None:
    flush_seven_times(rig)
    make_old(rig, up_to_seq=7)
    prune(rig)
    rig.likes.like("item 1")
    rig.flush()
    assert rig.totals()["item 1"] == 8
    assert rig.kinds() == []


def producers(rig: Rig) -> int:
    return sum(rig.redis.hlen(rig.key("producers", shard)) for shard in (0, 1))


class Silence:
    """Forgets silent producers, by a clock that the test turns."""

    def __init__(self, rig: Rig) -> None:
        rig.flush()  # which claims the shards
        self.now = 0.0
        self.producers = SilentProducers(rig.worker.buffer, MEMORY_SECONDS, clock=lambda: self.now)

    def forget(self, *, after: float = 0.0) -> int:
        self.now += after
        return self.producers.forget([0, 1])


def post(rig: Rig, valkey_url: str) -> None:
    """As a process of its own would: as another producer."""
    with LikeCounter(redis_url=valkey_url, database_url=url_of(rig.engine), shards=2) as likes:
        likes.add({f"item {n}": 1 for n in range(20)})


def test_producers_that_stand_unchanged_for_long_are_forgotten_and_others_are_not(rig: Rig, valkey_url: str) -> None:
    silence = Silence(rig)
    for _ in range(5):
        post(rig, valkey_url)
    rig.likes.add({f"item {n}": 1 for n in range(20)})
    assert silence.forget() == 0
    assert silence.forget(after=MEMORY_SECONDS - 1) == 0
    rig.likes.add({f"item {n}": 1 for n in range(20)})  # speaks up
    assert silence.forget(after=1) == 10
    assert producers(rig) == 2
    assert silence.forget(after=MEMORY_SECONDS - 1) == 0
    assert silence.forget(after=1) == 2
    assert producers(rig) == 0


def test_a_producer_that_speaks_up_while_it_is_forgotten_is_kept(rig: Rig, valkey_url: str) -> None:
    post(rig, valkey_url)
    keys = epoch_keys("likes", 0, rig.epoch(0))
    owner = rig.worker.buffer.ownership.database
    ((name, record),) = rig.redis.hgetall(keys.producers).items()
    rig.redis.hset(keys.producers, name, b"1000")
    assert ask(rig.worker.buffer.link, [prune_producers(keys, {name: record}, owner)]) == [0]
    assert producers(rig) == 2


def test_silence_under_another_epoch_does_not_count(rig: Rig, valkey_url: str) -> None:
    """A copy of an old epoch may bring back just the record that was seen under it."""
    post(rig, valkey_url)
    silence = Silence(rig)
    silence.forget()
    record = rig.redis.hgetall(rig.key("producers"))
    rig.worker.buffer.begin_epoch(0, old=rig.epoch(0), shards=1)
    rig.redis.hset(rig.key("producers"), mapping=record)
    assert silence.forget(after=MEMORY_SECONDS) == 1  # that of the other shard
    assert producers(rig) == 1


def test_a_clock_of_redis_that_is_set_forgets_nobody(rig: Rig) -> None:
    """No moment is kept with a producer, so there is none to go wrong."""
    silence = Silence(rig)
    silence.forget()
    rig.likes.add({f"item {n}": 1 for n in range(20)})
    for shard in (0, 1):
        for record in rig.redis.hvals(rig.key("producers", shard)):
            assert record == b"%d" % (1 + shard)
    assert silence.forget(after=100 * MEMORY_SECONDS) == 0
    assert producers(rig) == 2


def test_a_like_between_two_looks_keeps_its_producer(rig: Rig) -> None:
    """Or a resend of it would count twice. It comes when the second look is over, and nothing is forgotten yet."""
    silence = Silence(rig)
    rig.likes.like("item 1")
    silence.forget()
    link = rig.worker.buffer.link

    def like_before_pruning(call: str, make: Callable[[], Any]) -> Any:
        if call == "prune_producers":
            rig.likes.like("item 1")
        return make()

    rig.worker.buffer.link = TappedLink(link, like_before_pruning)
    assert silence.forget(after=MEMORY_SECONDS) == 0
    rig.worker.buffer.link = link
    assert producers(rig) == 1


def test_many_producers_are_forgotten_in_chunks(rig: Rig, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_producers, "CHUNK", 2)
    silence = Silence(rig)
    for _ in range(5):
        post(rig, valkey_url)
    silence.forget()
    assert silence.forget(after=MEMORY_SECONDS) == 10


def test_no_more_producers_are_kept_in_mind_than_there_is_room_for(
    rig: Rig, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer_producers, "MOST", 3)
    silence = Silence(rig)
    for _ in range(5):
        post(rig, valkey_url)
    silence.forget()
    assert [silence.forget(after=MEMORY_SECONDS) for _ in range(4)] == [3, 3, 3, 1]


def test_before_any_client_there_is_nothing_to_forget(rig: Rig) -> None:
    assert Silence(rig).forget() == 0


def test_it_tidies_up_every_ten_minutes(rig: Rig) -> None:
    now = 0.0
    tidying = Housekeeping(rig.worker.buffer, rig.worker.ledger, rig.sweep(), retention_days=30, clock=lambda: now)
    flush_seven_times(rig)
    make_old(rig, up_to_seq=1)
    tidying.tidy([0, 1])
    assert rows(rig) == in_both_shards(2, 3, 4, 5, 6, 7)
    make_old(rig, up_to_seq=2)
    now += EVERY_SECONDS - 1
    tidying.tidy([0, 1])
    assert len(rows(rig)) == 12
    now += 1
    tidying.tidy([0, 1])
    assert rows(rig) == in_both_shards(3, 4, 5, 6, 7)
