"""The likes of one event-loop turn, put into one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from likes.buffer.links.loop_lender import enter
from likes.buffer.refusals import NotSent
from likes.deadline import Deadline
from likes.member import Entry, Member
from likes.posting.outcome import Sent, entries_of, raise_unless_counted
from likes.posting.part import Part

TURNS_AT_A_TIME = 32
LARGEST_SUM = 2**43  # a thousand of them stay exact as a Lua number


class LoopTurn:
    """The likes of one event-loop turn: summed by member, sent once, answered together within `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.deadline = Deadline(timeout)
        self.deltas: dict[Member, int] = {}
        self.shards: dict[Member, int] = {}
        self.sent: asyncio.Future[dict[Member, Sent]] = asyncio.get_running_loop().create_future()

    def takes(self, entries: Mapping[int, list[Entry]]) -> bool:
        """True if with these added every sum is small enough to stay exact in Lua, and they are not late for it."""
        return self.deadline.left() > self.timeout / 2 and all(
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
        """What to send to each shard: an entry for each member, with the sum of its deltas."""
        entries: dict[int, list[Entry]] = {}
        for member, delta in self.deltas.items():
            entries.setdefault(self.shards[member], []).append((member, delta))
        return entries


class LoopTurns:
    """Gathers what the tasks of one event loop add.

    send: sends entries, given by shard, and waits so many seconds for the answers.
    """

    def __init__(self, send: Callable[[Mapping[int, list[Entry]], float], Awaitable[list[Part]]]) -> None:
        self._send = send
        self._filling: dict[float, LoopTurn] = {}  # by time-out
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(TURNS_AT_A_TIME)

    async def add(self, entries: Mapping[int, list[Entry]], timeout: float) -> list[Sent]:
        """Put entries into this turn's round trip and wait until Redis has them; raises as `LikeCounter.add`."""
        turn = self._filling.get(timeout)
        if turn is None or not turn.takes(entries):
            turn = self._filling[timeout] = LoopTurn(timeout)
            self._tasks.add(task := asyncio.create_task(self._send_turn(turn)))
            task.add_done_callback(partial(self._turn_over, turn))
        turn.put(entries)
        sent = await asyncio.shield(turn.sent)  # a caller that is cancelled must not take the others with it
        mine = [sent[member]._replace(delta=delta) for some in entries.values() for member, delta in some]
        raise_unless_counted(mine)
        return mine

    async def finish(self) -> None:
        """Wait for what is being sent."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _send_turn(self, turn: LoopTurn) -> None:
        # A task starts in the next turn of the loop: by then every call of this one has joined.
        # While Redis is slow and all slots are taken, later calls join, too, instead of opening a connection a turn.
        if not turn.deltas:  # it is an eager task (Python 3.12), which starts at once
            await asyncio.sleep(0)
        try:
            await enter(self._slots, turn.deadline)
        except TimeoutError as error:
            self._fail(turn, NotSent(str(error)))
            return
        self._is_full(turn)
        try:
            parts = await self._send(turn.entries(), turn.deadline.left())
        except Exception as error:  # noqa: BLE001 (handed to every caller)
            self._fail(turn, error)
            return
        finally:
            self._slots.release()
        turn.sent.set_result({sent.member: sent for sent in entries_of(parts)})

    def _turn_over(self, turn: LoopTurn, task: asyncio.Task[None]) -> None:
        # A task cancelled before it began has run none of its code.
        self._tasks.discard(task)
        self._is_full(turn)
        if not turn.sent.done():
            turn.sent.cancel()

    def _is_full(self, turn: LoopTurn) -> None:
        if self._filling.get(turn.timeout) is turn:
            del self._filling[turn.timeout]

    def _fail(self, turn: LoopTurn, error: Exception) -> None:
        turn.sent.set_exception(error)
        turn.sent.exception()  # else asyncio warns of it where every caller has gone
