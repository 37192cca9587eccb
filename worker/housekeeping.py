"""What piles up and loses its use after a while: sessions that are over, silent producers, old rows in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from likes.buffer.buffer import BATCHES_IN_A_ROW, Buffer
from likes.buffer.producers import SilentProducers
from likes.buffer.resharding import forget_left
from likes.posting.producer import MEMORY_SECONDS
from likes.sql.ledger import Ledger
from likes.sql.retention import prune_ledger
from worker import events
from worker.sweep import Sweep

EVERY_SECONDS = 600.0
PRUNING_SECONDS = 5.0  # how long deleting from a table may take at a time


class Housekeeping:
    """Sweeps after each flush and prunes every ten minutes at most. `retention_days`: how long rows of the ledger, and
    those of sessions that kept nothing, are kept.
    """

    def __init__(
        self,
        buffer: Buffer,
        ledger: Ledger,
        sweep: Sweep,
        retention_days: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buffer = buffer
        self._sweep = sweep
        self._producers = SilentProducers(buffer, MEMORY_SECONDS, clock=clock)
        self._ledger = ledger
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._next = clock()

    def tidy(self, shards: Collection[int]) -> None:
        """Sweep; and prune, unless that was done lately. Raises Unavailable."""
        self._sweep.run()
        if self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_SECONDS
        producers = self._producers.forget(shards)
        forget_left(self._buffer, shards)
        before = datetime.now(UTC) - self._retention
        rows = self._prune_ledger(before)
        sessions = self._sweep.prune(before, seconds=PRUNING_SECONDS)
        if producers or rows or sessions:
            events.pruned(producers=producers, batches=rows, sessions=sessions)

    def _prune_ledger(self, before: datetime) -> int:
        engine, namespace = self._ledger.engine, self._ledger.namespace
        return prune_ledger(engine, namespace, before, newest=BATCHES_IN_A_ROW, seconds=PRUNING_SECONDS)
