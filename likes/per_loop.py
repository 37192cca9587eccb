"""What waits on an event loop belongs to it: another loop gets its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """A value for each event loop, made when it is first asked for and forgotten when the loop is closed."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._of: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T:
        """The value of the running loop."""
        loop = asyncio.get_running_loop()
        try:
            return self._of[loop]
        except KeyError:
            for other in [*self._of]:
                if other.is_closed():
                    self._of.pop(other, None)
            return self._of.setdefault(loop, self._make())

    def take(self) -> T | None:
        """The value of the running loop, if there is one; `get` makes another."""
        return self._of.pop(asyncio.get_running_loop(), None)
