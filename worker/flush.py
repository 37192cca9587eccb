"""A flush: what is pending and in flight in Redis goes into SQL, exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from likes.batch import Batch
from likes.buffer import Buffer, EpochView, Overtaken, ShardView
from likes.errors import Unavailable, WrongRedis
from likes.sql.cursors import Cursor
from likes.sql.ledger import Applied, Ledger
from worker.decisions import Do, Step, Verdict, next_step
from worker.recovery import Recovery

TURNS = 1000  # a shard that is not done by then is left for the next flush


class Flushed(NamedTuple):
    """What a flush counted: batches, entries and their sum; and how many entries it set aside."""

    batches: int = 0
    items: int = 0
    delta: int = 0
    dead_letters: int = 0

    def __or__(self, other: Flushed) -> Flushed:
        return Flushed(*map(sum, zip(self, other, strict=True)))


class Flusher:
    """Flushes the shards of one namespace, several at a time.

    redis_name: the Redis this database belongs to is called this.
    after_batch: called in a flushing thread after every batch that was counted.
    """

    def __init__(
        self,
        buffer: Buffer,
        ledger: Ledger,
        *,
        redis_name: str,
        shards: int,
        threads: int = 2,
        after_batch: Callable[[Batch, Applied], None] = lambda _batch, _applied: None,
    ) -> None:
        self.buffer = buffer
        self.ledger = ledger
        self.recovery = Recovery(buffer, ledger)
        self.redis_name = redis_name
        self.shards = shards
        self.threads = threads
        self.after_batch = after_batch

    def flush(self, only: Collection[int] | None = None) -> Flushed:
        """Move into SQL what is pending and in flight now, in all shards or `only` some.

        Raises Unavailable when a server goes away (the next flush goes on from there), WrongRedis before anything is
        touched, and any other error once the other shards are done.
        """
        shards = self.shards_in_use() if only is None else only
        cursors = self._cursors(shards)  # SQL before Redis: else "Redis went back" could be a false alarm
        chosen = {shard: cursors[shard] for shard in shards}
        views = self.buffer.look({shard: cursor.epoch for shard, cursor in chosen.items()})
        self.recovery.note_server(cursors.values(), self.buffer.server())
        run = _Run(self, started=time.time_ns() // 1_000_000)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="flush") as pool:
            try:
                list(pool.map(run.flush_shard, chosen.values(), (views[shard] for shard in chosen)))
            finally:
                run.stop()  # after Ctrl-C the threads end with the batch they are at
        return run.result()

    def shards_in_use(self) -> list[int]:
        """All shards: those configured, those with a cursor, and those that clients with other settings post to."""
        return sorted({*range(self.shards), *self.ledger.cursors(), *self.buffer.shards_in_use()})

    def _cursors(self, shards: Collection[int]) -> dict[int, Cursor]:
        cursors = self.ledger.cursors()
        self._require_own(cursors)  # before claiming any: rows under our name would stop the owner's workers
        if any(shard not in cursors for shard in shards):
            self.buffer.server()  # a name that leads nowhere, by a typing error, must not be the one written down
            self.ledger.claim(shards, self.redis_name)
            cursors = self.ledger.cursors()
            self._require_own(cursors)
        return cursors

    def _require_own(self, cursors: Mapping[int, Cursor]) -> None:
        other = next((c.redis_name for c in cursors.values() if c.redis_name != self.redis_name), None)
        if other is not None:
            raise WrongRedis(
                f"this database belongs to the Redis {other}, not to {self.redis_name}; "
                "if they are the same, or it moved, accept it with: likes adopt"
            )


class _Run:
    """One flush: what its threads share."""

    def __init__(self, flusher: Flusher, *, started: int) -> None:
        self.flusher = flusher
        self.buffer = flusher.buffer
        self.ledger = flusher.ledger
        self.recovery = flusher.recovery
        self.started = started
        self._flushed: list[Flushed] = []
        self._errors: list[Exception] = []
        self._stopped = False

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopped = True

    def result(self) -> Flushed:
        """The sum over all shards; raises the first error."""
        for error in sorted(self._errors, key=lambda error: not isinstance(error, Unavailable)):
            raise error
        total = Flushed()
        for flushed in self._flushed:
            total |= flushed
        return total

    def flush_shard(self, cursor: Cursor, view: ShardView) -> None:
        """Take one step after the other until nothing that was pending at the start is left."""
        if self._stopped:
            return
        try:
            self._take_steps(cursor, view)
        except Exception as error:  # noqa: BLE001 (told by `result`: one shard must not keep the others from being flushed)
            self._errors.append(error)
            if isinstance(error, Unavailable):
                self.stop()

    def _take_steps(self, cursor: Cursor, view: ShardView) -> None:
        retired: Collection[str] = ()
        if view.epochs.keys() - {cursor.epoch}:
            cursor, retired, view = self._look_closer(cursor.shard)
        done: set[str] = set()
        for _ in range(TURNS):
            if view.error is not None:
                raise view.error
            if self._stopped:
                return
            step = next_step(cursor, retired, view, done)
            if step is None:
                return
            if self._take(step, cursor, view):
                done.add(step.epoch)
                if view.epochs.keys() == {step.epoch}:
                    return  # the ordinary end: one epoch, its pending deltas handed off
            cursor, retired, view = self._look_closer(cursor.shard)

    def _look_closer(self, shard: int) -> tuple[Cursor, Collection[str], ShardView]:
        cursor, retired = self.ledger.shard(shard)
        return cursor, retired, self.buffer.look({shard: cursor.epoch})[shard]

    def _take(self, step: Step, cursor: Cursor, view: ShardView) -> bool:
        """Carry out a step; True if the epoch's pending deltas were handed off and all went as expected."""
        shard, epoch = cursor.shard, step.epoch
        match step.do:
            case Do.HAND_OFF:
                return self._hand_off(view.epochs[epoch])
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

    def _hand_off(self, view: EpochView) -> bool:
        try:
            for batch in self.buffer.hand_offs(view, started=self.started):  # acknowledges the one before
                if not self._apply(batch) or self._stopped:
                    return False
        except Overtaken:
            return False
        return True

    def _settle_in_flight(self, view: EpochView) -> None:
        for batch_id, batch in self.buffer.in_flight(view):
            if batch is None:
                self.recovery.give_up_missing(view.shard, batch_id)
            elif not self._apply(batch):
                return
            self.buffer.acknowledge(view.shard, batch_id)

    def _apply(self, batch: Batch) -> bool:
        """Count the batch, or do with it what the rules say; False if it has to wait for an older one."""
        applied, verdict = self.ledger.apply(batch), Verdict.NEXT
        if applied is None:
            verdict, applied = self.recovery.settle(batch)
        if applied is not None:
            self._flushed.append(Flushed(1, *applied))
            self.flusher.after_batch(batch, applied)
        return verdict is not Verdict.NOT_YET
