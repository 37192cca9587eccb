"""`likes serve` itself: it holds the socket, and sees to the processes that serve on it and to the worker.

    likes serve ─┬─ process ─┐
                 ├─ process ─┴─ all take connections from one listening socket, which stays open all the while
                 └─ worker      with --with-worker

It does nothing else and loads little. A signal comes to it alone:

    SIGTERM, SIGINT    the processes answer what is under way and end, then the worker flushes once more; exit code 0
    once more          (a second later or more) all is killed; nothing that was answered is lost
    SIGHUP             each process is replaced, one after the other: the new one takes connections before the old one
                       stops to, and has the code and the .env of then
    SIGHUP of a terminal that was closed: as SIGTERM
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from likes.api import events
from likes.api.serving.place import Kind, Place

PROCESS_SECONDS = 9.5  # in which a process that serves has ended
WORKER_SECONDS = 27.0  # a worker gives its last flush 25
ONE_REQUEST_SECONDS = 1.0  # `timeout`, and what passes Ctrl-C on to its children, send the signal twice


class Commands(NamedTuple):
    """What starts a process that serves, and a worker, if there is to be one."""

    process: Sequence[str]
    worker: Sequence[str] | None


class Supervisor:
    """Started by `run`, ended by signals. files: those of ours that serving processes have, too, by number: the socket,
    and what they show each other their figures in. address: where the socket listens.
    """

    def __init__(self, commands: Commands, processes: int, files: Sequence[int], address: str) -> None:
        serving = Kind("process", commands.process, files, signal.SIGHUP, PROCESS_SECONDS)
        self._serving = [Place(serving) for _ in range(processes)]
        self._flushing: list[Place] = []
        if commands.worker:
            self._flushing.append(Place(Kind("worker", commands.worker, [], signal.SIGTERM, WORKER_SECONDS)))
        self._address = address
        self._has_terminal = os.isatty(sys.stderr.fileno())
        self._asked_at: float | None = None
        self._stopping = asyncio.Event()
        self._roll = asyncio.Event()

    async def run(self) -> int:
        """Serve until a signal; the exit code: 0, or that of the first process where it does not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        serve, stop = asyncio.create_task(self._serve()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait([serve, stop], return_when=asyncio.FIRST_COMPLETED)
        serve.cancel()
        (result,) = await asyncio.gather(serve, return_exceptions=True)
        for places in (self._serving, self._flushing):
            await asyncio.gather(*(place.end() for place in places))
        if isinstance(result, Exception):
            raise result
        if isinstance(result, int):
            return result
        events.stopped()
        return 0

    async def _serve(self) -> int:
        first, *others = self._serving
        if (code := await first.begin()) is not None:  # once, where they would all say the same
            return code
        await asyncio.gather(*(place.begin() for place in (*others, *self._flushing)))
        events.serving(self._address, len(self._serving))
        await asyncio.gather(*(place.keep() for place in (*self._serving, *self._flushing)), self._keep_rolling())
        return 0

    async def _keep_rolling(self) -> None:
        while await self._roll.wait():
            self._roll.clear()
            events.rolling()
            began = asyncio.get_running_loop().time()
            if await self._replace_all():
                events.rolled(asyncio.get_running_loop().time() - began)

    async def _replace_all(self) -> bool:
        for kind, places in (("process", self._serving), ("worker", self._flushing)):
            for place in places:
                if not await place.replace():
                    events.not_replaced(kind)
                    return False
        return True

    def _hang_up(self) -> None:
        if self._has_terminal and not os.isatty(sys.stderr.fileno()):
            with Path(os.devnull).open(
                "wb"
            ) as nowhere:  # else what cannot be written to the terminal ends Python with 120
                os.dup2(nowhere.fileno(), sys.stderr.fileno())
            self._stop(signal.SIGHUP)
        else:
            self._roll.set()

    def _stop(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if self._asked_at is None:
            self._asked_at = now
            events.stopping(number.name)
            self._stopping.set()
        elif now - self._asked_at >= ONE_REQUEST_SECONDS:
            for place in (*self._serving, *self._flushing):
                place.kill()
            os._exit(128 + number)
