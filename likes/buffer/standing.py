"""How the shards stand in Redis, as a worker sees them: where each epoch is, what is pending and in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likes.batch import BatchId
from likes.buffer import scripts
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import Call, command
from likes.errors import LikesError, RedisRefused, Unavailable


@dataclass(frozen=True, slots=True)
class EpochView:
    """What Redis holds of one shard under one epoch. `nonce` is that of batch `seq`, the last one sealed."""

    shard: int
    epoch: str
    seq: int
    nonce: str
    pending: int
    in_flight: tuple[BatchId, ...]


@dataclass(frozen=True, slots=True)
class ShardView:
    """What Redis holds of one shard. `current`: the epoch pointed at, "" for none; `error`: why it cannot be told."""

    shard: int
    current: str
    epochs: Mapping[str, EpochView]
    error: LikesError | None = None


def look(link: Link, prefix: str, expected: Mapping[int, str | None]) -> dict[int, ShardView]:
    """How each shard stands, in one round trip where Redis holds just the `expected` epoch. Raises Unavailable."""
    calls = {shard: _look_at(prefix, shard, epoch) for shard, epoch in expected.items()}
    replies = iter(link.send([call for some in calls.values() for call in some]))
    return {
        shard: _view(link, prefix, shard, expected[shard], [next(replies) for _ in calls[shard]]) for shard in expected
    }


def _look_at(prefix: str, shard: int, epoch: str | None) -> list[Call[Any]]:
    keys = shard_keys(prefix, shard)
    pointers: list[Call[Any]] = [command("GET", keys.epoch), command("SMEMBERS", keys.epochs)]
    return pointers + (_look_under(prefix, shard, epoch) if epoch else [])


def _look_under(prefix: str, shard: int, epoch: str) -> list[Call[Any]]:
    keys = epoch_keys(prefix, shard, epoch)
    return [
        command("HMGET", keys.state, "seq", "nonce"),
        command("LLEN", keys.pending),
        command("LRANGE", keys.in_flight, 0, -1),
    ]


def _view(link: Link, prefix: str, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
    error = next((reply for reply in replies if isinstance(reply, LikesError)), None)
    if isinstance(error, Unavailable):
        raise error
    if error:  # of this shard alone, such as another type at one of its keys
        return ShardView(shard, "", {}, RedisRefused(f"shard {shard}: {error}"))
    current = (replies[0] or b"").decode()
    names = sorted({current, *(name.decode() for name in replies[1])} - {""})
    under = {expected: replies[2:]} if expected else {}
    under |= {name: ask(link, _look_under(prefix, shard, name)) for name in names if name != expected}
    return ShardView(shard, current, {name: _read_view(shard, name, under[name]) for name in names})


def _read_view(shard: int, epoch: str, replies: list[Any]) -> EpochView:
    (seq, nonce), pending, in_flight = replies
    ids = tuple(BatchId(epoch, *scripts.read_id(text)) for text in in_flight)
    return EpochView(shard, epoch, int(seq or 0), (nonce or b"").decode(), pending, ids)
