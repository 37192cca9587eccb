"""What has locks or connections belongs to one process: a forked child gets its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value for each process, made when it is first asked for. For any number of threads.

    The process id is looked at each time, as not every fork runs Python's hooks. There is no lock: a child might find
    it taken for ever. What a parent has is kept, untouched: to close it would close what the parent goes on using.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._of: dict[int, T] = {}

    def get(self) -> T:
        """The value of this process."""
        pid = os.getpid()
        try:
            return self._of[pid]
        except KeyError:
            return self._of.setdefault(pid, self._make())
