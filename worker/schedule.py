"""When to flush: on the interval, again soon after a failure, and whenever the last flush was too long ago.

APScheduler ticks by the wall clock, from a thread of its own. A tick only says that a flush is due, so it cannot hang,
pile up or run beside another flush. All else goes by the monotonic clock, which nobody sets: when the wall clock is set
back, no tick comes until it has caught up, and a flush is due all the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

JITTER = 0.1  # a tick comes up to this part of the interval early, so that several workers do not tick together
SLACK = 0.1  # a flush is due without a tick, too, once it is late by this part of the interval and a second
SLACK_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0


class Schedule:
    """Says whether a flush is due. `interval`: seconds; `clock`: seconds on a clock that never goes back.

    The first flush is due at once. After a failure ticks do not count: it is tried again after a pause, which doubles
    with every failure up to 30 s or the interval.
    """

    def __init__(self, interval: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval = interval
        self.failing = False
        self._clock = clock
        self._ticked = True
        self._began_at = clock()
        self._again_at: float | None = None
        self._pause = 0.0

    def tick(self) -> None:
        """Make a flush due. May be called from any thread."""
        self._ticked = True

    def is_due(self) -> bool:
        """True if a flush should begin now."""
        now = self._clock()
        if self._again_at is not None and now >= self._again_at:
            return True
        return not self.failing and (self._ticked or now - self._began_at > self._longest)

    @property
    def _longest(self) -> float:
        return self.interval * (1 + SLACK) + SLACK_SECONDS

    def begin(self) -> None:
        """A flush begins; ticks during it count for the next one."""
        self._ticked = False
        self._again_at = None
        self._began_at = self._clock()

    def succeeded(self, again_after: float | None = None) -> None:
        """The flush is done; another one is due in `again_after` seconds, if that is before the next tick."""
        self.failing, self._pause = False, 0.0
        self._again_at = None if again_after is None else self._clock() + again_after

    def failed(self) -> None:
        """The flush was not done: try again after a pause."""
        self.failing = True
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS, self.interval)
        self._again_at = self._clock() + self._pause * random.uniform(0.75, 1)  # noqa: S311 (spreads retries)


@contextmanager
def ticking(interval: float, tick: Callable[[], None]) -> Iterator[BackgroundScheduler]:
    """Call `tick` from a thread, every `interval` seconds or a little sooner, until the block ends."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(
        tick,
        IntervalTrigger(seconds=interval * (1 - JITTER), jitter=interval * JITTER, timezone=UTC),
        id="flush",
        misfire_grace_time=None,  # its default drops a tick that is a second late
        coalesce=True,
        max_instances=1,
    )
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)
