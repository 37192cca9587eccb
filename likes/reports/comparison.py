"""What must agree between SQL and Redis for one shard; each check is a pure function that says what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from likes.buffer.inventory import Inventory, differ_in_number
from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.sql.books import Books


class Problem(NamedTuple):
    """Something that does not agree, and by how much."""

    kind: str
    amount: int
    text: str


class Comparison(NamedTuple):
    """One shard: its books in SQL against what Redis holds under its current epoch; all amounts are sums of deltas.

    in_flight: of batches that SQL does not have yet.
    is_steady: the books can be compared with Redis; is_still: the keys can be, too. Else a worker or likes came in.
    """

    shard: int
    books: Books
    redis: Inventory
    is_steady: bool
    is_still: bool

    @property
    def applied(self) -> int:
        """Counted under Redis's current epoch."""
        return self.books.cursor.applied_delta if self.books.cursor and self._is_one_epoch else 0

    @property
    def dead_letters(self) -> int:
        """Set aside under it."""
        return self.books.dead_letters if self._is_one_epoch else 0

    @property
    def written_off(self) -> int:
        """Known to be lost, by incidents."""
        return self.books.written_off if self._is_one_epoch else 0

    @property
    def in_flight(self) -> int:
        """In flight and not in SQL."""
        return sum(self.redis.in_flight[seq] or 0 for seq in self._ahead)

    @property
    def is_saturated(self) -> bool:
        """True if a sum reached the limits of 64 bits, past which it says nothing any more."""
        sums = (self.redis.standing.accepted, self.redis.standing.sealed, self.applied)
        return any(number in (MIN_DELTA, MAX_DELTA) for number in sums)

    def problems(self) -> list[Problem]:
        """All that could be compared and does not agree."""
        if not self.is_steady:
            return []
        found = [*self._in_epochs(), *self._in_ledger(), *self._in_numbers(), *self._in_entries()]
        if not self.is_saturated:
            found += [*self._in_sums(), *(self._in_keys() if self.is_still else ())]
        return found

    @property
    def _is_one_epoch(self) -> bool:
        cursor, epoch = self.books.cursor, self.redis.standing.epoch
        return bool(epoch and cursor and cursor.epoch == epoch)

    @property
    def _ahead(self) -> list[int]:
        done = self.books.cursor.seq if self.books.cursor and self._is_one_epoch else 0
        return [seq for seq in self.redis.in_flight if seq > done]

    def _in_epochs(self) -> Iterator[Problem]:
        cursor, epoch = self.books.cursor, self.redis.standing.epoch
        if cursor and cursor.epoch and not self._is_one_epoch:
            what = f"points at epoch {epoch}" if epoch else "is empty"
            why = "emptied or replaced since the last flush"
            if differ_in_number(cursor.epoch, epoch):
                why = "its number of shards is being changed; if that was broken off, likes status says what to type"
            yield Problem("epoch", 0, f"the database is at epoch {cursor.epoch}, Redis {what}: {why}")

    def _in_ledger(self) -> Iterator[Problem]:
        cursor, rows = self.books.cursor, self.books.rows
        if cursor is None or cursor.epoch is None or cursor.seq == 0:
            return
        moved_past_gaps = self.books.has_gaps and rows.last < cursor.seq
        if (rows.last, self.books.last_nonce) != (cursor.seq, cursor.nonce) and not moved_past_gaps:
            text = f"the cursor is at batch {cursor.seq}, but that is not the newest row of the ledger"
            yield Problem("cursor", cursor.seq - rows.last, text)
            return
        gone = rows.last - rows.first + 1 - rows.number
        if gone and not self.books.has_gaps:
            yield Problem("ledger", gone, f"{gone} batches between {rows.first} and {rows.last} are not in the ledger")
        off = cursor.applied_delta - rows.delta
        if rows.first == 1 and not gone and off and not self.is_saturated:
            text = f"the ledger adds up to {rows.delta}, the cursor says {cursor.applied_delta} was applied"
            yield Problem("applied", off, text)

    def _in_numbers(self) -> Iterator[Problem]:
        cursor, standing = self.books.cursor, self.redis.standing
        for seq, delta in self.redis.in_flight.items():
            if delta is None and seq in self._ahead:
                yield Problem("content", seq, f"batch {seq} is in flight, but its content is gone")
        if cursor and self._is_one_epoch:
            between = standing.seq - cursor.seq - len(self._ahead)
            if between < 0 or (standing.seq == cursor.seq and standing.nonce != cursor.nonce):
                text = f"Redis went back: it is at batch {standing.seq}, the database at {cursor.seq}"
                yield Problem("back", between, text)
            elif between:
                some = f"of batches {cursor.seq + 1} to {standing.seq}, {between}"
                text = f"{some} are neither in the database nor in flight"
                yield Problem("between", between, text)

    def _in_sums(self) -> Iterator[Problem]:
        if self.redis.standing.damage:
            yield Problem("damage", 0, self.redis.standing.damage)
        accounted = self.applied + self.in_flight + self.dead_letters + self.written_off
        off = self.redis.standing.sealed - accounted
        if off:
            text = (
                f"sealed {self.redis.standing.sealed}, but applied {self.applied} + in flight {self.in_flight}"
                f" + dead letters {self.dead_letters} + written off {self.written_off} = {accounted}"
            )
            yield Problem("sealed", off, text)

    def _in_keys(self) -> Iterator[Problem]:
        expected = self.redis.standing.accepted - self.redis.standing.sealed
        off = self.redis.pending - expected
        if off:
            text = f"accepted - sealed = {expected} should be pending, but the keys hold {self.redis.pending}"
            yield Problem("pending", off, text)

    def _in_entries(self) -> Iterator[Problem]:
        if missing := len(self.redis.missing):
            text = f"{missing} deltas have no entry among the pending, so no flush would find them: --repair adds them"
            yield Problem("entries", missing, text)
        for member in self.redis.no_numbers[:10]:
            yield Problem("number", 0, f"the delta of {member.decode(errors='backslashreplace')!r} is no number")
