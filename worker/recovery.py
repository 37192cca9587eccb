"""What a flush does when a shard is not as it left it: Redis or SQL went back, was emptied, replaced or restored.

Every change here is one SQL transaction that locks the shard's cursor, then asks the master anew, over a fresh
connection and with a write, where the shard stands; so no replica, no demoted master and no other worker can mislead
it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from likes.batch import Batch, BatchId, Place
from likes.buffer.buffer import Buffer
from likes.buffer.standing import Standing
from likes.counted import Counted
from likes.sql.cursors import Cursor
from likes.sql.dead_letters import GIVEN_UP
from likes.sql.incidents import Kind
from likes.sql.ledger import Ledger
from likes.sql.locked_shard import LockedShard
from worker.decisions import Verdict, is_ancestor, judge, went_back


class Recovery:
    """Brings a shard's cursor and its Redis back into agreement. shards: how many there are."""

    def __init__(self, buffer: Buffer, ledger: Ledger, shards: int) -> None:
        self.buffer = buffer
        self.ledger = ledger
        self._shards = shards

    def settle(self, batch: Batch) -> tuple[Verdict, Counted]:
        """Do what the rules say with a batch; returns the verdict, and what was counted."""
        return self.ledger.locked(batch.id.shard, lambda shard: self._settle(shard, batch))

    def _settle(self, shard: LockedShard, batch: Batch) -> tuple[Verdict, Counted]:
        if batch.follows(shard.cursor.place):
            return Verdict.NEXT, shard.count(batch)
        recorded, retired = shard.is_recorded(batch.id), shard.is_retired(batch.id.epoch)
        redis, _, remembers = self.buffer.confirm(batch.id.shard, batch.id.epoch, shard.cursor.place, batch.place)
        look = partial(judge, batch, recorded=recorded, retired=retired, redis=redis, remembers=remembers)
        verdict = look(shard.cursor)
        if verdict is Verdict.ADOPT:
            _adopt(shard, redis)
            verdict = look(shard.cursor)
        if verdict is Verdict.SQL_WENT_BACK:
            self._skip_what_is_gone(shard, batch, redis)
            verdict = Verdict.NEXT
        if verdict is Verdict.NEXT:
            return verdict, shard.count(batch)
        if verdict is Verdict.SUSPECT:
            _set_aside(shard, batch)
        return verdict, Counted()

    def retire(self, shard: int, epoch: str) -> None:
        """Give up an epoch whose Redis went back, or one left behind that SQL has never seen."""

        def work(locked: LockedShard) -> None:
            redis, cursor = self.buffer.confirm(shard, epoch).standing, locked.cursor
            if cursor.epoch != epoch:
                if redis.current != epoch:
                    locked.retire(epoch, "left behind")
                return
            if not went_back(redis, cursor):
                return
            locked.retire(epoch, "Redis went back")
            detail = f"Redis stands at batch {redis.seq}, the database at {cursor.seq}; the epoch was given up"
            locked.record(Kind.REDIS_WENT_BACK, detail, epoch)

        self.ledger.locked(shard, work)

    def begin(self, shard: int, old: str) -> None:
        """Point Redis at a fresh epoch, if it points at the `old` one ("" for none)."""
        self.buffer.begin_epoch(shard, old, self._shards)

    def catch_up(self, shard: int, epoch: str) -> None:
        """Move a cursor that Redis is ahead of, with nothing in flight, to where Redis stands: SQL went back."""

        def work(locked: LockedShard) -> None:
            cursor = locked.cursor
            redis, _, remembers = self.buffer.confirm(shard, epoch, cursor.place)
            if cursor.epoch != epoch or redis.seq <= cursor.seq or redis.in_flight:
                return
            if is_ancestor(cursor, remembers):
                _write_off(locked, redis.place, redis)
                locked.move_to(redis.place)
            else:
                locked.retire(epoch, "Redis and the database both went back")
                detail = f"batch {cursor.seq} of the database is not the one that Redis knows; the epoch was given up"
                locked.record(Kind.SQL_WENT_BACK, detail, epoch)

        self.ledger.locked(shard, work)

    def adopt(self, read: Cursor, epoch: str) -> None:
        """Make the epoch Redis points at the shard's current one, if the cursor is still where it was read."""

        def work(locked: LockedShard) -> None:
            if locked.cursor.epoch != read.epoch or locked.is_retired(epoch):
                return
            redis = self.buffer.confirm(read.shard, epoch).standing
            if redis.current == epoch:
                _adopt(locked, redis)

        self.ledger.locked(read.shard, work)

    def drop(self, shard: int, epoch: str) -> None:
        """Keep the sums of a retired epoch, then forget its keys."""
        redis = self.buffer.confirm(shard, epoch).standing
        self.ledger.close_books(shard, epoch, accepted=redis.accepted, sealed=redis.sealed)
        self.buffer.drop_epoch(shard, epoch)

    def give_up_missing(self, batch: BatchId) -> bool:
        """Deal with a batch listed in flight whose content is gone: what it held is lost, its epoch cannot go on.

        False if it is there after all: looked for once more, as whoever was asked before may have been a replica.
        """

        def work(locked: LockedShard) -> bool:
            if self.buffer.fetch_anew(batch) is not None:
                return False
            redis = self.buffer.confirm(batch.shard, batch.epoch).standing
            detail = f"batch {batch.seq} was in flight, but Redis no longer has it (evicted or deleted?)"
            told = locked.has_recorded(Kind.BATCH_MISSING, batch.epoch, detail)
            if batch in redis.in_flight and not locked.is_recorded(batch) and not told:
                lost = self._lost_with(batch, locked, redis)
                locked.retire(batch.epoch, "a batch is missing")
                locked.record(Kind.BATCH_MISSING, detail, batch.epoch, lost)
            return True

        return self.ledger.locked(batch.shard, work)

    def _lost_with(self, batch: BatchId, shard: LockedShard, redis: Standing) -> int | None:
        """What was sealed in a batch without content; None where the sums cannot tell."""
        if shard.cursor.epoch != batch.epoch or not redis.has_sums:
            return None
        later = self.buffer.in_flight(one for one in redis.in_flight if one.seq > batch.seq)
        return _unaccounted(shard, redis, sum(one.delta for _, one in later if one))

    def set_apart(self, shard: int, epoch: str, excess: int) -> None:
        """Give up an epoch under which more is pending than was accepted: no one can tell what was counted before."""

        def work(locked: LockedShard) -> None:
            if locked.cursor.epoch == epoch and not locked.is_retired(epoch):
                locked.retire(epoch, "more is pending than was accepted")
                detail = (
                    f"{excess:+,} more is pending than was accepted since the shard came to another node (was an open "
                    "slot mended with keys of two moments?): what is pending is set aside as dead letters"
                )
                locked.record(Kind.SET_ASIDE, detail, epoch)

        self.ledger.locked(shard, work)

    def note_forgotten(self, shard: int, epoch: str) -> None:
        """Record one incident for a proof, by a client, that Redis no longer knows what it had acknowledged to it."""

        def work(locked: LockedShard) -> None:
            proof = self.buffer.confirm(shard, epoch).standing.forgot
            if locked.cursor.epoch != epoch or locked.cursor.forgot == proof:
                return
            known_at = datetime.fromtimestamp(proof / 1000, UTC) if proof > 0 else None
            detail = "Redis no longer knows what it had acknowledged (an older state put back in place, a key deleted?)"
            locked.record_forgotten(f"{detail}: likes may have been lost", proof, known_at)

        self.ledger.locked(shard, work)

    def _skip_what_is_gone(self, shard: LockedShard, batch: Batch, redis: Standing) -> None:
        later = self.buffer.in_flight(one for one in redis.in_flight if one.seq > batch.id.seq)
        in_flight = batch.delta + sum(one.delta for _, one in later if one)
        _write_off(shard, batch.before, redis, in_flight)
        shard.skip_to(batch.before)


def _adopt(shard: LockedShard, redis: Standing) -> None:
    before = shard.cursor
    goes_on = redis.follows == before.place  # all of the epoch before is in SQL
    if goes_on and before.epoch:
        shard.retire(before.epoch, "the number of shards was changed")
    shard.adopt(redis.epoch)
    if not goes_on and (before.epoch or redis.seq):
        detail = "Redis was emptied or replaced" if before.epoch else "Redis has a history this database does not know"
        shard.record(Kind.REDIS_REPLACED, detail, redis.epoch)


def _write_off(shard: LockedShard, end: Place, redis: Standing, in_flight: int = 0) -> None:
    """Record that the batches from the cursor up to `end` are gone from SQL, with what was in them."""
    lost = _unaccounted(shard, redis, in_flight)
    gone = f"batches {shard.cursor.seq + 1} to {end.seq}"
    shard.record(Kind.SQL_WENT_BACK, f"{gone} are not in the database: was it restored?", shard.cursor.epoch, lost)


def _unaccounted(shard: LockedShard, redis: Standing, in_flight: int) -> int:
    """What was sealed in batches under the current epoch and is neither applied, in flight nor accounted for.

    What Redis counts as sealed because it was missing is in no batch. An incident of it that SQL has lost is recorded
    again; one that a worker left behind who died before Redis's sums knew of it is told to Redis by the next flush.
    """
    epoch = redis.epoch
    off = redis.written_off - shard.written_off(Kind.DELTAS_MISSING, epoch)
    lost = shard.unaccounted(redis.sealed, in_flight) - off
    if off and redis.written_off:
        shard.record(Kind.DELTAS_MISSING, "this was written off before, and the database no longer knew", epoch, off)
    return lost


def _set_aside(shard: LockedShard, batch: Batch) -> None:
    reason, (_, epoch, seq, _) = GIVEN_UP, batch.id
    again = shard.was_set_aside(epoch, seq)
    shard.set_aside(batch, reason)
    shard.retire(epoch, "a batch was not to be trusted")
    if again:
        detail = (
            f"batch {seq} was set aside before, perhaps with the same likes: at most one of the two is to be counted"
        )
        shard.record(Kind.SET_ASIDE, detail, epoch)
    elif not shard.has_recorded(Kind.SET_ASIDE, epoch):
        detail = f"from batch {seq} on its entries are set aside as dead letters: {reason}"
        shard.record(Kind.SET_ASIDE, detail, epoch)
