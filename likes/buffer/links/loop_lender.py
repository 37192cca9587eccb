"""Connections for the tasks of one event loop; `lender` has the same for threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from likes.buffer.links.lender import IDLE_SECONDS, MOST
from likes.buffer.refusals import BROKEN
from likes.deadline import Deadline


class LoopLender:
    """Opens connections as they are needed and keeps them for the next call, until its event loop ends."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """connect: makes a connection of redis-py that is not open yet."""
        self._connect = connect
        self._free = asyncio.Semaphore(MOST)  # which lets in those who wait in the order they came
        self._idle: list[tuple[Any, float]] = []
        self._closed = False
        self._end = self._close_with_the_loop()
        with suppress(StopIteration):
            self._end.asend(None).send(None)  # runs up to its yield; from here on the loop knows of it

    async def lend(self, deadline: Deadline) -> Any:
        """A connection that is open, to be taken back. Raises one of BROKEN where none was to be had in time."""
        await enter(self._free, deadline)
        try:
            deadline.has_connection()
            return await self._usable() or await self._opened(deadline)
        except BaseException:
            self._free.release()
            raise

    async def take_back(self, connection: Any, *, broken: bool) -> None:
        """Keep a connection for the next call; if it is broken, close it, and with it those that may be broken, too."""
        self._free.release()
        if not broken:
            self._idle.append((connection, time.monotonic()))
        if broken or self._closed:
            await connection.disconnect(nowait=True)
            await self._close_idle()

    async def close(self) -> None:
        """Close all connections, those that are lent when they are taken back."""
        self._closed = True
        await self._close_idle()

    async def _usable(self) -> Any:
        """A connection that is open still; None if there is none."""
        while self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and await _is_open(connection):
                return connection
            await connection.disconnect(nowait=True)
        return None

    async def _opened(self, deadline: Deadline) -> Any:
        connection = self._connect()
        try:
            async with asyncio.timeout(deadline.left()):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _close_idle(self) -> None:
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.disconnect()

    async def _close_with_the_loop(self) -> AsyncGenerator[None]:
        """Before a loop is closed (by asyncio.run, say), it ends the asynchronous generators that it knows of."""
        try:
            yield
        finally:
            await self.close()


async def enter(places: asyncio.Semaphore, deadline: Deadline) -> None:
    """Take one of the places. Raises TimeoutError if none was free in time."""
    if not places.locked():
        await places.acquire()
        return
    try:
        async with asyncio.timeout(deadline.left()):
            await places.acquire()
    except TimeoutError:
        raise TimeoutError("no connection to Redis was free in time") from None


async def _is_open(connection: Any) -> bool:
    """False if the server has closed it, or has said something that nobody asked for."""
    try:
        return not await connection.can_read()
    except BROKEN:
        return False
