"""Where a shard stands in Redis: what was sealed, accepted and acknowledged, what is pending and in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likes.batch import BatchId, Place, whole
from likes.buffer.calls import Call, command
from likes.buffer.damage import damaged, read_word, shown
from likes.buffer.keys import EpochKeys, number_of_shards
from likes.errors import LikesError


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a shard stands under one epoch; `current` is the epoch Redis pointed at then, "" for none.

    seq, nonce: of the last batch sealed, 0 and "" before the first.
    accepted, sealed: running sums of deltas; acked: how many batches were acknowledged.
    written_off: so much of what was sealed is in no batch, as incidents tell of it.
    pending: entries of the list, not their sum; pending_since: milliseconds since 1970, None if nothing is pending.
    in_flight: oldest first.
    damage: what is wrong with fields of `state` that a flush can do without, "" for nothing; they count as 0 or None.
    has_sums: False if that is true of one of the sums.
    generation: of cached totals, SQL's part of it. is_cached: totals are, so that acknowledging has to carry to them.
    follows: where the epoch before it ended, all of which was handed off, where the number of shards was changed then.
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
    damage: str = ""
    forgot: int = 0
    written_off: int = 0
    generation: int = 0
    is_cached: bool = False
    has_sums: bool = True
    follows: Place | None = None

    @property
    def place(self) -> Place:
        """The end of the chain under this epoch."""
        return Place(self.epoch, self.seq, self.nonce)

    @property
    def is_empty(self) -> bool:
        """True if nothing was ever sealed under this epoch, and nothing is pending or in flight."""
        return not (self.seq or self.pending or self.in_flight)


@dataclass(frozen=True, slots=True)
class ShardView:
    """What Redis holds of one shard, epoch by epoch. `owner`: the database it belongs to, `current`: the epoch pointed
    at, both "" for none; `error`: why it could not be read; `resharding`: to how many shards their number is just being
    changed, so that no likes are accepted, "" if it is not.
    """

    shard: int
    owner: str
    current: str
    epochs: Mapping[str, Standing]
    error: LikesError | None = None
    resharding: str = ""

    @property
    def number(self) -> int | None:
        """In how many shards Redis holds likes, as the epoch pointed at says; None where it does not."""
        return number_of_shards(self.current)


# Of the hash `state`, as read below.
FIELDS = (
    b"seq",
    b"nonce",
    b"acked",
    b"accepted",
    b"sealed",
    b"pending_since",
    b"forgot",
    b"written_off",
    b"generation",
    b"cached_until",
    b"follows",
)


def read_standing(keys: EpochKeys, current: str, fields: list[Any], pending: int, in_flight: list[bytes]) -> Standing:
    """A standing from the `FIELDS`, the length of `pending` and the entries of `in_flight`. Raises Damaged."""
    seq, nonce, acked, accepted, sealed, since, forgot, written_off, generation, cached_until, follows = fields
    return Standing(
        shard=keys.shard,
        epoch=keys.epoch,
        current=current,
        seq=read_seq(keys, seq),
        nonce=read_word(keys.state, nonce),
        acked=_number(acked),
        accepted=_number(accepted) or 0,
        sealed=_number(sealed) or 0,
        pending_since=_number(since) if since and pending else None,
        pending=pending,
        in_flight=tuple(read_id(keys, entry) for entry in in_flight),
        damage=_damage(
            keys, acked=acked, accepted=accepted, sealed=sealed, written_off=written_off, pending_since=since
        ),
        forgot=_number(forgot) or 0,
        written_off=_number(written_off) or 0,
        generation=_number(generation) or 0,
        is_cached=cached_until is not None,
        follows=_read_place(follows) if follows else None,
        has_sums=None not in map(_number, (accepted, sealed, written_off)),
    )


def _read_place(text: bytes) -> Place | None:
    """A place written down as epoch:seq:nonce; None for what is none."""
    epoch, _, batch = text.decode("ascii", "replace").partition(":")
    seq, _, nonce = batch.partition(":")
    return Place(epoch, int(seq), nonce) if epoch and seq.isdigit() else None


def read_seq(keys: EpochKeys, text: bytes | None) -> int:
    """The number of the batch sealed last, 0 before the first; raises Damaged for what is no number."""
    seq = _number(text)
    if seq is None:
        raise damaged(keys.state, f'has a seq that is no number: "{shown(text or b"")}"')
    return seq


_SUMS = {
    "accepted": "sealed + pending",
    "sealed": "applied + in flight + dead letters + written off",
    "written_off": "what incidents of the kind deltas_missing have written off in this shard and epoch",
}


def _damage(keys: EpochKeys, **fields: bytes | None) -> str:
    for name, text in fields.items():
        if _number(text) is None:
            what = f'has a field {name} that is no number: "{shown(text or b"")}"'
            remedy = f"set it to {_SUMS[name]}, as likes audit -v shows them" if name in _SUMS else ""
            return str(damaged(keys.state, what, remedy or f"HDEL {shown(keys.state)} {name}"))
    return ""


def _number(text: bytes | None) -> int | None:
    """A number that scripts keep, 0 where there is none yet; None where somebody else wrote something else."""
    try:
        return whole(text or b"0")
    except ValueError:
        return None


def read_id(keys: EpochKeys, entry: bytes) -> BatchId:
    """The batch that an entry of `in_flight` names; raises Damaged for what is none."""
    text, _, nonce = entry.partition(b":")
    seq = _number(text)
    remedy = f'take it out: LREM {shown(keys.in_flight)} 1 "{shown(entry)}"'
    if not (seq and nonce):
        what = f'lists "{shown(entry)}", which is no batch'
        raise damaged(keys.in_flight, what, remedy)
    return BatchId(keys.shard, keys.epoch, seq, read_word(keys.in_flight, nonce, remedy))


def reads(keys: EpochKeys) -> list[Call[Any]]:
    """The calls whose replies are the last three arguments of `read_standing`."""
    return [
        command("HMGET", keys.state, *FIELDS, shard=keys.shard),
        command("LLEN", keys.pending, shard=keys.shard),
        command("LRANGE", keys.in_flight, 0, -1, shard=keys.shard),
    ]
