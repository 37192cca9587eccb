"""What keeps the worker from flushing: told once when it begins, again while it lasts, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from likes.errors import DatabaseUnavailable, LikesError, RedisUnavailable
from worker import events

REMINDERS_SECONDS = (180.0, 900.0, 3600.0)  # the pause before each; the last is repeated


class Trouble:
    """Remembers what was told already. `clock`: seconds on a clock that never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: set[object] = set()
        self._since = 0.0
        self._pauses: Iterator[float] = iter(())
        self._remind_at = 0.0

    @property
    def lasts(self) -> bool:
        """True from the first failure on, until a flush succeeds."""
        return bool(self._told)

    def note(self, error: Exception) -> None:
        """A flush failed with `error`."""
        now = self._clock()
        if not self._told:
            self._since = now
            self._pauses = chain(REMINDERS_SECONDS, repeat(REMINDERS_SECONDS[-1]))
            self._remind_at = now + next(self._pauses)
        if (kind := _kind(error)) not in self._told:
            self._told.add(kind)
            events.trouble(error)
        elif now >= self._remind_at:
            self._remind_at = now + next(self._pauses)
            events.trouble_lasts(error, now - self._since)

    def over(self) -> None:
        """A flush succeeded."""
        if self._told:
            self._told.clear()
            events.recovered(self._clock() - self._since)


def _kind(error: Exception) -> object:
    for away in (RedisUnavailable, DatabaseUnavailable):  # refused or timed out: the same trouble
        if isinstance(error, away):
            return away
    return str(error) if isinstance(error, LikesError) else type(error)
