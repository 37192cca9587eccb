"""Chains: batches of one shard in a row, each on top of the one before; its cursor moves past all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, update

from likes.batch import Batch
from likes.sql.tables import cursors

Chain = Sequence[Batch]

# Built once: it runs for every chain. The rule "cursor": only from just before the first batch, on the nonce it names.
_MOVE_ON = (
    update(cursors)
    .where(
        cursors.c.namespace == bindparam("in_namespace"),
        cursors.c.shard == bindparam("of_shard"),
        cursors.c.epoch == bindparam("in_epoch"),
        cursors.c.seq == bindparam("after"),
        cursors.c.nonce == bindparam("previous"),
    )
    .values(
        seq=bindparam("seq"),
        nonce=bindparam("nonce"),
        applied_delta=cursors.c.applied_delta + bindparam("delta"),
        updated_at=bindparam("updated_at"),
    )
)


def by_shard(batches: Iterable[Batch]) -> list[Chain]:
    """The chains of several shards, in an order that is the same for all workers: so they lock without a deadlock."""
    shard_of = attrgetter("shard")
    return [list(chain) for _, chain in groupby(sorted(batches, key=shard_of), key=shard_of)]


def is_linked(chain: Chain) -> bool:
    """True if each batch is on top of the one before."""
    return all((batch.id.epoch, batch.id.seq - 1, batch.previous) == before.id for before, batch in pairwise(chain))


def delta_of(chain: Chain) -> int:
    """The sum of all its deltas."""
    return sum(batch.delta for batch in chain)


def move_cursors(connection: Connection, namespace: str, chains: Sequence[Chain], now: datetime) -> bool:
    """Move each cursor past its chain; False unless all of them stood just before."""
    moves = [_move(namespace, chain, now) for chain in chains]
    return connection.execute(_MOVE_ON, moves).rowcount == len(moves)


def _move(namespace: str, chain: Chain, now: datetime) -> dict[str, Any]:
    first, last = chain[0], chain[-1]
    return {
        "in_namespace": namespace,
        "of_shard": first.shard,
        "in_epoch": first.id.epoch,
        "after": first.id.seq - 1,
        "previous": first.previous,
        "seq": last.id.seq,
        "nonce": last.id.nonce,
        "delta": delta_of(chain),
        "updated_at": now,
    }
