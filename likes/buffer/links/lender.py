"""Connections for threads, lent to one call at a time; `loop_lender` has the same for asyncio.

redis-py's pools raise where all connections are in use, hang in a child that was forked while one of their locks was
taken, and know no time-out of a single call.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock, RLock
from typing import Any

from likes.buffer.refusals import BROKEN
from likes.deadline import Deadline

MOST = 32  # at a time: more would only queue at the server
IDLE_SECONDS = 30.0  # firewalls forget a connection that is idle for longer, some of them without a word


class Lender:
    """Opens connections as they are needed and keeps them for the next call. For any number of threads."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """connect: makes a connection of redis-py that is not open yet."""
        self._connect = connect
        self._line = _Line(MOST)
        self._idle: list[tuple[Any, float]] = []
        self._closed = False

    def lend(self, deadline: Deadline) -> Any:
        """A connection that is open, to be taken back. Raises one of BROKEN where none was to be had in time."""
        self._line.enter(deadline)
        try:
            deadline.has_connection()
            return self._usable() or self._opened(deadline)
        except BaseException:
            self._line.leave()
            raise

    def take_back(self, connection: Any, *, broken: bool) -> None:
        """Keep a connection for the next call; if it is broken, close it, and with it those that may be broken, too."""
        if not broken:
            self._idle.append((connection, time.monotonic()))
        if broken or self._closed:
            connection.disconnect()
            self._close_idle()
        self._line.leave()

    def close(self) -> None:
        """Close all connections, those that are lent when they are taken back."""
        self._closed = True
        self._close_idle()

    def _usable(self) -> Any:
        """A connection that is open still; None if there is none."""
        while idle := _pop(self._idle):
            connection, since = idle
            if time.monotonic() - since < IDLE_SECONDS and _is_open(connection):
                return connection
            connection.disconnect()
        return None

    def _opened(self, deadline: Deadline) -> Any:
        connection = self._connect()
        connection.socket_timeout = connection.socket_connect_timeout = deadline.left()
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _close_idle(self) -> None:
        while idle := _pop(self._idle):
            idle[0].disconnect()


class _Line:
    """Lets in `most` at a time, the others in the order they came: else a busy thread would always be first again."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[Lock] = deque()
        self._lock = RLock()  # a signal handler may count a like, too

    def enter(self, deadline: Deadline) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
        entered = False
        try:
            entered = mine.acquire(timeout=deadline.left())
        finally:
            if not entered:
                self._give_up(mine)
        if not entered:
            raise TimeoutError("no connection to it was free in time")

    def leave(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _give_up(self, mine: Lock) -> None:
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # its turn came in this very moment
                self.leave()


def _pop(idle: list[tuple[Any, float]]) -> tuple[Any, float] | None:
    try:
        return idle.pop()
    except IndexError:  # another thread was faster, or there is none
        return None


def _is_open(connection: Any) -> bool:
    """False if the server has closed it, or has said something that nobody asked for."""
    try:
        return not connection.can_read()
    except BROKEN:
        return False
