"""What a user of Redis may do, found out by doing it, in forms that change nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgpack

from likes.buffer.buffer import Buffer
from likes.buffer.calls import Call, Script, command
from likes.buffer.keys import EpochKeys, epoch_keys
from likes.errors import LikesError, ShardMoving, Unavailable
from likes.member import Member

RIGHTS = Script("rights")

KEY = b"KEY"  # stands for a key where nothing is
# What the scripts call, each in a form that changes nothing there, or leaves only what DEL takes away.
READING: dict[str, Sequence[bytes]] = {
    "DEL": (KEY,),
    "DUMP": (KEY,),
    "EXISTS": (KEY,),
    "GET": (KEY,),
    "GETDEL": (KEY,),
    "HDEL": (KEY, b""),
    "HGET": (KEY, b""),
    "HGETALL": (KEY,),
    "HLEN": (KEY,),
    "HMGET": (KEY, b""),
    "HSCAN": (KEY, b"0"),
    "LLEN": (KEY,),
    "LPOS": (KEY, b""),
    "LRANGE": (KEY, b"0", b"0"),
    "LREM": (KEY, b"1", b""),
    "LTRIM": (KEY, b"0", b"-1"),
    "MGET": (KEY,),
    "PERSIST": (KEY,),
    "PTTL": (KEY,),
    "SET": (KEY, b"", b"XX"),
    "SREM": (KEY, b""),
    "TIME": (),
    "ZRANGE": (KEY, b"0", b"0"),
    "ZREM": (KEY, b""),
}
WRITING: dict[str, Sequence[bytes]] = {
    "HINCRBY": (KEY, b"", b"0"),
    "HSET": (KEY, b"", b""),
    "HSETNX": (KEY, b"", b""),
    "INCRBY": (KEY, b"0"),
    "RPUSH": (KEY, b""),
    "SADD": (KEY, b""),
    "ZADD": (KEY, b"0", b""),
}
OUTSIDE_SCRIPTS: dict[str, Sequence[bytes]] = {
    "PING": (),
    "SCAN": (b"0", b"COUNT", b"1"),
    "SMEMBERS": (KEY,),
}
IN_A_CLUSTER: dict[str, Sequence[bytes]] = {"ASKING": ()}
DISPENSABLE = {"TIME"}  # gone without where it is refused


def refused(buffer: Buffer, shards: Collection[int], *, in_cluster: bool) -> dict[str, str]:
    """What of all that is needed the user may not do: command, or script of a shard -> the server's words.

    Every node is asked, as each has users of its own; a shard that is just being moved is left out. Raises Unavailable,
    also where a server takes no writes now.
    """
    servers = buffer.servers_there_are()
    forms = OUTSIDE_SCRIPTS | IN_A_CLUSTER if in_cluster else OUTSIDE_SCRIPTS
    tries = [
        (name, _outside(name, words, buffer, shard)) for shard in servers.values() for name, words in forms.items()
    ]
    tries += [(f"keys of shard {shard}", _inside(epoch_keys(buffer.namespace, shard, "check"))) for shard in shards]
    failed: dict[str, str] = {}
    for (name, _), reply in zip(tries, buffer.link.send([call for _, call in tries]), strict=True):
        if isinstance(reply, ShardMoving):
            continue
        if isinstance(reply, Unavailable):
            raise reply
        if isinstance(reply, LikesError):
            failed[name] = str(reply)
        elif isinstance(reply, dict):
            failed |= reply
    return {name: reason for name, reason in failed.items() if name not in DISPENSABLE}


def _outside(name: str, words: Sequence[bytes], buffer: Buffer, shard: int) -> Call[Any]:
    keys = epoch_keys(buffer.namespace, shard, "check")
    return command(*_words(name, words, keys), shard=keys.shard, at=keys.owner)


def _inside(keys: EpochKeys) -> Call[dict[str, str]]:
    forms = [_words(name, words, keys) for name, words in (READING | WRITING).items()]
    outside = (keys.pointer, keys.epochs, keys.owner, keys.lease, keys.workers)
    inside = (keys.state, keys.pending, keys.in_flight, keys.nonces, keys.producers, keys.delta(Member(b"likes:check")))
    return RIGHTS.call(
        keys.shard,
        (keys.batch(0), *outside, *inside),
        (msgpack.packb(forms, use_bin_type=False), len(READING) + 1),
        _read_failed,
    )


def _words(name: str, words: Sequence[bytes], keys: EpochKeys) -> list[bytes]:
    return [name.encode(), *(keys.batch(0) if word is KEY else word for word in words)]


def _read_failed(reply: list[bytes]) -> dict[str, str]:
    return {
        name.decode(): reason.decode(errors="replace") for name, reason in zip(reply[::2], reply[1::2], strict=True)
    }
