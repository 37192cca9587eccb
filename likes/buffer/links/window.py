"""How much may be under way on one connection.

Redis runs all that one connection has queued before it serves another, and the others wait meanwhile: so it is limited.
"""

from __future__ import annotations

from collections import deque

BYTES_UNDER_WAY = 2**16  # some milliseconds of Redis's time; an add of 1,000 items is one such round trip


class Window:
    """The requests of one connection that were sent and are not answered yet."""

    def __init__(self) -> None:
        self._weights: deque[int] = deque()
        self._weight = 0

    def __bool__(self) -> bool:
        return bool(self._weights)

    def has_room(self, size: int) -> bool:
        """True if a request of `size` bytes may be sent before any other is answered."""
        return not self._weights or self._weight + size <= BYTES_UNDER_WAY

    def sent(self, size: int, *, alone: bool) -> None:
        """A request went out. alone: nothing may follow it before it is answered."""
        self._weights.append(BYTES_UNDER_WAY if alone else size)
        self._weight += self._weights[-1]

    def answered(self) -> None:
        """The oldest request was answered."""
        self._weight -= self._weights.popleft()
