"""What a worker does between its start and its end: flush whenever that is due, and outlive servers that are away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from likes.errors import SchemaOutdated, WrongDatabase, WrongRedis
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
        *,
        flush_at_items: int,
        again_after: float,
        revive: Callable[[], object] = lambda: None,
    ) -> None:
        self._rounds = rounds
        self._schedule = schedule
        self._flush_at_items = flush_at_items
        self._again_after = again_after
        self._revive = revive
        self._trouble = Trouble()
        self._bell: SimpleQueue[None] = SimpleQueue()  # unlike an Event, it may be used in a signal handler
        self._stopping = False

    def run(self) -> None:
        """Flush whenever it is due, until `stop`; then once more, everything.

        Raises SchemaOutdated, WrongRedis and WrongDatabase, which waiting does not cure, and what fails the last flush.
        """
        with ticking(self._schedule.interval, self._tick):
            while not self._stopping:
                self._look()
                with suppress(Empty):
                    self._bell.get(timeout=LOOK_SECONDS)
        self._rounds.flush_everything()

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
        except (SchemaOutdated, WrongRedis, WrongDatabase):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is: likes pile up in Redis if nobody tries again)
            self._trouble.note(error)
            self._schedule.failed()

    def _flush(self) -> None:
        if self._schedule.failing:
            self._revive()
        self._schedule.begin()
        left_to_others = self._rounds.flush()
        self._trouble.over()
        self._schedule.succeeded(self._again_after if left_to_others else None)

    def _is_crowded(self) -> bool:
        if self._schedule.failing or not self._flush_at_items:
            return False
        return self._rounds.pending_items() >= self._flush_at_items
