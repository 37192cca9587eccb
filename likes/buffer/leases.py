"""Leases: which worker flushes a shard now. They only save work; that nothing counts twice never depends on them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable
from math import ceil
from threading import Lock
from typing import NamedTuple

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.damage import shown
from likes.buffer.keys import shard_keys
from likes.buffer.scripts import lease
from likes.errors import LikesError, RedisRefused


class Lease(NamedTuple):
    """Who has a shard to itself, and for how many more seconds."""

    token: str
    seconds: float


def read_leases(buffer: Buffer, shards: Collection[int]) -> dict[int, Lease]:
    """The leases that are held; shards nobody is flushing have none, as those where something else is at the key."""
    keys = [shard_keys(buffer.namespace, shard) for shard in shards]
    calls = [command(name, each.lease, shard=each.shard) for each in keys for name in ("GET", "PTTL")]
    replies = [None if isinstance(reply, RedisRefused) else reply for reply in buffer.link.send(calls)]
    if away := next((reply for reply in replies if isinstance(reply, LikesError)), None):
        raise away
    held = zip(shards, replies[::2], replies[1::2], strict=True)
    return {shard: Lease(shown(token), lasts / 1000) for shard, token, lasts in held if token and lasts and lasts >= 0}


class Leases:
    """The leases of one worker. `seconds`: how long one lasts unless it is kept."""

    def __init__(self, buffer: Buffer, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_hex(8)
        self._buffer = buffer
        self._seconds = seconds
        self._held: set[int] = set()
        self._clock = clock
        self._kept_at = 0.0
        self._lock = Lock()

    def take(self, shards: Collection[int]) -> list[int]:
        """Those of `shards` that no other worker is flushing; they are ours now."""
        self._kept_at = self._clock()
        granted = self._ask(shards, self._seconds)
        self._held.update(granted)
        return granted

    def keep(self) -> None:
        """Renew the leases, once a third of their time has passed."""
        with self._lock:
            if self._clock() - self._kept_at < self._seconds / 3:
                return
            self._kept_at = self._clock()
        self._ask(sorted(self._held), self._seconds)

    def give_back(self) -> None:
        """Let other workers have the shards at once."""
        held, self._held = self._held, set()
        self._ask(sorted(held), 0)

    def _ask(self, shards: Iterable[int], seconds: float) -> list[int]:
        keys = [shard_keys(self._buffer.namespace, shard) for shard in shards]
        calls = [lease(each, token=self.token, milliseconds=ceil(seconds * 1000)) for each in keys]
        # An error is no other worker: the shard counts as free.
        return [each.shard for each, held in zip(keys, self._buffer.link.send(calls), strict=True) if held]
