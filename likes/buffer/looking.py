"""Where the shards stand, as a worker sees it before it does anything: in one round trip, if all is as expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likes.buffer.calls import Call, command
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.standing import ShardView, read_standing, reads
from likes.errors import LikesError, RedisRefused, Unavailable


def look(link: Link, namespace: str, expected: Mapping[int, str | None]) -> dict[int, ShardView]:
    """Where each shard stands; one round trip if each has just its `expected` epoch. Raises Unavailable."""
    calls = {shard: _look_at(namespace, shard, epoch) for shard, epoch in expected.items()}
    replies = iter(link.send([call for some in calls.values() for call in some]))
    return {
        shard: _view(link, namespace, shard, expected[shard], [next(replies) for _ in calls[shard]])
        for shard in expected
    }


def _look_at(namespace: str, shard: int, epoch: str | None) -> list[Call[Any]]:
    keys = shard_keys(namespace, shard)
    pointers = [command("GET", keys.pointer, shard=shard), command("SMEMBERS", keys.epochs, shard=shard)]
    return pointers + (reads(epoch_keys(namespace, shard, epoch)) if epoch else [])


def _view(link: Link, namespace: str, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
    error = next((reply for reply in replies if isinstance(reply, LikesError)), None)
    if isinstance(error, Unavailable):
        raise error
    if error:  # of this shard alone, such as another type at one of its keys
        return ShardView(shard, "", {}, RedisRefused(f"shard {shard}: {error}"))
    current = (replies[0] or b"").decode()
    epochs = sorted({current, *(name.decode() for name in replies[1])} - {""})
    under = {expected: replies[2:]} if expected else {}
    keys = {epoch: epoch_keys(namespace, shard, epoch) for epoch in epochs}
    under |= {epoch: ask(link, reads(keys[epoch])) for epoch in epochs if epoch != expected}
    try:
        standings = {epoch: read_standing(keys[epoch], current, *under[epoch]) for epoch in epochs}
    except (LikesError, ValueError) as damaged:
        return ShardView(shard, "", {}, LikesError(f"shard {shard}: {damaged}"))
    return ShardView(shard, current, standings)
