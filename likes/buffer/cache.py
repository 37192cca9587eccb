"""The cached totals as a whole: how they do, how many there are, and dropping them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.damage import read_word
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts.reading import STATS
from likes.member import Member

SCAN_CHUNK = 5000


class CacheFound(NamedTuple):
    """What all readers together found."""

    hits: int
    misses: int
    early_refreshes: int
    waits: int


class CacheStats(NamedTuple):
    """The same. entries: totals that are cached now."""

    hits: int
    misses: int
    early_refreshes: int
    waits: int
    entries: int


def read_found(buffer: Buffer) -> CacheFound:
    """How the cache does; quick."""
    (counts,) = ask(buffer.link, [command("HMGET", shard_keys(buffer.namespace, 0).cache, *STATS, shard=0)])
    return CacheFound(*(int(count or 0) for count in counts))


def read_stats(buffer: Buffer) -> CacheStats:
    """How the cache does; takes as long as looking at all keys does."""
    return CacheStats(*read_found(buffer), entries=sum(len(keys) for keys in _all_totals(buffer)))


def clear(buffer: Buffer) -> int:
    """Drop all cached totals; returns how many there were. Harmless at any time: they are read anew."""
    dropped = 0
    for keys in _all_totals(buffer):
        dropped += sum(ask(buffer.link, [command("DEL", key, at=key) for key in keys]))
    return dropped


def count_cached(buffer: Buffer, members: Mapping[int, Sequence[Member]]) -> int:
    """How many of these members, given by shard, have a cached total."""
    pointers = [command("GET", shard_keys(buffer.namespace, shard).pointer, shard=shard) for shard in members]
    epochs = [
        read_word(call.key or b"", epoch) for call, epoch in zip(pointers, ask(buffer.link, pointers), strict=True)
    ]
    keys = [epoch_keys(buffer.namespace, shard, epoch) for shard, epoch in zip(members, epochs, strict=True)]
    exist = [command("EXISTS", *each.totals_of(members[each.shard]), shard=each.shard) for each in keys]
    return sum(ask(buffer.link, exist))


def _all_totals(buffer: Buffer) -> Iterator[list[bytes]]:
    pattern = f"{{{buffer.namespace}:*}}:*:total:*"  # no character of a namespace means anything in a pattern
    for shard in buffer.servers_there_are().values():
        place = shard_keys(buffer.namespace, shard).owner
        cursor = b"0"
        while True:
            scan = command("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_CHUNK, at=place)
            ((cursor, keys),) = ask(buffer.link, [scan])
            if keys:
                yield keys
            if cursor == b"0":
                break
