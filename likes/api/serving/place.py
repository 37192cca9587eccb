"""A place where one process always runs: started again when it dies, and replaced without a gap."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from likes.api import events
from likes.api.serving.child import Child

READY_SECONDS = 30.0  # a process that is to take over and is not ready by then is given up
SHORT_LIFE_SECONDS = 10.0  # a process that lived less is not started again at once
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of process. files: those of ours that it has too.

    retire: the signal by which one ends when another has taken over. patience: the seconds in which it ends by its own
    account; then it is killed.
    """

    name: str
    command: Sequence[str]
    files: Sequence[int]
    retire: signal.Signals
    patience: float


class Place:
    """One process after the other. `begin` comes first."""

    _child: Child

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._alive: set[Child] = set()
        self._changing = asyncio.Lock()
        self._short_lives = 0

    async def begin(self) -> int | None:
        """Start the first one; None once it is ready, or the exit code it ended with instead."""
        self._child = await self._start()
        return None if await self._child.is_ready() else await self._end_of(self._child)

    async def keep(self) -> None:
        """Start another one whenever it dies, for ever."""
        while True:
            child = self._child
            code = await self._end_of(child)
            if child is not self._child:
                continue
            pause = self._pause(child)
            events.process_ended(self._kind.name, child.pid, code, pause)
            await asyncio.sleep(pause)
            async with self._changing:
                if child is self._child:
                    with suppress(OSError):  # the system has no room for another now: later
                        self._child = await self._start()

    async def replace(self) -> bool:
        """Start another, and once it is ready have the one before end; False if it never was, and the old one stays."""
        async with self._changing:
            fresh = await self._start()
            try:
                async with asyncio.timeout(READY_SECONDS):
                    ready = await fresh.is_ready()
            except TimeoutError:
                ready = False
            if not ready:
                fresh.tell(signal.SIGKILL)
                await self._end_of(fresh)
                return False
            before, self._child = self._child, fresh
        await self._end(before, self._kind.retire)
        return True

    async def end(self) -> None:
        """Have it end."""
        await asyncio.gather(*(self._end(child, signal.SIGTERM) for child in self._alive))

    def kill(self) -> None:
        """End it at once."""
        for child in self._alive:
            child.tell(signal.SIGKILL)

    async def _start(self) -> Child:
        child = await Child.start(self._kind.command, self._kind.files)
        self._alive.add(child)
        return child

    async def _end_of(self, child: Child) -> int:
        code = await child.ended()
        self._alive.discard(child)
        return code

    async def _end(self, child: Child, number: signal.Signals) -> None:
        child.tell(number)
        try:
            async with asyncio.timeout(self._kind.patience):
                await self._end_of(child)
        except TimeoutError:
            events.killed(self._kind.name, child.pid, self._kind.patience)
            child.tell(signal.SIGKILL)
            await self._end_of(child)

    def _pause(self, child: Child) -> float:
        if child.seconds >= SHORT_LIFE_SECONDS:
            self._short_lives = 0
            return 0.0
        self._short_lives += 1
        return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self._short_lives - 1)))
