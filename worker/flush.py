"""A flush: what is pending in Redis goes into SQL, exactly once. This is the main path; `Flush._flush` is its heart.

What is not in order is put right first, shard by shard (`shard_flush`), by the rules (`decisions`, `recovery`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import ceil
from threading import Event, Lock

from likes.batch import Batch
from likes.buffer.buffer import Buffer
from likes.buffer.standing import ShardView
from likes.chain import Chain
from likes.counted import Counted
from likes.errors import DatabaseBusy, LikesError, ShardMoving, Unavailable, another_number
from likes.sql.cursors import Cursor
from likes.sql.ledger import Ledger
from worker.arrivals import Arrivals
from worker.beginning import Beginning
from worker.claim import Pair
from worker.generations import agree
from worker.missing import Missing
from worker.recovery import Recovery
from worker.shard_flush import ShardFlush

ENTRIES_AT_ONCE = 16_000  # of all threads together: with more only memory grows, and how long locks are held


class Flusher:
    """Flushes the shards of one namespace, several side by side.

    redis_name: the name by which the database knows its Redis; former_redis_names: those it may know it by still.
    any_number: flush whatever the number of shards is; else only where it is `shards`, as far as Redis tells.
    on_counted: called in a flushing thread with batches of a shard that are in SQL now, and what was counted of them.
    """

    def __init__(
        self,
        buffer: Buffer,
        ledger: Ledger,
        *,
        redis_name: str,
        former_redis_names: Collection[str] = (),
        shards: int,
        threads: int = 2,
        any_number: bool = False,
        on_counted: Callable[[Sequence[Batch], Counted], None] = lambda _batches, _counted: None,
    ) -> None:
        self.buffer = buffer
        self.ledger = ledger
        self.recovery = Recovery(buffer, ledger, shards)
        self.redis_names = (redis_name, *former_redis_names)
        self._pair = Pair(buffer, ledger, redis_name, former_redis_names)
        self.missing = Missing(buffer, ledger)
        self.shards = shards
        self.threads = threads
        self._any_number = any_number
        self.on_counted = on_counted

    def flush(self, only: Collection[int] | None = None) -> Counted:
        """Move into SQL what is pending and in flight now, in all shards or `only` some.

        Raises Unavailable when a server goes away (the next flush goes on from there), WrongRedis before anything is
        touched, and any other error once the other shards are done.
        """
        return Flush(self).run(self.shards_in_use() if only is None else only)

    def shards_in_use(self) -> list[int]:
        """All shards: those configured, those with a cursor, and those that clients with other settings post to."""
        return sorted({*range(self.shards), *self.ledger.cursors(), *self.buffer.shards_in_use()})

    def claim(self, shards: Collection[int]) -> dict[int, Cursor]:
        """The cursors of all shards, once Redis and the database are known to belong to each other alone.

        Raises WrongRedis, WrongDatabase and CannotBeDurable, before anything of another's is touched.
        """
        self.buffer.durability.require({*range(self.shards), *shards})
        cursors = self._pair.claim({*range(self.shards), *shards})
        self.ledger.note_replaced()
        return cursors

    def require_redis(self) -> None:
        """Raise WrongRedis if the database belongs to another one."""
        self._pair.require_redis(self.ledger.cursors())

    def require_number(self, views: Mapping[int, ShardView]) -> None:
        """Raise WrongShards if Redis holds likes in another number of shards; what was given up does not count."""
        for shard, view in views.items():
            if not self._any_number and view.number not in (None, self.shards):
                _, retired = self.ledger.shard(shard)
                if view.current not in retired:
                    raise another_number(view.number or 0, self.shards)


class Flush:
    """One flush, and what it has counted so far; what is pending when it begins is moved.

    resharding: to how many shards their number is just being changed, "" if it is not.
    """

    resharding = ""

    def __init__(self, flusher: Flusher) -> None:
        self.counted = Counted()
        self._flusher = flusher
        self._buffer = flusher.buffer
        self._ledger = flusher.ledger
        self._counting = Lock()
        self._errors: list[Exception] = []
        self._moving: dict[int, ShardMoving] = {}
        self._stopped = Event()

    def run(self, shards: Collection[int]) -> Counted:
        """Flush `shards`, by several threads; raises as `Flusher.flush` does, once nothing more can be done. Last of
        all ShardMoving, where nothing else is wrong than that a shard is on its way to another node.
        """
        began = Beginning(self._buffer, self._ledger)
        flushed = self._look_at(shards, began)
        with ThreadPoolExecutor(self._flusher.threads, thread_name_prefix="flush") as pool:
            try:
                list(pool.map(self._flush_group, self._in_groups(flushed)))
                if again := {*self._put_back(flushed), *self._moving}:
                    self._moving.clear()
                    flushed = [shard for shard in flushed if shard.number not in again]
                    flushed += (more := self._look_at(again, Beginning(self._buffer, self._ledger)))
                    list(pool.map(self._flush_group, self._in_groups(more)))
            finally:
                self._stopped.set()  # after Ctrl-C the threads end with the row they are at
        try:
            began.cover({shard.number: shard.place for shard in flushed if shard.is_done})
        except Exception as broken:  # noqa: BLE001 (told below, like what kept shards from being flushed)
            self._fail(broken)
        for error in sorted(self._errors, key=lambda error: not isinstance(error, Unavailable)):
            raise error
        for moving in self._moving.values():
            raise moving
        return self.counted

    def _flush_group(self, shards: Sequence[ShardFlush]) -> None:
        groups = deque([self._ready(shards, ShardFlush.begin)])
        try:
            while groups and not self._stopped.is_set():
                left = self._flush(groups.popleft())
                groups += [[shard] for shard in left]  # so that what keeps one back costs the others nothing more
        except Exception as error:  # noqa: BLE001 (told by `run`, once the other groups are done)
            self._fail(error)

    def _flush(self, shards: Sequence[ShardFlush]) -> Sequence[ShardFlush]:
        """Move what is pending in these shards into SQL, exactly once; returns those with more to hand off, once a row
        was not as expected.
        """
        while shards and not self._stopped.is_set():
            turns = [shard.turn for shard in shards]
            self._buffer.hand_off(turns)  # a row of batches of each is in flight
            durable = self._buffer.durability.rows(turns)  # replicas, or the disk, have it too, if that is wanted
            applied = self._ledger.apply(durable)  # in one transaction; what does not follow its cursor is left out
            self._count_whole(applied)
            self._buffer.acknowledge([turn for turn in turns if turn.sealed in applied])  # harmless when repeated
            shards = self._ready(shards, partial(ShardFlush.go_on, applied=applied))  # what was left out, by the rules
            if len(applied) < len(durable):
                break
        return shards

    def _put_back(self, shards: Sequence[ShardFlush]) -> Collection[int]:
        """Look for likes that are missing; returns the shards in which there are more to flush now."""
        compared = dict(pair for shard in shards if (pair := shard.compared))
        try:
            return self._flusher.missing.put_back(compared) if compared and not self._stopped.is_set() else ()
        except Exception as error:  # noqa: BLE001 (told by `run`: what was flushed is flushed)
            self._fail(error)
            return ()

    def _ready(self, shards: Iterable[ShardFlush], look: Callable[[ShardFlush], bool]) -> list[ShardFlush]:
        """Those of `shards` that have something to hand off, once they are in order."""
        ready = []
        for shard in shards:
            try:
                if not self._stopped.is_set() and look(shard):
                    ready.append(shard)
            except Exception as error:  # noqa: BLE001 (told by `run`: one shard must not keep the others from being flushed)
                self._leave(shard.number, error)
        return ready

    def _look_at(self, shards: Collection[int], began: Beginning) -> list[ShardFlush]:
        cursors = self._flusher.claim(shards)  # SQL before Redis: else "Redis went back" could be a false alarm
        arrivals = Arrivals(self._flusher.recovery, self._flusher.missing, cursors, began.note_servers(cursors))
        views = self._buffer.look({shard: cursors[shard].epoch if shard in cursors else None for shard in shards})
        self._flusher.require_number(views)
        self.resharding = next((view.resharding for view in views.values() if view.resharding), "")
        for shard in {*shards} - {*cursors}:  # nobody can tell whose it is, and so it was not claimed
            unclaimed = LikesError(f"{self._buffer.where}: shard {shard} was not claimed; flush again")
            self._fail(views[shard].error or unclaimed)
        agree(self._buffer, self._ledger, cursors, views)
        left = arrivals.receive(views)
        for shard, error in left.items():
            self._leave(shard, error)
        started = time.time_ns() // 1_000_000
        return [
            ShardFlush(
                self._flusher.recovery,
                cursors[shard],
                views[shard],
                started,
                self._stopped,
                self._count,
                arrivals.node(shard),
            )
            for shard in shards
            if shard in cursors and shard not in left
        ]

    def _in_groups(self, shards: Sequence[ShardFlush]) -> list[Sequence[ShardFlush]]:
        threads = self._flusher.threads
        most = ENTRIES_AT_ONCE // threads // self._buffer.items_in_a_row
        size = max(1, min(most, ceil(len(shards) / threads)))
        return [shards[first : first + size] for first in range(0, len(shards), size)]

    def _count_whole(self, chains: Sequence[Chain]) -> None:
        self._add_up([chain.counted for chain in chains])
        for chain in chains:
            self._flusher.on_counted(chain.batches, chain.counted)

    def _count(self, batches: Sequence[Batch], counted: Counted) -> None:
        self._add_up([counted])
        self._flusher.on_counted(batches, counted)

    def _add_up(self, counted: Iterable[Counted]) -> None:
        with self._counting:
            for each in counted:
                self.counted |= each

    def _leave(self, shard: int, error: Exception) -> None:
        if isinstance(error, ShardMoving):
            self._moving[shard] = error
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._errors.append(error)
        if isinstance(error, Unavailable) and not isinstance(error, DatabaseBusy):
            self._stopped.set()
