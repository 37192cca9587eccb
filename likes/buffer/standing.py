"""Where a shard stands in Redis: what was sealed, accepted and acknowledged, what is pending and in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likes.batch import BatchId, Place
from likes.buffer.calls import Call, command
from likes.buffer.keys import EpochKeys
from likes.errors import LikesError


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a shard stands under one epoch; `current` is the epoch Redis pointed at then, "" for none.

    seq, nonce: of the last batch sealed, 0 and "" before the first.
    accepted, sealed: running sums of deltas; acked: how many batches were acknowledged.
    pending: entries of the list, not their sum; pending_since: milliseconds since 1970, None if nothing is pending.
    in_flight: oldest first.
    forgot: proof that Redis forgot likes: the moment, in milliseconds since 1970, when it had acknowledged some that it
        no longer knows; 0 if there is none, negative where Redis does not tell the time.
    """

    shard: int
    epoch: str
    current: str
    seq: int = 0
    nonce: str = ""
    acked: int | None = 0
    accepted: int = 0
    sealed: int = 0
    pending_since: int | None = None
    pending: int = 0
    in_flight: tuple[BatchId, ...] = ()
    forgot: int = 0

    @property
    def place(self) -> Place:
        """The end of the chain under this epoch."""
        return Place(self.epoch, self.seq, self.nonce)


@dataclass(frozen=True, slots=True)
class ShardView:
    """What Redis holds of one shard, epoch by epoch. `current`: the one pointed at, "" for none; `error`: why it could
    not be read.
    """

    shard: int
    current: str
    epochs: Mapping[str, Standing]
    error: LikesError | None = None


# Of the hash `state`, as read below.
FIELDS = (b"seq", b"nonce", b"acked", b"accepted", b"sealed", b"pending_since", b"forgot")


def read_standing(keys: EpochKeys, current: str, fields: list[Any], pending: int, in_flight: list[bytes]) -> Standing:
    """A standing from the `FIELDS`, the length of `pending` and the entries of `in_flight`."""
    seq, nonce, acked, accepted, sealed, since, forgot = fields
    return Standing(
        shard=keys.shard,
        epoch=keys.epoch,
        current=current,
        seq=_seq(keys, seq),
        nonce=(nonce or b"").decode(),
        acked=_number(acked),
        accepted=_number(accepted) or 0,
        sealed=_number(sealed) or 0,
        pending_since=_number(since) if since and pending else None,
        pending=pending,
        in_flight=tuple(_read_id(keys, entry) for entry in in_flight),
        forgot=_number(forgot) or 0,
    )


def _seq(keys: EpochKeys, text: bytes | None) -> int:
    seq = _number(text)
    if seq is None:
        raise LikesError(f"the field seq of the hash {keys.state.decode()} is no number: {text!r}")
    return seq


def _number(text: bytes | None) -> int | None:
    """A number that scripts keep, 0 where there is none yet; None where somebody else wrote something else."""
    try:
        return int(text or 0)
    except ValueError:
        return None


def _read_id(keys: EpochKeys, entry: bytes) -> BatchId:
    seq, _, nonce = entry.decode().partition(":")
    return BatchId(keys.shard, keys.epoch, int(seq), nonce)


def reads(keys: EpochKeys) -> list[Call[Any]]:
    """The calls whose replies are the last three arguments of `read_standing`."""
    return [
        command("HMGET", keys.state, *FIELDS, shard=keys.shard),
        command("LLEN", keys.pending, shard=keys.shard),
        command("LRANGE", keys.in_flight, 0, -1, shard=keys.shard),
    ]
