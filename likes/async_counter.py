"""AsyncLikeCounter: LikeCounter for asyncio. All likes of one turn of the event loop go out in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self, TypeVar

from likes import by_shard
from likes.counting import Counting
from likes.handed_in import AsyncClient
from likes.items import DEFAULT_COUNTER, check_count
from likes.live.reading import LiveTotal, pending_deltas
from likes.member import Entry, Member
from likes.posting.loop_turn import LoopTurns
from likes.posting.part import Part
from likes.posting.steps import Steps, run_async

if TYPE_CHECKING:
    from likes.buffer.links.event_loop import EventLoopLink

T = TypeVar("T")


class AsyncLikeCounter(Counting[AsyncClient]):
    """Counts likes in Redis, each exactly once, for a worker to move into SQL; and reads totals live. For asyncio.

    Make one for an event loop, when the application starts, and share it between all tasks of that loop: what they
    count in one turn of it goes out together. It connects when first used; a forked child makes one of its own. SQL is
    read in a thread. `await` its `close` before the loop ends, or use it in an `async with`.

    Items and counters are those of LikeCounter, and each method raises what its namesake there does.
    """

    ASYNCHRONOUS = True
    _link: EventLoopLink | None = None
    _turns: LoopTurns | None = None

    async def like(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` more likes of an item: a whole number within ±2^31; a negative one counts down.

        Returns the item's pending delta after that, which includes what other tasks counted in the same turn.
        Cancelling a task that waits here does not take its likes back.
        """
        (sent,) = await self._of_this_loop().add(by_shard.one_entry(item, count, counter, self.shards))
        return sent.part.pending(sent.position)

    async def unlike(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` fewer likes of an item; otherwise as `like`."""
        return await self.like(item, -check_count(count), counter=counter)

    async def add(self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER) -> None:
        """Count many items at once: item -> count, each as in `like`."""
        await self._of_this_loop().add(by_shard.entries(deltas, counter, self.shards))

    async def total(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The live total of an item: what is in the database, in flight and pending; 0 if nobody ever liked it."""
        return (await self.live([item], counter=counter))[item].total

    async def totals(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, int]:
        """Item -> its live total, in the order given; 500 of them are read together, in a few round trips."""
        return {item: live.total for item, live in (await self.live(items, counter=counter)).items()}

    async def live(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, LiveTotal]:
        """Item -> its live total with its parts; each was true at some moment during the call."""
        wanted = by_shard.several(items)
        reads = by_shard.members(wanted, counter, self.shards)
        reader = await asyncio.to_thread(self._open_reader)
        found: dict[Member, LiveTotal] = {}
        for members in reads:
            found |= await self._run(reader.live(members))
        return by_shard.by_item(wanted, counter, found)

    async def pending(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The pending delta of an item: counted in Redis and not handed off yet; it may be negative."""
        (members,) = by_shard.members([item], counter, self.shards)
        steps = pending_deltas(self.prefix, members)
        return by_shard.by_item([item], counter, await self._run(steps))[item]

    async def close(self) -> None:
        """Wait until what is being sent is answered, then close all connections but those of an engine handed in."""
        if self._turns is not None:
            await self._turns.finish()
        if self._link is not None:
            await self._link.close()
            self._link = None
        self._close_database()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _of_this_loop(self) -> LoopTurns:
        if self._turns is None:
            self._turns = LoopTurns(self._post)
        return self._turns

    async def _post(self, entries: Mapping[int, list[Entry]]) -> list[Part]:
        with self._producers.one() as producer:
            return await self._run(self._adder.add(producer, entries, wants_pending=True))

    async def _run(self, steps: Steps[T]) -> T:
        link = self._link
        if link is None:
            link = await asyncio.to_thread(self._open_link)
        return await run_async(steps, link)

    def _open_link(self) -> EventLoopLink:
        with self._opening:
            if self._link is None:
                self._link = self._redis.open_async_link()
            return self._link
