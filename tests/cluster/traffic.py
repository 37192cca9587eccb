"""Likes that go on while servers change, and a worker that flushes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Thread
from typing import Protocol, Self

from likes import AsyncLikeCounter, LikeCounter, LikesError, Unavailable
from likes.items import encode_item, shard_of
from tests.rig import Rig
from tests.waiting import wait_until

SHARDS = 4
PATIENCE = 60


def items_of(shard: int, count: int = 5) -> list[str]:
    """Items that belong to a shard."""
    found = (item for n in range(100_000) if shard_of(encode_item(item := f"item:{n}"), SHARDS) == shard)
    return [*islice(found, count)]


class HasUrl(Protocol):
    """Servers that are one Redis."""

    @property
    def url(self) -> str: ...


class Traffic:
    """A thread and an event loop that like without end, new items among others, and count what was acknowledged."""

    def __init__(self, servers: HasUrl, *, timeout: float = PATIENCE) -> None:
        self.errors: list[LikesError] = []
        self._url = servers.url
        self._timeout = timeout
        self._accepted = [0, 0]
        self._rounds = [0, 0]
        self._stop = Event()
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

    @property
    def accepted(self) -> int:
        """How many were acknowledged."""
        return sum(self._accepted)

    def goes_on(self) -> None:
        """Wait until much more was acknowledged to both, in all shards."""
        before = [*self._rounds]
        wait_until(lambda: all(now > then + 10 for now, then in zip(self._rounds, before, strict=True)), PATIENCE)

    def _items(self) -> Iterator[dict[str, int]]:
        number = 0
        while not self._stop.is_set():
            number += 1
            yield {f"item:{(number * 7 + n) % 3000}": 1 for n in range(16)}

    def _like(self) -> None:
        with LikeCounter(redis_url=self._url, shards=SHARDS, redis_timeout=self._timeout) as likes:
            for items in self._items():
                try:
                    likes.add(items)
                    self._accepted[0] += len(items)
                except LikesError as error:
                    self.errors.append(error)
                self._rounds[0] += 1

    async def _like_async(self) -> None:
        async with AsyncLikeCounter(redis_url=self._url, shards=SHARDS, redis_timeout=self._timeout) as likes:
            for items in self._items():
                done = await asyncio.gather(*(likes.like(item) for item in items), return_exceptions=True)
                self.errors += [each for each in done if isinstance(each, LikesError)]
                self._accepted[1] += sum(isinstance(each, int) for each in done)
                self._rounds[1] += 1


@contextmanager
def flushing(rig: Rig) -> Iterator[None]:
    """A worker flushes without end; what cannot be flushed now is later."""
    stop, failed = Event(), list[Exception]()

    def work() -> None:
        while not stop.is_set() and not failed:
            try:
                rig.flush()
            except Unavailable:
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
