"""One shard in a flush: where it stands, and what has to be put right before its pending deltas can be handed off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from threading import Event

from likes.batch import Batch, Place
from likes.buffer.damage import LaterBatch
from likes.buffer.standing import ShardView, Standing
from likes.buffer.turn import Overtaken, Turn
from likes.chain import Chain
from likes.counted import Counted
from likes.sql.cursors import Cursor
from worker.decisions import Do, Step, Verdict, next_step
from worker.generations import agree
from worker.recovery import Recovery

STEPS = 1000  # a shard that is not done by then is left for the next flush


class ShardFlush:
    """A shard that was read as `cursor` and `view`.

    started: milliseconds since 1970; what is pending then is flushed.
    stopped: once set, nothing more is begun.
    count: called with batches that are in SQL now and what was counted of them.
    node: the node of a cluster that alone may hand the shard off; None without a cluster.
    """

    turn: Turn  # what it hands off next, once `begin` or `go_on` said so
    is_done = False  # true once nothing is left that was accepted before it was read
    place: Place  # where its cursor was left

    def __init__(
        self,
        recovery: Recovery,
        cursor: Cursor,
        view: ShardView,
        started: int,
        stopped: Event,
        count: Callable[[Sequence[Batch], Counted], None],
        node: str | None = None,
    ) -> None:
        self.number = cursor.shard
        self._recovery = recovery
        self._buffer = recovery.buffer
        self._ledger = recovery.ledger
        self._cursor = cursor
        self.place = cursor.place
        self._view = view
        self._retired: Collection[str] = ()
        self._started = started
        self._stopped = stopped
        self._count = count
        self._node = node
        self._done: set[str] = set()  # epochs of which nothing is left that was pending at the start
        self._later: dict[str, LaterBatch] = {}  # epochs with a batch in flight that only a later version can read
        self._unequal: set[str] = set()  # those of them under which another sum was accepted than sealed
        self._steps = 0

    def begin(self) -> bool:
        """Do all that has to be done before its first `turn`; False if there is nothing to hand off.

        Raises whatever keeps the shard from being flushed.
        """
        if self._view.epochs.keys() - {self._cursor.epoch}:
            self._look_closer()
        return self._put_right()

    def go_on(self, applied: Collection[Chain]) -> bool:
        """The same after a turn, whose row is among those `applied` if it was counted."""
        turn = self.turn
        sealed, turn.sealed = turn.sealed, None  # not to be kept until the flush is over
        if turn.error is not None and not isinstance(turn.error, Overtaken):
            raise turn.error
        is_as_expected = turn.error is None and (sealed is None or sealed in applied)
        # What was left out is settled now, while it is in memory: Redis may have lost it.
        if is_as_expected or (sealed is not None and self._settle(sealed.batches)):
            self.place = sealed.end if sealed is not None else self.place
            if not turn.is_over:
                return True
            self._done.add(turn.epoch)
            if turn.unsealed:
                self._unequal.add(turn.epoch)
            if is_as_expected and self._view.epochs.keys() == {turn.epoch}:
                return self._end()  # the ordinary end: one epoch, its pending deltas handed off
        self._look_closer()
        return self._put_right()

    @property
    def compared(self) -> tuple[int, str] | None:
        """Shard and epoch, if likes may be missing: another sum was accepted than sealed; None if the sums agree."""
        epoch = self._cursor.epoch
        standing = self._view.epochs.get(epoch or "")
        if epoch is None or standing is None:
            return None
        is_unequal = not standing.pending and standing.accepted != standing.sealed
        return (self._cursor.shard, epoch) if is_unequal or epoch in self._unequal else None

    def _put_right(self) -> bool:
        """Follow the rules until there is a turn, or nothing is left to do."""
        while self._steps < STEPS and not self._stopped.is_set():
            self._steps += 1
            if self._view.error is not None:
                raise self._view.error
            self._buffer.ownership.require_own(self._cursor.shard, self._view.owner)
            step = next_step(self._cursor, self._retired, self._view, self._done, self._later)
            if step is None:
                return self._end()
            if step.do is Do.HAND_OFF:
                owner = self._buffer.ownership.database
                standing = self._view.epochs[step.epoch]
                self.turn = Turn(standing, owner=owner, started=self._started, node=self._node)
                return True
            self._take(step)
            self._look_closer()
        return False

    def _end(self) -> bool:
        """Nothing is left: False. Raises LaterBatch if that is but for what a later version sealed."""
        epoch = self._view.epochs.get(self._cursor.epoch or "")
        if epoch and epoch.forgot != self._cursor.forgot:
            self._recovery.note_forgotten(epoch.shard, epoch.epoch)  # before the flush covers what was lost
        for error in self._later.values():
            raise error
        self.is_done = True
        return False

    def _look_closer(self) -> None:
        shard = self._cursor.shard
        self._cursor, self._retired = self._ledger.shard(shard)
        self.place = self._cursor.place
        self._view = self._buffer.look({shard: self._cursor.epoch})[shard]
        agree(self._buffer, self._ledger, {shard: self._cursor}, {shard: self._view})

    def _take(self, step: Step) -> None:
        shard, epoch = self._cursor.shard, step.epoch
        match step.do:
            case Do.SETTLE:
                try:
                    self._settle_in_flight(self._view.epochs[epoch])
                except LaterBatch as error:
                    self._later[epoch] = error
            case Do.CATCH_UP:
                self._recovery.catch_up(shard, epoch)
            case Do.RETIRE:
                self._recovery.retire(shard, epoch)
            case Do.BEGIN:
                self._recovery.begin(shard, old=epoch)
            case Do.ADOPT:
                if self._buffer.durability.has_epoch(shard, epoch):
                    self._recovery.adopt(self._cursor, epoch)
            case Do.DROP:
                self._recovery.drop(shard, epoch)

    def _settle(self, batches: Sequence[Batch]) -> bool:
        """Settle batches one after the other; False if one has to wait, and those behind it with it."""
        return all(not self._stopped.is_set() and self._settle_one(batch) for batch in batches)

    def _settle_one(self, batch: Batch) -> bool:
        verdict, counted = self._recovery.settle(batch)
        if counted.batches:
            self._count([batch], counted)
        if verdict is Verdict.NOT_YET:
            return False
        if verdict is Verdict.ACKNOWLEDGED:
            return True
        self._buffer.acknowledge_batch(batch.id, batch)
        return True

    def _settle_in_flight(self, epoch: Standing) -> None:
        if not self._buffer.durability.has_batches(epoch.in_flight):
            return
        for batch_id, batch in self._buffer.in_flight(epoch.in_flight):
            if batch is None:
                if not self._recovery.give_up_missing(batch_id):
                    return
                self._buffer.acknowledge_batch(batch_id, None)
            elif not self._settle_one(batch):
                return
