"""Where the shards stand, as a worker sees it before it does anything: in one round trip, if all is as expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likes.buffer.calls import Call, command
from likes.buffer.damage import Damaged, probes, read_word, shown
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
    return [
        command("SMEMBERS", keys.epochs, shard=shard),
        command("GET", keys.resharding, shard=shard),
        *(reads(epoch_keys(namespace, shard, epoch)) if epoch else ()),
        # Last: if these are there, Redis was not emptied before the others; the owner is there without an epoch, too.
        command("GET", keys.pointer, shard=shard),
        command("GET", keys.owner, shard=shard),
    ]


def _view(link: Link, namespace: str, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
    error = next((reply for reply in replies if isinstance(reply, LikesError)), None)
    if isinstance(error, Unavailable):
        raise error
    owner = ""
    try:
        if error:  # of this shard alone, such as another type at one of its keys
            if not isinstance(replies[-1], LikesError):
                owner = read_word(shard_keys(namespace, shard).owner, replies[-1])
            raise error
        return _read_view(link, namespace, shard, expected, replies)
    except Damaged as found:  # its key tells which shard
        return ShardView(shard, owner, "", {}, found)
    except RedisRefused as refused:
        return ShardView(shard, owner, "", {}, RedisRefused(f"shard {shard}: {refused}"))


def _read_view(link: Link, namespace: str, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
    outside = shard_keys(namespace, shard)
    names, mark, *standing, pointer, owner = replies
    current = read_word(outside.pointer, pointer)
    listed = {current, *(_left_behind(outside.epochs, name) for name in names)} - {""}
    under = {expected: standing} if expected else {}
    keys = {epoch: epoch_keys(namespace, shard, epoch) for epoch in sorted({*listed, *under})}
    under |= {epoch: ask(link, reads(keys[epoch])) for epoch in listed if epoch != expected}
    standings = {epoch: read_standing(keys[epoch], current, *under[epoch]) for epoch in keys}
    # One that is listed no longer, as its name was deleted, is there if anything lies under it.
    there = {epoch: standing for epoch, standing in standings.items() if epoch in listed or not standing.is_empty}
    return ShardView(
        shard,
        read_word(outside.owner, owner),
        current,
        there,
        resharding=read_word(outside.resharding, mark or b""),
    )


def find_damage(link: Link, namespace: str, epochs: Mapping[int, str]) -> dict[int, list[str]]:
    """For each shard which of its keys hold another type than ours, outside epochs and under the one given ("": none).

    A flush can do without some of them, such as the lease, and so says nothing of them. Raises Unavailable.
    """
    calls = [
        call
        for shard, epoch in epochs.items()
        for call in (
            *probes(epoch_keys(namespace, shard, epoch) if epoch else shard_keys(namespace, shard)),
            command("GET", shard_keys(namespace, shard).lease, shard=shard),
        )
    ]
    found: dict[int, list[str]] = {shard: [] for shard in epochs}
    for call, reply in zip(calls, link.send(calls), strict=True):
        if isinstance(reply, Unavailable):
            raise reply
        if isinstance(reply, Damaged) and call.shard is not None:
            found[call.shard].append(str(reply))
    return found


def _left_behind(key: bytes, name: bytes) -> str:
    return read_word(key, name, f'take it out: SREM {shown(key)} "{shown(name)}"')
