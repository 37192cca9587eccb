"""Producers that Redis remembers, so that a resend is recognised; those silent for long are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import prune_producers

CHUNK = 1000


def forget_producers(buffer: Buffer, shards: Collection[int], *, age: float) -> int:
    """Forget producers silent for `age` seconds under the current epoch of their shard; returns how many."""
    pointers = [command("GET", shard_keys(buffer.namespace, shard).pointer, shard=shard) for shard in shards]
    forgotten = 0
    for shard, epoch in zip(shards, ask(buffer.link, pointers), strict=True):
        if epoch:
            keys = epoch_keys(buffer.namespace, shard, epoch.decode())
            for producers in _producers(buffer.link, keys):
                prune = prune_producers(keys, age=int(age * 1000), producers=producers)
                forgotten += sum(ask(buffer.link, [prune]))
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
