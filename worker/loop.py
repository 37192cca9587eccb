"""What a worker does between its start and its end: flush whenever that is due, and outlive servers that are away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from likes.buffer.damage import LaterBatch
from likes.errors import (
    CannotBeDurable,
    NoScripts,
    NotDurable,
    RedisUnavailable,
    SchemaOutdated,
    Unavailable,
    WrongDatabase,
    WrongRedis,
    WrongShards,
    WrongUrl,
)
from worker import events
from worker.crowding import is_crowded
from worker.figures import Figures
from worker.pulse import Pulse
from worker.rounds import Rounds
from worker.schedule import Schedule, ticking
from worker.trouble import Trouble

LOOK_SECONDS = 0.5  # how often it looks whether a flush is due


class Loop:
    """Flushes until it is stopped.

    flush_at_items: flush early when so many items are pending; 0 for never.
    again_after: seconds until shards that another worker was flushing are looked at again.
    revive: called before a flush is tried again.
    """

    def __init__(
        self,
        rounds: Rounds,
        schedule: Schedule,
        pulse: Pulse,
        figures: Figures | None = None,
        *,
        flush_at_items: int,
        again_after: float,
        revive: Callable[[], object] = lambda: None,
    ) -> None:
        self._rounds = rounds
        self._schedule = schedule
        self._pulse = pulse
        self._figures = figures or Figures()
        self._flush_at_items = flush_at_items
        self._again_after = again_after
        self._revive = revive
        self._trouble = Trouble()
        self._bell: SimpleQueue[None] = SimpleQueue()  # unlike an Event, it may be used in a signal handler
        self._stopping = False

    @property
    def in_trouble(self) -> bool:
        """True while flushes fail."""
        return self._trouble.lasts

    def run(self) -> None:
        """Flush whenever it is due, until `stop`; then once more, everything.

        Raises WrongRedis, WrongDatabase, WrongShards, WrongUrl, NoScripts and, before a first flush was done,
        SchemaOutdated and CannotBeDurable: waiting does not cure them. And what fails the last flush, but for servers
        and replicas that are away, and for a batch of a later version, whose worker will be there: what is left is
        told.
        """
        try:
            with ticking(self._schedule.interval, self._tick):
                while not self._stopping:
                    self._look()
                    with suppress(Empty):
                        self._bell.get(timeout=LOOK_SECONDS)
            self._pulse.stopping()
            self._flush_once_more()
        finally:
            self._pulse.end()

    def stop(self) -> None:
        """Let `run` come to its end. May be called from a signal handler and from other threads."""
        self._stopping = True
        self._bell.put(None)

    def _tick(self) -> None:
        self._schedule.tick()
        self._bell.put(None)

    def _look(self) -> None:
        try:
            if self._schedule.is_due() or self._is_crowded():
                self._flush()
            self._pulse.go_on()
        except Exception as error:  # whatever it is: likes pile up in Redis if nobody tries again
            if not self._may_pass(error):
                raise
            self._trouble.note(error)
            self._figures.failed(error)
            self._schedule.failed()
            self._pulse.failed(error)

    def _may_pass(self, error: Exception) -> bool:
        """False for what waiting does not cure. Tables, or replicas, that were there may be on their way back."""
        if isinstance(error, SchemaOutdated | CannotBeDurable):
            return self._rounds.have_worked
        return not isinstance(error, WrongRedis | WrongDatabase | WrongShards | WrongUrl | NoScripts)

    def _flush(self) -> None:
        if self._schedule.failing:
            self._revive()
        self._schedule.begin()
        self._pulse.flushing()
        left_to_others = self._rounds.flush()
        self._pulse.flushed()
        self._trouble.over()
        self._schedule.succeeded(self._again_after if left_to_others else None)

    def _flush_once_more(self) -> None:
        try:
            self._rounds.flush_everything()
        except (Unavailable, SchemaOutdated, NotDurable, LaterBatch) as error:
            if not self._may_pass(error):
                raise
            events.left(error, None if isinstance(error, RedisUnavailable) else self._rounds.left())

    def _is_crowded(self) -> bool:
        return not self._schedule.failing and is_crowded(self._rounds.loads(), self._flush_at_items)
