"""What piles up and loses its use after a while: silent producers in Redis, old rows of the ledger in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from likes.buffer.buffer import BATCHES_IN_A_ROW, Buffer
from likes.buffer.producers import Sightings
from likes.posting.producer import MEMORY_SECONDS
from likes.sql.ledger import Ledger
from likes.sql.retention import prune_ledger
from worker import events

EVERY_SECONDS = 600.0
LEDGER_SECONDS = 5.0  # how long deleting may take at a time


class Housekeeping:
    """Prunes every ten minutes at most. `retention_days`: how long rows of the ledger are kept."""

    def __init__(
        self, buffer: Buffer, ledger: Ledger, retention_days: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Half of it: what a client may still send again went out first within the other half, before it was seen.
        self._producers = Sightings(buffer, MEMORY_SECONDS / 2, clock=clock)
        self._ledger = ledger
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._next = clock()

    def tidy(self, shards: Collection[int]) -> None:
        """Prune, unless that was done lately. Raises Unavailable."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_SECONDS
        producers = self._producers.forget_silent(shards)
        rows = self._prune_ledger(datetime.now(UTC) - self._retention)
        if producers or rows:
            events.pruned(producers=producers, batches=rows)

    def _prune_ledger(self, before: datetime) -> int:
        engine, namespace = self._ledger.engine, self._ledger.namespace
        return prune_ledger(engine, namespace, before, newest=BATCHES_IN_A_ROW, seconds=LEDGER_SECONDS)
