"""What keeps the worker from flushing: told once when it begins and once when it is over."""

from __future__ import annotations

import time

from likes.errors import DatabaseUnavailable, LikesError, RedisUnavailable
from worker import events


class Trouble:
    """Remembers what was told already."""

    def __init__(self) -> None:
        self._told: object = None
        self._since = 0.0

    def note(self, error: Exception) -> None:
        """A flush failed with `error`."""
        if self._told is None:
            self._since = time.monotonic()
        if self._told != (kind := _kind(error)):
            self._told = kind
            events.trouble(error)

    def over(self) -> None:
        """A flush succeeded."""
        if self._told is not None:
            self._told = None
            events.recovered(time.monotonic() - self._since)


def _kind(error: Exception) -> object:
    for away in (RedisUnavailable, DatabaseUnavailable):  # refused or timed out: the same trouble
        if isinstance(error, away):
            return away
    return str(error) if isinstance(error, LikesError) else type(error)
