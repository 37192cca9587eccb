"""Which dead letters hold likes that others hold too: applying both would count them twice.

An epoch that was given up may come back, after another restore, and is set aside again then: the same numbers, and the
same likes, under other nonces. Each time is a run of its own. A run goes on from somewhere before its first batch, so
what an earlier run sealed from that number on may be what this one holds. The batches counted under the epoch are one
more such run: what Redis had forgotten of them came back as pending.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select, tuple_

from likes.batch import Batch
from likes.sql.dead_letters import REFUSED
from likes.sql.engine import reading
from likes.sql.letters import Letter
from likes.sql.tables import batches, cursors, dead_letters, retired_epochs

ROWS_AT_ONCE = 50  # payloads in memory


class Runs:
    """The batches of one epoch whose entries were set aside, as (seq, nonce) in that order, told apart by run."""

    def __init__(self, set_aside: Sequence[tuple[int, str]]) -> None:
        self._firsts: list[int] = []
        self._run: dict[tuple[int, str], int] = {}
        last = None
        for seq, nonce in set_aside:
            if last is None or seq <= last:
                self._firsts.append(seq)
            self._run[seq, nonce] = len(self._firsts) - 1
            last = seq

    @property
    def is_one(self) -> bool:
        """True if no two batches can hold the same likes."""
        return len(self._firsts) == 1

    def are_alternatives(self, one: Letter, other: Letter) -> bool:
        """True if two letters of one item may hold the same likes."""
        newest = len(self._firsts)  # for a batch that was set aside since
        (earlier, seq), (later, _) = sorted(
            (self._run.get((letter.seq, letter.nonce), newest), letter.seq) for letter in (one, other)
        )
        return earlier < later and seq >= min(self._firsts[earlier + 1 : later + 1], default=0)


class CountedSince(NamedTuple):
    """What was counted under an epoch that was set aside later: up to which batch, the batches whose content the ledger
    still has, with their nonces, and in which of them an item was last.
    """

    upto: int
    kept: Mapping[int, str]
    last: Mapping[tuple[str, str], int]

    def objection(self, letter: Letter) -> str:
        """Why the letter's likes may be in the total already, "" if they are not."""
        if letter.seq > self.upto or letter.reason.startswith(REFUSED) or self.kept.get(letter.seq) == letter.nonce:
            return ""  # of a batch after those counted; or of one that was counted without this entry
        seq = self.last.get((letter.counter, letter.posted_item), 0)
        if seq >= letter.seq:
            return (
                f"batch {seq} of its epoch, which held this item too, was counted: these likes most likely were in it"
            )
        if all(number in self.kept for number in range(letter.seq, self.upto + 1)):
            return ""
        return (
            f"batches {letter.seq} to {self.upto} of its epoch were counted, and the ledger does not tell any more"
            " whether these likes were among them"
        )


class EpochPast(NamedTuple):
    """What is known of an epoch with dead letters."""

    runs: Runs
    counted: CountedSince


def read_past(engine: Engine, namespace: str, shard: int, epoch: str) -> EpochPast:
    """What became of the batches of an epoch; what is counted or set aside meanwhile need not be in it."""
    letter = dead_letters.c
    with reading(engine) as connection:
        rows = connection.execute(
            select(letter.seq, letter.nonce)
            .where(letter.namespace == namespace, letter.shard == shard, letter.epoch == epoch)
            .group_by(letter.seq, letter.nonce)
            .order_by(func.min(letter.id))
        )
        set_aside = [(row.seq, row.nonce) for row in rows]
        upto = _counted_upto(connection, namespace, shard, epoch)
    since = min((seq for seq, _ in set_aside), default=0)
    return EpochPast(Runs(set_aside), _read_counted(engine, (namespace, shard, epoch), since, upto))


def same_items(connection: Connection, namespace: str, shard: int, epoch: str, some: Collection[Letter]) -> list[int]:
    """The ids of all letters of an epoch for the items of `some`."""
    letter = dead_letters.c
    named = [(one.counter, one.item) for one in some]
    same = select(letter.id).where(
        letter.namespace == namespace,
        letter.shard == shard,
        letter.epoch == epoch,
        tuple_(letter.counter, letter.item).in_(named),
    )
    return [*connection.scalars(same)]


def _counted_upto(connection: Connection, namespace: str, shard: int, epoch: str) -> int:
    seqs = [
        connection.scalar(
            select(table.c.seq).where(table.c.namespace == namespace, table.c.shard == shard, table.c.epoch == epoch)
        )
        for table in (cursors, retired_epochs)
    ]
    return max(seq or 0 for seq in seqs)


def _read_counted(engine: Engine, epoch: tuple[str, int, str], since: int, upto: int) -> CountedSince:
    row, (namespace, shard, name) = batches.c, epoch
    query = (
        select(row.seq, row.nonce, row.payload)
        .where(row.namespace == namespace, row.shard == shard, row.epoch == name, row.payload.is_not(None))
        .order_by(row.seq)
        .limit(ROWS_AT_ONCE)
    )
    kept: dict[int, str] = {}
    last: dict[tuple[str, str], int] = {}
    while since <= upto:
        with reading(engine) as connection:
            page = connection.execute(query.where(row.seq >= since)).all()
        for seq, nonce, payload in page:
            kept[seq] = nonce
            last.update((delta[:2], seq) for delta in Batch.unpack(payload).deltas)
        since = page[-1].seq + 1 if page else upto + 1
    return CountedSince(upto, kept, last)
