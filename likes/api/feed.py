"""Values as they change, for many streams at once: each value is read once a tick, while anybody watches it.

    read ──a tick──▶ Feed ──what changed──▶ Watch (one a stream) ──when its client takes more──▶ an event

A watch keeps the newest value of each of its keys and nothing else: a client that is slow skips what was in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Generic, TypeVar

from likes.api import events
from likes.api.problems import Problem

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BUSY = 0.25  # of the time, at most, is spent on reading: a slow server is asked less often
RETRY_SECONDS = 10


class Watch(Generic[K, V]):
    """What one stream watches. known: the values its client was given. For the event loop it was made on."""

    def __init__(self, keys: Sequence[K]) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.known: dict[K, V] = {}
        self.is_over = False
        self._changed: dict[K, V] = {}
        self._news = asyncio.Event()

    def tell(self, key: K, value: V) -> None:
        """A value was read."""
        if key in self.known and self.known[key] == value:
            self._changed.pop(key, None)
        else:
            self._changed[key] = value
        if self._changed and len(self.known.keys() | self._changed.keys()) == len(self.keys):
            self._news.set()

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self._news.set()

    async def changes(self, seconds: float) -> dict[K, V]:
        """What has changed since it was asked last, the first time all values; empty when `seconds` have passed, or it
        is over.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return {}
        if self.is_over:
            return {}
        self._news.clear()
        changed, self._changed = self._changed, {}
        self.known |= changed
        return changed


class Feed(Generic[K, V]):
    """Reads for all its watches. For one event loop.

    read: the value of each of some keys; it answers for every one, and raises nothing.
    tick: seconds from one read to the next, at least.
    """

    def __init__(
        self,
        read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]],
        *,
        tick: float,
        most_streams: int,
        most_keys: int,
    ) -> None:
        self._read = read
        self._tick = tick
        self._most_streams = most_streams
        self._most_keys = most_keys
        self._watches: set[Watch[K, V]] = set()
        self._watchers: dict[K, set[Watch[K, V]]] = {}
        self._values: dict[K, V] = {}
        self._wake = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._is_over = False

    @contextmanager
    def watching(self, keys: Sequence[K]) -> Iterator[Watch[K, V]]:
        """Watch `keys` during the block. Raises Problem where too much is watched already."""
        watch: Watch[K, V] = Watch(keys)
        self._require_room(watch)
        self._join(watch)
        try:
            yield watch
        finally:
            self._leave(watch)

    def end(self) -> None:
        """End all watches, and those that come."""
        self._is_over = True
        for watch in self._watches:
            watch.end()

    async def close(self) -> None:
        """End, and wait until nothing is read any more."""
        self.end()
        self._wake.set()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def _require_room(self, watch: Watch[K, V]) -> None:
        watched = len(self._watchers) + sum(key not in self._watchers for key in watch.keys)
        if len(self._watches) >= self._most_streams or watched > self._most_keys:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-streams",
                "this process has as many event streams open as it takes; try again later",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )

    def _join(self, watch: Watch[K, V]) -> None:
        self._watches.add(watch)
        for key in watch.keys:
            self._watchers.setdefault(key, set()).add(watch)
            if key in self._values:
                watch.tell(key, self._values[key])
        if self._is_over:
            watch.end()
        elif self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._go_on_reading())
            self._reading.add_done_callback(self._has_stopped_reading)
        else:
            self._wake.set()

    def _leave(self, watch: Watch[K, V]) -> None:
        self._watches.discard(watch)
        for key in watch.keys:
            watchers = self._watchers[key]
            watchers.discard(watch)
            if not watchers:
                del self._watchers[key]
                self._values.pop(key, None)
        self._wake.set()

    async def _go_on_reading(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while self._watches and not self._is_over:
            self._wake.clear()
            began = clock()
            is_due = began >= due
            wanted = [key for key in self._watchers if is_due or key not in self._values]
            if wanted:
                self._publish(await self._read(wanted))
            if is_due:
                due = began + max(self._tick, (clock() - began) / BUSY)
            await self._pause(due - clock())

    def _has_stopped_reading(self, reading: asyncio.Task[None]) -> None:
        """Where it failed, by a mistake of ours, let the clients come again instead of waiting for ever."""
        if not reading.cancelled() and (error := reading.exception()):
            events.streams_failed(error)
            for watch in self._watches:
                watch.end()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not where there is something new to read, or nothing more."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _publish(self, values: Mapping[K, V]) -> None:
        for key, value in values.items():
            if key not in self._watchers:
                continue
            if key not in self._values or self._values[key] != value:
                self._values[key] = value
                for watch in self._watchers[key]:
                    watch.tell(key, value)
