"""What was counted: in a batch, in a flush, in all flushes."""

from __future__ import annotations

from typing import NamedTuple

from likes.batch import Batch


class Counted(NamedTuple):
    """Batches, entries and the sum of their deltas that are in SQL now; and how many entries were set aside."""

    batches: int = 0
    items: int = 0
    delta: int = 0
    dead_letters: int = 0

    @classmethod
    def whole(cls, batch: Batch) -> Counted:
        """`batch` counted, every entry of it."""
        return cls(1, len(batch.deltas), batch.delta)

    def __or__(self, other: Counted) -> Counted:
        return Counted(*map(sum, zip(self, other, strict=True)))
