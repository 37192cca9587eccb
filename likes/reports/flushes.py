"""Flushes as the ledger tells of them: the batches that one worker applied without a pause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from likes.sql.history import AppliedBatch

PAUSE = timedelta(seconds=0.5)  # within a flush the next batch is sealed while the one before is applied


@dataclass(slots=True)
class Flush:
    """Batches, entries in them and the sum of their deltas; from the first one's sealing to the last one's applying."""

    worker: str
    began_at: datetime
    ended_at: datetime
    batches: int = 0
    items: int = 0
    delta: int = 0


def flushes_in(batches: Iterable[AppliedBatch]) -> list[Flush]:
    """The flushes, the latest first; of the earliest perhaps only the end."""
    open_ones: dict[str, Flush] = {}
    found: list[Flush] = []
    for batch in sorted(batches, key=lambda each: each.sealed_at):
        flush = open_ones.get(batch.worker)
        if flush is None or batch.sealed_at > flush.ended_at + PAUSE:
            flush = open_ones[batch.worker] = Flush(batch.worker, batch.sealed_at, batch.applied_at)
            found.append(flush)
        flush.ended_at = max(flush.ended_at, batch.applied_at)
        flush.batches += 1
        flush.items += batch.items
        flush.delta += batch.delta
    return sorted(found, key=lambda flush: flush.ended_at, reverse=True)
