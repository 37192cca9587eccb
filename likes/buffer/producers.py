"""Producers that Redis remembers, so that a resend is recognised; those silent for long are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.damage import shown
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import prune_producers
from likes.errors import LikesError, RedisRefused, Unavailable

CHUNK = 1000


def forget_producers(buffer: Buffer, shards: Collection[int], *, age: float) -> int:
    """Forget producers silent for `age` seconds under the current epoch of their shard; returns how many.

    Raises RedisRefused for a shard whose producers cannot be read, once the others are done.
    """
    pointers = [command("GET", shard_keys(buffer.namespace, shard).pointer, shard=shard) for shard in shards]
    forgotten, trouble = 0, None
    for shard, epoch in zip(shards, buffer.link.send(pointers), strict=True):
        if isinstance(epoch, Unavailable):
            raise epoch
        if epoch and not isinstance(epoch, LikesError):
            try:
                forgotten += _forget(buffer.link, epoch_keys(buffer.namespace, shard, shown(epoch)), age)
            except RedisRefused as error:
                trouble = error
    if trouble:
        raise trouble
    return forgotten


def _forget(link: Link, keys: EpochKeys, age: float) -> int:
    forgotten = 0
    for producers in _producers(link, keys):
        try:
            forgotten += sum(ask(link, [prune_producers(keys, age=int(age * 1000), producers=producers)]))
        except RedisRefused as error:
            raise RedisRefused(f"the producers at {shown(keys.producers)} cannot be pruned: {error}") from None
    return forgotten


def _producers(link: Link, keys: EpochKeys) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        scan = command("HSCAN", keys.producers, cursor, "COUNT", CHUNK, shard=keys.shard)
        ((cursor, found),) = ask(link, [scan])
        names = found[::2]
        yield from (names[i : i + CHUNK] for i in range(0, len(names), CHUNK))
        if cursor == b"0":
            return
