"""AsyncLikeCounter: LikeCounter for asyncio. All likes of one turn of the event loop go out in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from likes import by_shard
from likes.counting import Counting
from likes.deadline import Deadline
from likes.handed_in import AsyncClient
from likes.items import DEFAULT_COUNTER, check_count
from likes.live.reading import LiveTotal, pending_deltas
from likes.member import Entry, Member
from likes.opened import Opened
from likes.per_loop import PerLoop
from likes.posting.loop_turn import Caller, LoopTurns
from likes.posting.part import Part
from likes.posting.steps import Steps, run_async

if TYPE_CHECKING:
    from likes.buffer.links.event_loop import EventLoopLink

T = TypeVar("T")


class OpenedForLoops(Opened["EventLoopLink"]):
    """What a counter for asyncio has open in one process. `turns`: what each event loop is about to send."""

    turns: PerLoop[LoopTurns]


class AsyncLikeCounter(Counting[AsyncClient, OpenedForLoops]):
    """Counts likes in Redis, each exactly once, for a worker to move into SQL; and reads totals live. For asyncio.

    Make one for a process, when the application starts, and share it: what the tasks of an event loop count in one turn
    of it goes out together. It connects when first used. Any number of loops may use it, one after the other or each in
    a thread of its own, also in a forked child: each has connections of its own, which asyncio.run closes with it. SQL
    is read in threads. `await` its `close` where the application stops, or use it in an `async with`.

    Items, counters and time-outs are those of LikeCounter, and each method raises what its namesake there does.
    """

    ASYNCHRONOUS = True

    async def like(
        self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> int:
        """Count `count` more likes of an item: a whole number within ±2^31; a negative one counts down.

        Returns the item's pending delta after that, which includes what other tasks counted in the same turn.
        Cancelling a task that waits here does not take its likes back.
        """
        shard, member = by_shard.place_of(item, counter, self.shards)
        turns = self._opened.get().turns.get()
        return await turns.like(shard, member, check_count(count), self._seconds(timeout))

    def put(self, caller: Caller, item: str, count: int, *, counter: str = DEFAULT_COUNTER) -> None:
        """As `like`, for a server's own loop: needs no task, as `caller` is told the pending delta or the error.

        Raises InvalidInput.
        """
        shard, member = by_shard.place_of(item, counter, self.shards)
        self._opened.get().turns.get().put(caller, shard, member, check_count(count), self._timeout)

    async def unlike(
        self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> int:
        """Count `count` fewer likes of an item; otherwise as `like`."""
        return await self.like(item, -check_count(count), counter=counter, timeout=timeout)

    async def add(
        self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> None:
        """Count many items at once: item -> count, each as in `like`."""
        entries = by_shard.entries(deltas, counter, self.shards)
        answers = await self._opened.get().turns.get().add(entries, self._seconds(timeout))
        if error := answers.error_of(entry for some in entries.values() for entry in some):
            raise error

    async def total(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The live total of an item: what is in the database, in flight and pending; 0 if nobody ever liked it."""
        return (await self.live([item], counter=counter, timeout=timeout))[item].total

    async def totals(
        self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> dict[str, int]:
        """Item -> its live total, in the order given; 500 of them are read together, in a few round trips."""
        return {item: live.total for item, live in (await self.live(items, counter=counter, timeout=timeout)).items()}

    async def live(
        self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> dict[str, LiveTotal]:
        """Item -> its live total with its parts; each was true at some moment during the call."""
        wanted = by_shard.several(items)
        deadline = Deadline(self._seconds(timeout))
        reader = self._opened.get().reader
        found: dict[Member, LiveTotal] = {}
        for members in by_shard.members(wanted, counter, self.shards):
            found |= await self._run(reader.live(members, deadline))
        return by_shard.by_item(wanted, counter, found)

    async def pending(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The pending delta of an item: counted in Redis and not handed off yet; it may be negative."""
        (members,) = by_shard.members([item], counter, self.shards)
        steps = pending_deltas(self.prefix, members, Deadline(self._seconds(timeout)))
        return by_shard.by_item([item], counter, await self._run(steps))[item]

    async def close(self) -> None:
        """Wait until what this event loop is sending is answered, then close its connections and those to the database
        but for an engine handed in; the next call opens new ones.
        """
        opened = self._opened.get()
        await opened.turns.get().finish()
        if opened.link is not None:
            await opened.link.close()
        await asyncio.to_thread(opened.close_database)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _nothing_open(self) -> OpenedForLoops:
        opened = OpenedForLoops(self._redis.open_async_link, self._database, self.prefix)
        opened.turns = PerLoop(partial(LoopTurns, self._post))
        return opened

    async def _post(self, entries: Mapping[int, list[Entry]], timeout: float) -> list[Part]:
        with self._producers.one() as producer:
            return await self._run(self._adder.add(producer, entries, wants_pending=True, timeout=timeout))

    async def _run(self, steps: Steps[T]) -> T:
        opened = self._opened.get()
        link: EventLoopLink | None = opened.link
        if link is None:
            link = await asyncio.to_thread(opened.open_link)  # which may start the embedded server
        return await run_async(steps, link)
