"""Which generation of cached totals holds: Redis is told SQL's, and SQL takes a new one where it has gone back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.standing import ShardView
from likes.sql.cursors import Cursor
from likes.sql.ledger import Ledger


def agree(buffer: Buffer, ledger: Ledger, cursors: Mapping[int, Cursor], views: Mapping[int, ShardView]) -> None:
    """Let no cached total be used that was filled before SQL's totals changed otherwise than by a batch."""
    redis = {
        shard: standing.generation
        for shard, cursor in cursors.items()
        if shard in views and (standing := views[shard].epochs.get(cursor.epoch or ""))
    }
    if gone_back := {shard for shard, known in redis.items() if known > cursors[shard].generation}:
        ledger.renew_generations(gone_back, above=max(redis[shard] for shard in gone_back))
        cursors = {**cursors, **{shard: cursor for shard, cursor in ledger.cursors().items() if shard in gone_back}}
    if behind := [shard for shard, known in redis.items() if known < cursors[shard].generation]:
        _tell(buffer, cursors, behind)


def agree_now(buffer: Buffer, ledger: Ledger) -> None:
    """The same, outside a flush."""
    buffer.ownership.database, cursors = ledger.known()
    agree(buffer, ledger, cursors, buffer.look({shard: cursor.epoch for shard, cursor in cursors.items()}))


def _tell(buffer: Buffer, cursors: Mapping[int, Cursor], shards: Collection[int]) -> None:
    buffer.raise_generations(
        {shard: (epoch, cursors[shard].generation) for shard in shards if (epoch := cursors[shard].epoch)}
    )
