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
    pointers = [
        command("GET", keys.owner, shard=shard),
        command("GET", keys.pointer, shard=shard),
        command("SMEMBERS", keys.epochs, shard=shard),
    ]
    return pointers + (reads(epoch_keys(namespace, shard, epoch)) if epoch else [])


def _view(link: Link, namespace: str, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
    error = next((reply for reply in replies if isinstance(reply, LikesError)), None)
    if isinstance(error, Unavailable):
        raise error
    if error:  # of this shard alone, such as another type at one of its keys
        owner = "" if isinstance(replies[0], LikesError) else (replies[0] or b"").decode()
        return ShardView(shard, owner, "", {}, RedisRefused(f"shard {shard}: {error}"))
    owner, current = ((reply or b"").decode() for reply in replies[:2])
    listed = {current, *(name.decode() for name in replies[2])} - {""}
    under = {expected: replies[3:]} if expected else {}
    keys = {epoch: epoch_keys(namespace, shard, epoch) for epoch in sorted({*listed, *under})}
    under |= {epoch: ask(link, reads(keys[epoch])) for epoch in listed if epoch != expected}
    try:
        standings = {epoch: read_standing(keys[epoch], current, *under[epoch]) for epoch in keys}
    except (LikesError, ValueError) as damaged:
        return ShardView(shard, owner, "", {}, LikesError(f"shard {shard}: {damaged}"))
    # One that is listed no longer, as its name was deleted, is there if anything lies under it.
    there = {epoch: standing for epoch, standing in standings.items() if epoch in listed or not standing.is_empty}
    return ShardView(shard, owner, current, there)
