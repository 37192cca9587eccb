"""Moving cursors past chains: the rule that keeps every batch from being counted twice, as SQL says it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from likes.chain import Chain
from likes.sql.tables import cursors

# Built once: it runs for every chain. Only from the very place that the chain follows (`Batch.follows`).
_MOVE_ON = (
    update(cursors)
    .where(
        cursors.c.namespace == bindparam("in_namespace"),
        cursors.c.shard == bindparam("of_shard"),
        cursors.c.epoch == bindparam("from_epoch"),
        cursors.c.seq == bindparam("from_seq"),
        cursors.c.nonce == bindparam("from_nonce"),
    )
    .values(
        seq=bindparam("seq"),
        nonce=bindparam("nonce"),
        applied_delta=cursors.c.applied_delta + bindparam("delta"),
        updated_at=bindparam("updated_at"),
    )
)


def move_cursors(connection: Connection, namespace: str, chains: Sequence[Chain], now: datetime) -> bool:
    """Move each cursor past its chain; False unless all of them stood just before."""
    moves = [_move(namespace, chain, now) for chain in chains]
    return connection.execute(_MOVE_ON, moves).rowcount == len(moves)


def _move(namespace: str, chain: Chain, now: datetime) -> dict[str, Any]:
    before, end = chain.before, chain.end
    return {
        "in_namespace": namespace,
        "of_shard": chain.shard,
        "from_epoch": before.epoch,
        "from_seq": before.seq,
        "from_nonce": before.nonce,
        "seq": end.seq,
        "nonce": end.nonce,
        "delta": chain.delta,
        "updated_at": now,
    }
