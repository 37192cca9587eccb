"""A process that `likes serve` has started."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Self


class Child:
    """One process, and our end of its line.

    It is in a process group of its own: Ctrl-C in a terminal reaches `likes serve` alone, which tells its children.
    """

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._born = asyncio.get_running_loop().time()

    @classmethod
    async def start(cls, command: Sequence[str], files: Sequence[int]) -> Self:
        """Start it. files: those of ours, by number, that it has too."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=theirs.fileno(), pass_fds=files, process_group=0
            )
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return asyncio.get_running_loop().time() - self._born

    async def is_ready(self) -> bool:
        """Wait until it says that it is ready; False if it has ended instead."""
        with suppress(OSError):
            return bool(await asyncio.get_running_loop().sock_recv(self._line, 1))
        return False

    async def ended(self) -> int:
        """Wait for its end; its exit code, or the number of the signal that ended it, negative."""
        code = await self._process.wait()
        self._line.close()
        return code

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
