"""Time-outs for drivers that have none: a stopped server process would keep its caller waiting for ever."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf

from likes.per_process import PerProcess


class Watch:
    """One connection under watch until `deadline` (monotonic seconds); `expired` once its socket was shut."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.connected = connected
        self.deadline = deadline
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        with suppress(OSError):  # closed by the server in the meantime
            self.connected.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Shuts sockets whose time is up, from one daemon thread that starts with the first watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._wakes_at = inf
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, fileno: int, seconds: float) -> Iterator[Watch]:
        """Shut the socket behind `fileno` if the block takes longer than `seconds`."""
        # A duplicate: the number may belong to another file by the time we shut it.
        with socket.socket(fileno=os.dup(fileno)) as connected:
            watch = Watch(connected, time.monotonic() + seconds)
            self._add(watch)
            try:
                yield watch
            finally:
                with self._changed:
                    self._watches.discard(watch)

    def _add(self, watch: Watch) -> None:
        with self._changed:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="likes-sql-watchdog", daemon=True)
                self._thread.start()
            elif (
                watch.deadline < self._wakes_at
            ):  # waking the thread for every transaction would cost more than they do
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for watch in [watch for watch in self._watches if watch.deadline <= now]:
                    self._watches.discard(watch)
                    watch.expire()
                self._wakes_at = min((watch.deadline for watch in self._watches), default=inf)
                self._changed.wait(None if self._wakes_at == inf else self._wakes_at - now)


watchdogs = PerProcess(Watchdog)  # threads do not survive a fork
