"""Producers that Redis remembers, so that a resend is recognised; those silent for long are forgotten.

Silent is who stands unchanged at two looks, an age apart by this process's own clock: Redis's may be set at any moment,
and a producer forgotten too early would count a resend twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import prune_producers
from likes.errors import RedisRefused, ShardMoving, Unavailable

CHUNK = 1000
MOST = 100_000  # so many are kept in mind; the others have their turn when those are forgotten


class SilentProducers:
    """Forgets producers that were silent for `age` seconds at least. `clock`: seconds, never set."""

    def __init__(self, buffer: Buffer, age: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._buffer = buffer
        self._age = age
        self._clock = clock
        self._looked_at = clock()
        self._seen: Mapping[bytes, Mapping[bytes, bytes]] = {}  # by the key of its hash: what stood there

    def forget(self, shards: Collection[int]) -> int:
        """Forget those under the current epoch of these shards, where that is due; returns how many.

        Raises RedisRefused for a shard whose producers cannot be read or forgotten, once the others are done.
        """
        if self._seen and self._clock() - self._looked_at < self._age:
            return 0
        seen, forgotten, room = self._seen, 0, MOST
        now: dict[bytes, dict[bytes, bytes]] = {}
        trouble: RedisRefused | None = None
        for keys in self._epochs(shards):
            before, stand = seen.get(keys.producers, {}), now.setdefault(keys.producers, {})
            try:
                for some in _producers(self._buffer.link, keys):
                    silent = {name: record for name, record in some.items() if before.get(name) == record}
                    forgotten += self._prune(keys, silent)
                    others = [entry for entry in some.items() if entry[0] not in silent]
                    stand |= others[:room]
                    room -= len(others[:room])
            except RedisRefused as error:
                trouble = error
            except ShardMoving:
                continue
        self._seen, self._looked_at = now, self._clock()
        if trouble:
            raise trouble
        return forgotten

    def _prune(self, keys: EpochKeys, silent: Mapping[bytes, bytes]) -> int:
        owner = self._buffer.ownership.database
        return sum(ask(self._buffer.link, [prune_producers(keys, silent, owner)])) if silent else 0

    def _epochs(self, shards: Collection[int]) -> list[EpochKeys]:
        pointers = [command("GET", shard_keys(self._buffer.namespace, shard).pointer, shard=shard) for shard in shards]
        replies = self._buffer.link.send(pointers)
        if away := next((reply for reply in replies if isinstance(reply, Unavailable)), None):
            raise away
        return [
            epoch_keys(self._buffer.namespace, shard, epoch.decode())
            for shard, epoch in zip(shards, replies, strict=True)
            if isinstance(epoch, bytes) and epoch.isalnum()  # a flush names what is damaged
        ]


def _producers(link: Link, keys: EpochKeys) -> Iterator[dict[bytes, bytes]]:
    """What is remembered of each producer, some at a time; a hash that is small comes whole."""
    cursor = b"0"
    while True:
        scan = command("HSCAN", keys.producers, cursor, "COUNT", CHUNK, shard=keys.shard)
        ((cursor, found),) = ask(link, [scan])
        pairs = list(zip(found[::2], found[1::2], strict=True))
        yield from (dict(pairs[i : i + CHUNK]) for i in range(0, len(pairs), CHUNK))
        if cursor == b"0":
            return
