"""One shard in a transaction that holds its cursor's lock: what the rules may ask there, and what they may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection

from likes.batch import Batch, BatchId, Place
from likes.counted import Counted
from likes.deltas import MAX_DELTA, MIN_DELTA, Deltas
from likes.sql import cursors, dead_letters, epochs, incidents
from likes.sql.clock import read_clock
from likes.sql.dead_letters import DeadLetter
from likes.sql.exposure import window_of
from likes.sql.generations import renewed
from likes.sql.incidents import Kind
from likes.sql.rows import is_recorded, was_set_aside, write_rows


class LockedShard:
    """The shard's cursor as it stands, and the changes to it. Raises LikesError if it has none."""

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        shard: int,
        worker: str,
        redis_clock: Callable[[int], datetime | None],
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._shard = shard
        self._worker = worker
        self._redis_clock = redis_clock
        self._now = datetime.now(UTC)
        self.cursor = cursors.lock(connection, namespace, shard)

    def is_recorded(self, batch: BatchId) -> bool:
        """True if this very batch was counted or set aside."""
        return is_recorded(self._connection, self._namespace, batch)

    def was_set_aside(self, epoch: str, seq: int) -> bool:
        """True if a batch of this number was set aside, whatever was in it."""
        return was_set_aside(self._connection, self._namespace, self._shard, epoch, seq)

    def is_retired(self, epoch: str) -> bool:
        """True if the epoch was given up."""
        return epochs.is_retired(self._connection, self._namespace, self._shard, epoch)

    def count(self, batch: Batch) -> Counted:
        """Count a batch that follows the cursor, setting aside the entries that the database refuses."""
        now = datetime.now(UTC)
        refused = dead_letters.add_or_refuse(self._connection, Deltas.joined([batch.deltas]), now)
        letters = [*dead_letters.misfits_of(batch), *refused]
        counted = _without(batch, refused, len(letters))
        self.cursor = self.cursor._replace(
            seq=batch.id.seq,
            nonce=batch.id.nonce,
            applied_delta=_clamped(self.cursor.applied_delta + counted.delta),
        )
        cursors.move(self._connection, self._namespace, self.cursor, now)
        dead_letters.write(self._connection, self._namespace, batch.id, letters, now)
        write_rows(self._connection, self._namespace, self._worker, [(batch, counted)], self._now)
        return counted

    def set_aside(self, batch: Batch, reason: str) -> None:
        """Keep all entries of a batch as dead letters."""
        letters = dead_letters.everything_in(batch, reason)
        dead_letters.write(self._connection, self._namespace, batch.id, letters, self._now)

    def retire(self, epoch: str, reason: str) -> None:
        """Give up an epoch for ever; the cursor has none then, if it was the current one."""
        self.cursor = epochs.retire(self._connection, self._namespace, self.cursor, epoch, reason, self._now)

    def adopt(self, epoch: str) -> None:
        """Make the epoch the current one, from before its first batch; the one before it is given up."""
        if self.cursor.epoch:
            self.retire(self.cursor.epoch, "Redis was replaced")
        self.cursor = self.cursor._replace(epoch=epoch, seq=0, nonce="", applied_delta=0, forgot=0)
        cursors.move(self._connection, self._namespace, self.cursor, self._now)

    def skip_to(self, place: Place) -> None:
        """Take the batches up to this place of the current epoch for gone; written with the next one counted. Totals
        that were cached with them hold no more.
        """
        generation = renewed(self.cursor.generation)
        self.cursor = self.cursor._replace(seq=place.seq, nonce=place.nonce, generation=generation)

    def move_to(self, place: Place) -> None:
        """Take the batches up to this place of the current epoch for gone."""
        self.skip_to(place)
        cursors.move(self._connection, self._namespace, self.cursor, self._now)

    def unaccounted(self, sealed: int, in_flight: int) -> int:
        """What was sealed under the current epoch and is neither applied, in flight, a dead letter nor written off."""
        return incidents.unaccounted(self._connection, self._namespace, self.cursor, sealed, in_flight)

    def record(self, kind: Kind, detail: str, epoch: str | None, delta: int | None = None) -> None:
        """Write an incident: likes accepted since the shard was covered may be lost; `delta`, if given, is lost."""
        redis_now, sql_now = self._redis_clock(self._shard), read_clock(self._connection)
        incidents.record(
            self._connection,
            self._namespace,
            kind,
            detail,
            at=sql_now,
            exposed=window_of([self.cursor], redis_now=redis_now, sql_now=sql_now),
            shard=self._shard,
            epoch=epoch,
            delta=delta,
        )

    def record_forgotten(self, detail: str, proof: int, known_at: datetime | None) -> None:
        """Write the incident that a `proof` means: Redis no longer knows what it had acknowledged at `known_at`.

        A flush that was over later may have covered the shard by what Redis was left with: then nobody knows when the
        window begins.
        """
        self.cursor = self.cursor._replace(forgot=proof)
        cursors.move(self._connection, self._namespace, self.cursor, self._now)
        over = self.cursor.covered_by
        if known_at is None or (over and known_at < over):
            self.cursor = self.cursor._replace(covered_to=None)
        self.record(Kind.REDIS_FORGOT, detail, self.cursor.epoch)

    def written_off(self, kind: Kind, epoch: str) -> int:
        """What incidents of this kind have written off in this epoch."""
        return incidents.written_off(self._connection, self._namespace, kind, self._shard, epoch)

    def has_recorded(self, kind: Kind, epoch: str, detail: str | None = None) -> bool:
        """True if there was such an incident in this epoch, with this very detail if one is given."""
        return incidents.is_recorded(self._connection, self._namespace, kind, self._shard, epoch, detail)


def _without(batch: Batch, refused: Iterable[DeadLetter], letters: int) -> Counted:
    dead = {(letter.counter, letter.item) for letter in refused}
    counted = [delta.delta for delta in batch.deltas if (delta.counter, delta.item) not in dead]
    return Counted(1, len(counted), _clamped(sum(counted)), letters)


def _clamped(delta: int) -> int:
    """`delta`, held within 64 bits: a sum that left them is no longer exact, but must not stop the flush."""
    return max(MIN_DELTA, min(MAX_DELTA, delta))
