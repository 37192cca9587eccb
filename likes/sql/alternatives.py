"""Which dead letters hold likes that others hold too: applying both would count them twice.

An epoch that was given up may come back, after another restore, and is set aside again then: the same numbers, and the
same likes, under other nonces. Each time is a run of its own. A run goes on from somewhere before its first batch, so
what an earlier run sealed from that number on may be what this one holds. The batches counted under the epoch are one
more such run: what Redis had forgotten of them came back as pending.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, case, func, select, tuple_

from likes.sql.contents import deltas_in
from likes.sql.dead_letters import REFUSED
from likes.sql.engine import reading
from likes.sql.letters import Letter
from likes.sql.tables import batches, cursors, dead_letters, retired_epochs

COUNTED = 0  # the run of batches that were counted
ROWS_AT_ONCE = 50  # payloads in memory


class Runs:
    """The batches of one epoch that have dead letters, by (seq, nonce), told apart by run.

    counted: those that were counted but for these entries; nothing is counted once an epoch is set aside.
    set_aside: the others, in the order in which they were set aside.
    """

    def __init__(self, counted: Collection[tuple[int, str]], set_aside: Sequence[tuple[int, str]]) -> None:
        self._run = dict.fromkeys(counted, COUNTED)
        self._firsts = [0]
        last = 0
        for seq, nonce in set_aside:
            if seq <= last or len(self._firsts) == 1:
                self._firsts.append(seq)
            self._run[seq, nonce] = len(self._firsts) - 1
            last = seq

    @property
    def is_one(self) -> bool:
        """True if no two batches can hold the same likes."""
        return len({*self._run.values()}) <= 1

    def first(self, letter: Letter) -> int | None:
        """The number that the letter's run begins with; None if its batch was counted but for this entry."""
        run = self._of(letter)
        return None if run == COUNTED else min(self._firsts[run:], default=0)

    def are_alternatives(self, one: Letter, other: Letter) -> bool:
        """True if two letters of one item may hold the same likes."""
        (earlier, seq), (later, _) = sorted((self._of(letter), letter.seq) for letter in (one, other))
        return earlier < later and seq >= min(self._firsts[earlier + 1 : later + 1], default=0)

    def _of(self, letter: Letter) -> int:
        return self._run.get((letter.seq, letter.nonce), len(self._firsts))  # set aside since


class Counted(NamedTuple):
    """What was counted under an epoch: up to which batch, which of them the ledger still has the content of, with
    their nonces, and in which of those an item was last.
    """

    upto: int
    kept: Mapping[int, str]
    last: Mapping[tuple[str, str], int]


class EpochPast(NamedTuple):
    """What is known of an epoch with dead letters."""

    runs: Runs
    counted: Counted

    def objection(self, letter: Letter) -> str:
        """Why the letter's likes may be in the total already, "" if they are not."""
        first, counted = self.runs.first(letter), self.counted
        if first is None or first > counted.upto:
            return ""
        seq = counted.last.get((letter.counter, letter.posted_item), 0)
        if seq >= first:
            return f"batch {seq} of its epoch, which held this item too, was counted, most likely with these likes"
        if all(number in counted.kept for number in range(first, counted.upto + 1)):
            return ""
        return (
            f"batches {first} to {counted.upto} of its epoch were counted, and the ledger does not tell any more"
            " whether these likes were among them"
        )


def read_past(engine: Engine, namespace: str, shard: int, epoch: str) -> EpochPast:
    """What became of the batches of an epoch; what is counted or set aside meanwhile need not be in it."""
    letter = dead_letters.c
    is_refused = case((letter.reason.startswith(REFUSED, autoescape=True), 1), else_=0)
    with reading(engine) as connection:
        rows = connection.execute(
            select(letter.seq, letter.nonce, func.max(is_refused))
            .where(letter.namespace == namespace, letter.shard == shard, letter.epoch == epoch)
            .group_by(letter.seq, letter.nonce)
            .order_by(func.min(letter.id))
        ).all()
        upto = _counted_upto(connection, namespace, shard, epoch)
    counted = _read_counted(engine, (namespace, shard, epoch), min((row.seq for row in rows), default=0), upto)
    in_part = {(seq, nonce) for seq, nonce, refused in rows if refused or counted.kept.get(seq) == nonce}
    return EpochPast(Runs(in_part, [(row.seq, row.nonce) for row in rows if row[:2] not in in_part]), counted)


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


def _read_counted(engine: Engine, epoch: tuple[str, int, str], since: int, upto: int) -> Counted:
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
            if (deltas := deltas_in(payload)) is not None:
                kept[seq] = nonce
                last.update((delta[:2], seq) for delta in deltas)
        since = page[-1].seq + 1 if page else upto + 1
    return Counted(upto, kept, last)
