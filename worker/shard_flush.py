"""The flush of one shard: one step after the other, until nothing that was pending at its start is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from threading import Event
from typing import TypeVar

from likes.batch import Batch
from likes.buffer.buffer import Buffer, Overtaken
from likes.buffer.standing import EpochView, ShardView
from likes.sql.cursors import Cursor
from likes.sql.ledger import Applied, Ledger
from worker.decisions import Do, Step, Verdict, next_step
from worker.recovery import Recovery

TURNS = 1000  # a shard that is not done by then is left for the next flush

T = TypeVar("T")

# Yields batches that should be the next on their chain; is sent what applying them did, None if nothing was applied.
Applying = Generator[Sequence[Batch], Sequence[Applied] | None, T]
ShardFlush = Applying[None]


class ShardFlusher:
    """Flushes shards, each on its own.

    started: when, in milliseconds since 1970; what is pending then is flushed.
    stopped: once set, no further batch is begun.
    counted: called with every batch that is in SQL now.
    """

    def __init__(
        self,
        buffer: Buffer,
        ledger: Ledger,
        recovery: Recovery,
        *,
        started: int,
        stopped: Event,
        counted: Callable[[Batch, Applied], None],
    ) -> None:
        self.buffer = buffer
        self.ledger = ledger
        self.recovery = recovery
        self.started = started
        self.stopped = stopped
        self.counted = counted

    def flush(self, cursor: Cursor, view: ShardView) -> ShardFlush:
        """Flush one shard, which was read as `cursor` and `view`."""
        if self.stopped.is_set():
            return
        retired: Collection[str] = ()
        if view.epochs.keys() - {cursor.epoch}:
            cursor, retired, view = self._look_closer(cursor.shard)
        done: set[str] = set()
        for _ in range(TURNS):
            if view.error is not None:
                raise view.error
            step = next_step(cursor, retired, view, done)
            if step is None:
                return
            if (yield from self._take(step, cursor, view)):
                done.add(step.epoch)
                if view.epochs.keys() == {step.epoch}:
                    return  # the ordinary end: one epoch, its pending deltas handed off
            if self.stopped.is_set():
                return
            cursor, retired, view = self._look_closer(cursor.shard)

    def _look_closer(self, shard: int) -> tuple[Cursor, Collection[str], ShardView]:
        cursor, retired = self.ledger.shard(shard)
        return cursor, retired, self.buffer.look({shard: cursor.epoch})[shard]

    def _take(self, step: Step, cursor: Cursor, view: ShardView) -> Applying[bool]:
        """Carry out a step; True if the epoch's pending deltas were handed off and all went as expected."""
        shard, epoch = cursor.shard, step.epoch
        match step.do:
            case Do.HAND_OFF:
                return (yield from self._hand_off(view.epochs[epoch], is_current=epoch == cursor.epoch))
            case Do.SETTLE:
                self._settle_in_flight(view.epochs[epoch])
            case Do.RETIRE:
                self.recovery.retire(shard, epoch)
            case Do.BEGIN:
                self.buffer.begin_epoch(shard, old=epoch)
            case Do.ADOPT:
                self.recovery.adopt(cursor, epoch)
            case Do.DROP:
                self.recovery.drop(shard, epoch)
        return False

    def _hand_off(self, view: EpochView, *, is_current: bool) -> Applying[bool]:
        try:
            for batches in self.buffer.hand_offs(view, started=self.started):  # acknowledges those before
                applied = (yield batches) if is_current else None
                if applied is not None:
                    for batch, done in zip(batches, applied, strict=True):
                        self.counted(batch, done)
                # Now, while they are at hand: Redis may have forgotten them.
                elif not all(not self.stopped.is_set() and self._settle(batch) for batch in batches):
                    return False
                if self.stopped.is_set():
                    return False
        except Overtaken:
            return False
        return True

    def _settle_in_flight(self, view: EpochView) -> None:
        for batch_id, batch in self.buffer.in_flight(view.shard, view.in_flight):
            if batch is None:
                self.recovery.give_up_missing(view.shard, batch_id)
            elif not self._settle(batch):
                return
            self.buffer.acknowledge(view.shard, batch_id)

    def _settle(self, batch: Batch) -> bool:
        """Count the batch, or do with it what the rules say; False if it has to wait for an older one."""
        applied, verdict = self.ledger.apply(batch), Verdict.NEXT
        if applied is None:
            verdict, applied = self.recovery.settle(batch)
        if applied is not None:
            self.counted(batch, applied)
        return verdict is not Verdict.NOT_YET
