"""Until when an answer is waited for."""

from __future__ import annotations

import time

_LEAST_SECONDS = 0.001  # 0 would mean not to wait at all, and to a socket something else


class Deadline:
    """How long one try waits: first for a free connection, then for the answers. For one thread or task.

    first: another try may follow, so from when it has a connection it gets half of what is left.
    renewed: it begins anew with every answer, as it bounds the time without one.
    hurried: what was answered is not to wait for what has to be sent again: that is for the next try.
    """

    __slots__ = ("_at", "_first", "_renewed", "_seconds", "hurried")

    def __init__(self, seconds: float, *, first: bool = False, renewed: bool = False, hurried: bool = False) -> None:
        self.hurried = hurried
        self._seconds = seconds
        self._first = first
        self._renewed = renewed
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; a little, never 0, once it is over."""
        return max(self._at - time.monotonic(), _LEAST_SECONDS)

    def has_connection(self) -> None:
        """From now on the server is waited for."""
        if self._first:
            self._first = False
            self._seconds = self.left() / 2
            self._at = time.monotonic() + self._seconds

    def has_answer(self) -> bool:
        """An answer came; True if it begins anew."""
        if self._renewed:
            self._at = time.monotonic() + self._seconds
        return self._renewed
