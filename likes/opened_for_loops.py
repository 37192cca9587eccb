"""What a counter for asyncio has open in one process, and what each event loop is about to send and to read with it.

What the tasks of a loop ask for in one turn of it goes out together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from likes.connect import Places
from likes.deadline import Deadline
from likes.handed_in import HandedDatabase
from likes.live.caching import CacheRules
from likes.live.loop_reads import LoopReads
from likes.live.read import Tell
from likes.member import Entry, Member
from likes.opened import Opened
from likes.per_loop import PerLoop
from likes.posting.adder import Adder
from likes.posting.adder import Tell as TellSettled
from likes.posting.loop_turn import LoopTurns
from likes.posting.once import OnceAdder, OncePart, Wanted
from likes.posting.once_turn import OnceTurns
from likes.posting.part import Part
from likes.posting.producer import Producers
from likes.posting.steps import Steps, run_async

if TYPE_CHECKING:
    from likes.buffer.links.link import AsyncLink

T = TypeVar("T")


class OpenedForLoops(Opened["AsyncLink"]):
    """`turns`, `once`, `reads`: what each event loop is about to add, to add under keys, and to read."""

    def __init__(
        self,
        open_link: Callable[[], AsyncLink],
        database: Places | HandedDatabase,
        namespace: str,
        rules: CacheRules,
        *,
        adder: Adder,
        producers: Producers,
    ) -> None:
        super().__init__(open_link, database, namespace, adder.shards, rules)
        self.turns = PerLoop(partial(LoopTurns, self._post))
        self.once = PerLoop(partial(OnceTurns, self._post_once))
        self.reads = PerLoop(partial(LoopReads, self._read))
        self._adder = adder
        self._once_adder = OnceAdder(namespace, adder.shards)
        self._producers = producers

    async def run(self, steps: Steps[T]) -> T:
        """Take steps to their end over the link, opened if it is not."""
        link = self.link
        if link is None:
            link = await asyncio.to_thread(self.open_link)  # which may start the embedded server
        return await run_async(steps, link)

    async def close(self) -> None:
        """Wait until what the running loop is sending is answered, then close its connections and the database's."""
        await self.turns.get().finish()
        await self.once.get().finish()
        if self.link is not None:
            await self.link.close()
        await asyncio.to_thread(self.close_database)

    async def _post(self, entries: Mapping[int, list[Entry]], timeout: float, tell: TellSettled) -> list[Part]:
        with self._producers.one() as producer:
            return await self.run(self._adder.add(producer, entries, wants_pending=True, timeout=timeout, tell=tell))

    async def _post_once(self, wanted: Sequence[Wanted], timeout: float) -> list[OncePart]:
        with ExitStack() as lent:  # one unanswered call of a producer
            parts = [OncePart(lent.enter_context(self._producers.one()), each) for each in wanted]
            await self.run(self._once_adder.add_once(parts, timeout))
            return parts

    async def _read(
        self, members: Mapping[int, Sequence[Member]], deadline: Deadline, tell: Tell, or_database: bool
    ) -> None:
        await self.run(self.reader.live(members, deadline, tell, or_database=or_database))
