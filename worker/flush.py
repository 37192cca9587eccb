"""A flush: what is pending and in flight in Redis goes into SQL, exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from threading import Event, Lock
from typing import NamedTuple

from likes.batch import Batch
from likes.buffer.buffer import Buffer
from likes.errors import DatabaseBusy, LikesError, Unavailable, WrongRedis
from likes.sql.cursors import Cursor
from likes.sql.ledger import Applied, Ledger
from worker.recovery import Recovery
from worker.shard_flush import ShardFlush, ShardFlusher

ENTRIES_AT_ONCE = 16_000  # of all threads together: with more only memory grows, and how long locks are held
BYTES_A_TRANSACTION = 2**19  # a packet of MySQL's takes that, however much of it has to be escaped

Ready = dict[ShardFlush, Sequence[Batch]]  # flushes of shards, each with the batches it wants applied


class Flushed(NamedTuple):
    """What a flush counted: batches, entries and their sum; and how many entries it set aside."""

    batches: int = 0
    items: int = 0
    delta: int = 0
    dead_letters: int = 0

    def __or__(self, other: Flushed) -> Flushed:
        return Flushed(*map(sum, zip(self, other, strict=True)))


class Flusher:
    """Flushes the shards of one namespace, several side by side.

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
        run = _Run(self)
        flushes = [run.shard_flusher.flush(cursor, views[shard]) for shard, cursor in chosen.items()]
        with ThreadPoolExecutor(self.threads, thread_name_prefix="flush") as pool:
            try:
                list(pool.map(run.side_by_side, self._in_groups(flushes)))
            finally:
                run.stop()  # after Ctrl-C the threads end with the batch they are at
        return run.result()

    def shards_in_use(self) -> list[int]:
        """All shards: those configured, those with a cursor, and those that clients with other settings post to."""
        return sorted({*range(self.shards), *self.ledger.cursors(), *self.buffer.shards_in_use()})

    def _in_groups(self, flushes: Sequence[ShardFlush]) -> Iterable[Sequence[ShardFlush]]:
        most = ENTRIES_AT_ONCE // self.threads // self.buffer.items_in_a_row
        size = max(1, min(most, ceil(len(flushes) / self.threads)))
        return (flushes[first : first + size] for first in range(0, len(flushes), size))

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

    def __init__(self, flusher: Flusher) -> None:
        self._ledger = flusher.ledger
        self._after_batch = flusher.after_batch
        self._counting = Lock()
        self._total = Flushed()
        self._errors: list[Exception] = []
        self._stopped = Event()
        self.shard_flusher = ShardFlusher(
            flusher.buffer,
            flusher.ledger,
            flusher.recovery,
            started=time.time_ns() // 1_000_000,
            stopped=self._stopped,
            counted=self._counted,
        )

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopped.set()

    def result(self) -> Flushed:
        """The sum over all shards; raises the first error."""
        for error in sorted(self._errors, key=lambda error: not isinstance(error, Unavailable)):
            raise error
        return self._total

    def side_by_side(self, flushes: Sequence[ShardFlush]) -> None:
        """Flush some shards: each hands off some batches, one transaction applies them all, and so on."""
        ready = self._advance(dict.fromkeys(flushes))
        together = True
        while ready:
            applied = dict.fromkeys(ready, None)
            try:
                for some in _portions(ready) if together else ():
                    applied |= self._apply(some)
            except LikesError:
                together = False  # whose fault it is, or whether it was too much at once, shows when each goes alone
            ready = self._advance(applied)

    def _apply(self, ready: Ready) -> dict[ShardFlush, list[Applied]]:
        applied = self._ledger.apply_all([batch for batches in ready.values() for batch in batches])
        each = iter(applied or ())
        return {flush: [next(each) for _ in batches] for flush, batches in ready.items()} if applied else {}

    def _advance(self, answers: Mapping[ShardFlush, Sequence[Applied] | None]) -> Ready:
        """Tell each flush what applying its batches did; those that have more of them, with these."""
        ready = {}
        for flush, applied in answers.items():
            try:
                ready[flush] = flush.send(applied)
            except StopIteration:
                continue
            except Exception as error:  # noqa: BLE001 (told by `result`: one shard must not keep the others from being flushed)
                self._fail(error)
        return ready

    def _fail(self, error: Exception) -> None:
        self._errors.append(error)
        if isinstance(error, Unavailable) and not isinstance(error, DatabaseBusy):
            self.stop()

    def _counted(self, batch: Batch, applied: Applied) -> None:
        with self._counting:
            self._total |= Flushed(1, *applied)
        self._after_batch(batch, applied)


def _portions(ready: Ready) -> Iterator[Ready]:
    """`ready` in parts that one transaction takes."""
    portion: Ready = {}
    size = 0
    for flush, batches in ready.items():
        more = sum(len(batch.payload) for batch in batches)
        if portion and size + more > BYTES_A_TRANSACTION:
            yield portion
            portion, size = {}, 0
        portion[flush] = batches
        size += more
    yield portion
