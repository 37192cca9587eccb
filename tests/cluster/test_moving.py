"""Slots that move to another node while likes come in: none is lost, none counts twice, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Thread
from typing import Self

import pytest

from likes import AsyncLikeCounter, LikeCounter, LikesError, RedisUnavailable
from likes.errors import ShardMoving
from likes.items import encode_item, shard_of
from tests.clusters import Cluster, slot_of_shard
from tests.rig import Rig
from tests.waiting import wait_until

NewRig = Callable[..., Rig]
SHARDS = 4


def items_of(shard: int, shards: int = SHARDS, count: int = 5) -> list[str]:
    """Items that belong to a shard."""
    found = (item for n in range(100_000) if shard_of(encode_item(item := f"item:{n}"), shards) == shard)
    return [*islice(found, count)]


class Traffic:
    """Threads and tasks that like without end, new items among others, and count what was acknowledged."""

    def __init__(self, cluster: Cluster, *, timeout: float = 20) -> None:
        self.errors: list[LikesError] = []
        self.accepted = 0
        self.rounds = 0
        self._stop = Event()
        self._url = cluster.url
        self._timeout = timeout
        self._threads = [Thread(target=self._like), Thread(target=lambda: asyncio.run(self._like_async()))]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait until more was acknowledged by each."""
        before = self.rounds
        wait_until(lambda: self.rounds > before + 20, 60)

    def _items(self) -> Iterator[dict[str, int]]:
        number = 0
        while not self._stop.is_set():
            number += 1
            yield {f"item:{(number * 7 + n) % 3000}": 1 for n in range(8)}

    def _like(self) -> None:
        with LikeCounter(redis_url=self._url, shards=SHARDS, redis_timeout=self._timeout) as likes:
            for items in self._items():
                try:
                    likes.add(items)
                    self.accepted += len(items)
                except LikesError as error:
                    self.errors.append(error)
                self.rounds += 1

    async def _like_async(self) -> None:
        async with AsyncLikeCounter(redis_url=self._url, shards=SHARDS, redis_timeout=self._timeout) as likes:
            for items in self._items():
                done = await asyncio.gather(*(likes.like(item) for item in items), return_exceptions=True)
                self.errors += [each for each in done if isinstance(each, LikesError)]
                self.accepted += sum(isinstance(each, int) for each in done)
                self.rounds += 1


@contextmanager
def flushing(rig: Rig) -> Iterator[None]:
    """A worker that flushes without end; a shard on the move is no error."""
    stop, failed = Event(), list[Exception]()

    def work() -> None:
        while not stop.is_set() and not failed:
            try:
                rig.flush()
            except ShardMoving:
                continue
            except Exception as error:
                failed.append(error)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failed == []


def test_two_slots_move_key_by_key_to_an_empty_node(cluster: Cluster, new_rig: NewRig) -> None:
    rig, seventh = new_rig(shards=SHARDS, batch_items=50), cluster.new_node()
    rig.flush()
    with Traffic(cluster) as traffic, flushing(rig):
        for shard in (1, 2):
            cluster.move_slot(slot_of_shard(shard), seventh)
            traffic.goes_on()
    assert traffic.errors == []
    rig.flush()
    assert sum(rig.totals().values()) == traffic.accepted
    assert rig.dead_letters() == []
    assert rig.incidents() == []
    assert seventh.client.dbsize() > 0


def test_a_shard_on_two_nodes_takes_likes_of_what_is_pending_and_is_not_flushed(
    cluster: Cluster, new_rig: NewRig
) -> None:
    rig, shard = new_rig(shards=SHARDS), 1
    mine, other = items_of(shard), items_of(2)
    rig.likes.add(dict.fromkeys([*mine[:2], *other], 1))
    rig.flush()
    rig.likes.add(dict.fromkeys([*mine[:2], *other], 1))
    to = next(node for node in cluster.masters() if node is not cluster.owner(slot_of_shard(shard)))
    source = cluster.open_slot(slot_of_shard(shard), to)
    assert rig.likes.like(mine[0]) == 2  # all its keys are there
    with pytest.raises(RedisUnavailable, match="moving this shard"):
        rig.likes.like(mine[2], timeout=0.3)
    rig.likes.add(dict.fromkeys(other, 1), timeout=0.3)
    with pytest.raises(ShardMoving, match="shard 1|moving this shard"):
        rig.flush()
    assert rig.totals() == {mine[0]: 1, mine[1]: 1, **dict.fromkeys(other, 3)}
    cluster.move_keys(slot_of_shard(shard), source, to)
    assert rig.likes.like(mine[1]) == 2  # at the other node, which is asked
    cluster.close_slot(slot_of_shard(shard), to)
    rig.flush()
    assert rig.totals() == {mine[0]: 3, mine[1]: 3, **dict.fromkeys(other, 3)}
    assert rig.incidents() == []
