"""The likes of one event-loop turn, put into one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from likes.buffer.links.loop_lender import enter
from likes.buffer.refusals import NotSent
from likes.deadline import Deadline
from likes.member import Entry, Member
from likes.posting.adder import Tell
from likes.posting.answers import Answers
from likes.posting.part import Part

TURNS_AT_A_TIME = 32
LARGEST_SUM = 2**43  # a thousand of them stay exact as a Lua number


class Caller(Protocol):
    """Who put a like in and is told what became of it, as a future is. None of its methods may raise."""

    def done(self) -> bool:
        """True if it need not be told any more."""
        ...

    def set_result(self, pending: int, /) -> None:
        """It was counted."""
        ...

    def set_exception(self, error: Exception, /) -> None:
        """It was not, or nobody can tell."""
        ...

    def cancel(self) -> object:
        """Nobody will tell."""
        ...


class LoopTurn:
    """The likes of one event-loop turn: summed by member, sent once, answered together within `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.deadline = Deadline(timeout)
        self.is_late = False  # it waits, so that its time may be short for who joins it now
        self.is_over = False
        self.deltas: dict[int, dict[Member, int]] = {}  # by shard
        self.most = 0  # no sum is larger than this
        # A future for each caller: one that is cancelled does not take the others with it.
        self.likes: list[tuple[Caller, Member, int]] = []
        self.adds: list[asyncio.Future[Answers]] = []

    def takes(self, most: int) -> bool:
        """True if with `most` more every sum is small enough to stay exact in Lua, and they are not late for it."""
        in_time = not self.is_late or self.deadline.left() > self.timeout / 2
        return in_time and self.most + most <= LARGEST_SUM

    def put(self, shard: int, entries: Iterable[Entry]) -> None:
        """Add the entries of a shard."""
        deltas = self.deltas.setdefault(shard, {})
        for member, delta in entries:
            deltas[member] = deltas.get(member, 0) + delta

    def entries(self) -> dict[int, list[Entry]]:
        """What to send to each shard: an entry for each member, with the sum of its deltas."""
        return {shard: list(deltas.items()) for shard, deltas in self.deltas.items()}

    def answer(self, parts: Sequence[Part]) -> None:
        """Tell each caller what became of what it put in."""
        answers = Answers(parts)
        pending = answers.pending
        for future, member, delta in self.likes:
            if not future.done():
                if answers.all_counted:
                    future.set_result(pending[member])
                elif error := answers.error_of([(member, delta)]):
                    future.set_exception(error)
                else:
                    future.set_result(pending[member])
        for each in self.adds:
            if not each.done():
                each.set_result(answers)
        self.is_over = True

    def answer_some(self, parts: Sequence[Part]) -> None:
        """Tell those callers what became of theirs who need not wait for the others."""
        answers = Answers(parts)
        for future, member, delta in self.likes:
            if member in answers.pending and not future.done():
                if error := answers.error_of([(member, delta)]):
                    future.set_exception(error)
                else:
                    future.set_result(answers.pending[member])

    def fail(self, error: Exception) -> None:
        """Tell each caller that an error stopped all."""
        for future in self._callers():
            if not future.done():
                future.set_exception(error)
        self.is_over = True

    def cancel(self) -> None:
        """Cancel whoever waits still."""
        for future in self._callers():
            future.cancel()

    def _callers(self) -> Iterable[Caller | asyncio.Future[Answers]]:
        yield from (caller for caller, _, _ in self.likes)
        yield from self.adds


class LoopTurns:
    """Gathers what the tasks of one event loop add.

    send: sends entries, given by shard, and waits so many seconds for the answers; it tells of parts that are settled
    while others have to wait.
    """

    def __init__(self, send: Callable[[Mapping[int, list[Entry]], float, Tell], Awaitable[list[Part]]]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._filling: dict[float, LoopTurn] = {}  # by time-out
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(TURNS_AT_A_TIME)

    def like(self, shard: int, member: Member, delta: int, timeout: float) -> asyncio.Future[int]:
        """Put one entry into this turn's round trip: its pending delta once Redis has it, or the error."""
        future: asyncio.Future[int] = self._loop.create_future()
        self.put(future, shard, member, delta, timeout)
        return future

    def put(self, caller: Caller, shard: int, member: Member, delta: int, timeout: float) -> None:
        """Put one entry into this turn's round trip; `caller` is told its pending delta once Redis has it."""
        turn = self._filling.get(timeout)
        most = delta if delta >= 0 else -delta
        if turn is None or turn.is_late or turn.most + most > LARGEST_SUM:
            turn = self._turn_for(most, timeout)
        turn.most += most
        deltas = turn.deltas.get(shard)
        if deltas is None:
            deltas = turn.deltas[shard] = {}
        deltas[member] = deltas.get(member, 0) + delta
        turn.likes.append((caller, member, delta))

    def add(self, entries: Mapping[int, Sequence[Entry]], timeout: float) -> asyncio.Future[Answers]:
        """Put entries into this turn's round trip: the answers to all of it once Redis has them. A member may recur, as
        long as no sum is larger than `LARGEST_SUM`.
        """
        most = sum(abs(delta) for some in entries.values() for _, delta in some)
        turn = self._turn_for(most, timeout)
        turn.most += most
        for shard, some in entries.items():
            turn.put(shard, some)
        future: asyncio.Future[Answers] = self._loop.create_future()
        turn.adds.append(future)
        return future

    async def finish(self) -> None:
        """Wait for what is being sent."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _turn_for(self, most: int, timeout: float) -> LoopTurn:
        turn = self._filling.get(timeout)
        if turn is None or not turn.takes(most):
            turn = self._filling[timeout] = LoopTurn(timeout)
            self._tasks.add(task := asyncio.create_task(self._send_turn(turn)))
            task.add_done_callback(partial(self._turn_over, turn))
        return turn

    async def _send_turn(self, turn: LoopTurn) -> None:
        # A task starts in the next turn of the loop: by then every call of this one has joined.
        # While Redis is slow and all slots are taken, later calls join, too, instead of opening a connection a turn.
        if not turn.deltas:  # it is an eager task (Python 3.12), which starts at once
            await asyncio.sleep(0)
        turn.is_late = True
        try:
            await enter(self._slots, turn.deadline)
        except TimeoutError as error:
            self._is_full(turn)
            turn.fail(NotSent(str(error)))
            return
        self._is_full(turn)
        try:
            parts = await self._send(turn.entries(), turn.deadline.left(), turn.answer_some)
        except Exception as error:  # noqa: BLE001 (handed to every caller)
            turn.fail(error)
            return
        finally:
            self._slots.release()
        turn.answer(parts)

    def _turn_over(self, turn: LoopTurn, task: asyncio.Task[None]) -> None:
        # A task cancelled before it began has run none of its code.
        self._tasks.discard(task)
        self._is_full(turn)
        if not turn.is_over:
            turn.cancel()

    def _is_full(self, turn: LoopTurn) -> None:
        if self._filling.get(turn.timeout) is turn:
            del self._filling[turn.timeout]
