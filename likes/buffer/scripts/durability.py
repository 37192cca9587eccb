"""What is waited for before SQL has a batch: a write that is behind it, then replicas or the disk."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from likes.batch import BatchId
from likes.buffer.calls import Call, PlacedCall, Script
from likes.buffer.keys import EpochKeys, ShardKeys

WITNESS = Script("witness")


def witness(keys: EpochKeys, batches: Sequence[BatchId] = (), *, is_current: bool = False) -> Call[bool]:
    """Write, if all these `batches` are in flight and, with `is_current`, the shard points at their epoch; else False.

    What replicas and the disk have of it is told by the `wait_…` that is sent behind it on the same connection.
    """
    names = (keys.pointer, keys.state, keys.in_flight)
    listed = (f"{batch.seq}:{batch.nonce}" for batch in batches)
    arguments = (secrets.token_hex(8), keys.epoch if is_current else "", *listed)
    return WITNESS.call(keys.shard, names, arguments, bool)


def wait_for_replicas(keys: ShardKeys, replicas: int, milliseconds: int) -> Call[int]:
    """How many replicas have what was written before on this connection; waits until they are so many."""
    return PlacedCall(("WAIT", replicas, milliseconds), int, keys.shard, vouches=True, at=keys.owner)


def wait_for_disk(keys: ShardKeys, milliseconds: int) -> Call[int]:
    """1 if the disk of the server has what was written before on this connection, 0 if not in time."""
    return PlacedCall(("WAITAOF", 1, 0, milliseconds), _first, keys.shard, vouches=True, at=keys.owner)


def _first(reply: Sequence[int]) -> int:
    return int(reply[0])
