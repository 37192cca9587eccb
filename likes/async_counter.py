"""AsyncLikeCounter: the same for asyncio, with the calls of one event-loop turn put into one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Self, TypeVar

from likes.buffer.links.link import AsyncLink
from likes.connect import Places
from likes.counter import Counting
from likes.items import DEFAULT_COUNTER, check_count
from likes.live.reading import LiveTotal, pending_deltas
from likes.posting.outcome import Sent, raise_unless_counted
from likes.posting.part import Entry
from likes.posting.steps import Steps, run_async

T = TypeVar("T")

TURNS_AT_A_TIME = 32
LARGEST_SUM = 2**43  # a thousand of them stay exact as a Lua number


class Turn:
    """The likes of one event-loop turn: summed by member, sent once, answered together."""

    def __init__(self) -> None:
        self.deltas: dict[bytes, int] = {}
        self.shards: dict[bytes, int] = {}
        self.sent: asyncio.Future[dict[bytes, Sent]] = asyncio.get_running_loop().create_future()

    def takes(self, entries: Mapping[int, list[Entry]]) -> bool:
        """True if every sum stays exact with these in it."""
        return all(
            abs(self.deltas.get(member, 0)) + abs(delta) <= LARGEST_SUM
            for some in entries.values()
            for member, delta in some
        )

    def put(self, entries: Mapping[int, list[Entry]]) -> None:
        """Add the entries of each shard."""
        for shard, some in entries.items():
            for member, delta in some:
                self.deltas[member] = self.deltas.get(member, 0) + delta
                self.shards[member] = shard

    def entries(self) -> dict[int, list[Entry]]:
        """The sums of each shard."""
        entries: dict[int, list[Entry]] = {}
        for member, delta in self.deltas.items():
            entries.setdefault(self.shards[member], []).append((member, delta))
        return entries


class AsyncLikeCounter(Counting):
    """Counts likes in Redis, for a worker to move into SQL. For the tasks of one event loop."""

    def _set_up(self, places: Places, prefix: str, shards: int) -> None:
        super()._set_up(places, prefix, shards)
        self._turn: Turn | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._link: AsyncLink | None = None
        self._opening_link = asyncio.Lock()
        self._slots = asyncio.Semaphore(TURNS_AT_A_TIME)

    async def like(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` more; the pending delta of the item after it. Raises what `LikeCounter.like` does."""
        (sent,) = await self._send(self._entries({item: count}, counter))
        return sent.part.pending(sent.position)

    async def unlike(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` fewer; otherwise as `like`."""
        return await self.like(item, -check_count(count), counter=counter)

    async def add(self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER) -> None:
        """Count many, item -> count; exactly once each. Raises what `LikeCounter.add` does."""
        await self._send(self._entries(deltas, counter))

    async def total(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The live total: in the database, in flight and pending."""
        return (await self.live([item], counter=counter))[item].total

    async def totals(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, int]:
        """The live total of each item."""
        return {item: live.total for item, live in (await self.live(items, counter=counter)).items()}

    async def live(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, LiveTotal]:
        """The live total of each item with its parts, each true at some moment during the call."""
        wanted = list(items)
        reads = self._members(wanted, counter)
        reader = await asyncio.to_thread(self._open_reader)
        found: dict[bytes, LiveTotal] = {}
        for members in reads:
            found |= await self._run(reader.live(members))
        return self._by_item(wanted, counter, found)

    async def pending(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The pending delta of an item: counted in Redis, not yet handed off."""
        (members,) = self._members([item], counter)
        steps = pending_deltas(self.prefix, members)
        return self._by_item([item], counter, await self._run(steps))[item]

    async def close(self) -> None:
        """Wait for what is being sent, then give up all connections."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._link is not None:
            await self._link.close()
            self._link = None
        self._close_database()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, entries: Mapping[int, list[Entry]]) -> list[Sent]:
        """Put entries into this turn's round trip and wait until Redis has them; what became of each."""
        turn = self._turn
        if turn is None or not turn.takes(entries):
            turn = self._turn = Turn()
            self._tasks.add(task := asyncio.create_task(self._send_turn(turn)))
            task.add_done_callback(partial(self._turn_over, turn))
        turn.put(entries)
        sent = await asyncio.shield(turn.sent)  # one caller given up must not take the others with it
        mine = [sent[member]._replace(delta=delta) for some in entries.values() for member, delta in some]
        raise_unless_counted(mine)
        return mine

    async def _send_turn(self, turn: Turn) -> None:
        # A task starts in the next turn of the loop: by then every call of this one has joined.
        # While Redis is slow, later calls go on joining, instead of opening a connection a turn.
        await self._slots.acquire()
        if self._turn is turn:
            self._turn = None
        try:
            with self._producers.one() as producer:
                parts = await self._run(self._adder.add(producer, turn.entries(), wants_pending=True))
        except Exception as error:  # noqa: BLE001 (handed to every caller)
            turn.sent.set_exception(error)
            turn.sent.exception()  # marks it as seen: every caller may have gone
            return
        finally:
            self._slots.release()
        turn.sent.set_result(
            {
                member: Sent(member, delta, part, index)
                for part in parts
                for index, (member, delta) in enumerate(part.entries)
            }
        )

    def _turn_over(self, turn: Turn, task: asyncio.Task[None]) -> None:
        # A task cancelled before it began has run none of its code.
        self._tasks.discard(task)
        if self._turn is turn:
            self._turn = None
        if not turn.sent.done():
            turn.sent.cancel()

    async def _run(self, steps: Steps[T]) -> T:
        async with self._opening_link:
            if self._link is None:
                self._link = await asyncio.to_thread(self._places.open_async_link)
            link = self._link
        return await run_async(steps, link)
