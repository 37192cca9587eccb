"""Producers that Redis remembers, so that a resend is recognised; those silent for long are forgotten.

How long is told by the worker's own monotonic clock: a clock that is set, Redis's or a machine's, must not forget a
producer whose unanswered call may still be sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import prune_producers

CHUNK = 1000


class Sighting(NamedTuple):
    """A producer's record, and since when it is known to be that."""

    record: bytes
    since: float


class Sightings:
    """The producers as one worker saw them. `age`: seconds of silence by its clock, after which one is forgotten."""

    def __init__(self, buffer: Buffer, age: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._buffer = buffer
        self._age = age
        self._clock = clock
        self._seen: dict[int, tuple[str, dict[bytes, Sighting]]] = {}

    def forget_silent(self, shards: Collection[int]) -> int:
        """Forget the silent ones under the current epoch of each shard; returns how many. Raises RedisUnavailable."""
        pointers = [command("GET", shard_keys(self._buffer.namespace, shard).pointer, shard=shard) for shard in shards]
        epochs = ask(self._buffer.link, pointers)
        return sum(self._in_shard(shard, epoch.decode()) for shard, epoch in zip(shards, epochs, strict=True) if epoch)

    def _in_shard(self, shard: int, epoch: str) -> int:
        keys, now = epoch_keys(self._buffer.namespace, shard, epoch), self._clock()
        before = self._seen.get(shard, ("", {}))
        known = before[1] if before[0] == epoch else {}
        seen: dict[bytes, Sighting] = {}
        forgotten = 0
        for records in _records(self._buffer.link, keys):
            some = {producer: _sighting(known.get(producer), record, now) for producer, record in records.items()}
            silent = {producer: one.record for producer, one in some.items() if now - one.since >= self._age}
            if silent:
                forgotten += sum(ask(self._buffer.link, [prune_producers(keys, silent)]))
            seen |= {producer: one for producer, one in some.items() if producer not in silent}
        self._seen[shard] = (epoch, seen)
        return forgotten


def _sighting(before: Sighting | None, record: bytes, now: float) -> Sighting:
    return before if before and before.record == record else Sighting(record, now)


def _records(link: Link, keys: EpochKeys) -> Iterator[dict[bytes, bytes]]:
    """The records of all producers, some at a time."""
    cursor = b"0"
    while True:
        scan = command("HSCAN", keys.producers, cursor, "COUNT", CHUNK, shard=keys.shard)
        ((cursor, found),) = ask(link, [scan])
        for first in range(0, len(found), 2 * CHUNK):  # a small hash comes whole, whatever COUNT says
            part = found[first : first + 2 * CHUNK]
            yield dict(zip(part[::2], part[1::2], strict=True))
        if cursor == b"0":
            return
