"""Chains: batches of one shard in a row, each on top of the one before. They are counted together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from likes.batch import Batch, Place
from likes.counted import Counted


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """At least one batch. A single one is a chain of its own."""

    batches: tuple[Batch, ...]

    @property
    def shard(self) -> int:
        """The shard of them all."""
        return self.batches[0].id.shard

    @property
    def before(self) -> Place:
        """Where the cursor has to stand for it to be counted."""
        return self.batches[0].before

    @property
    def end(self) -> Place:
        """Where the cursor stands once it is counted."""
        return self.batches[-1].id.place

    @property
    def delta(self) -> int:
        """The sum of all its deltas."""
        return sum(batch.delta for batch in self.batches)

    @property
    def bytes(self) -> int:
        """The size of its batches as they were sealed."""
        return sum(len(batch.payload) for batch in self.batches)

    @property
    def is_whole(self) -> bool:
        """True if each batch follows the one before, and every entry is a delta."""
        linked = all(batch.follows(before.id.place) for before, batch in pairwise(self.batches))
        return linked and not any(batch.misfits for batch in self.batches)

    @property
    def counted(self) -> Counted:
        """What it counts, if the database takes every entry."""
        return Counted(len(self.batches), sum(len(batch.deltas) for batch in self.batches), self.delta)
