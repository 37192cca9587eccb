"""Leases: which worker flushes a shard now. They only save work; that nothing counts twice never depends on them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable
from math import ceil
from threading import Lock

from likes.buffer.keys import shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import lease


class Leases:
    """The leases of one worker. `seconds`: how long one lasts unless it is kept."""

    def __init__(self, link: Link, prefix: str, seconds: float) -> None:
        self.token = secrets.token_hex(8)
        self._link = link
        self._prefix = prefix
        self._seconds = seconds
        self._held: set[int] = set()
        self._kept_at = 0.0
        self._lock = Lock()

    def take(self, shards: Collection[int]) -> list[int]:
        """Those of `shards` that no other worker is flushing; they are ours now."""
        self._kept_at = time.monotonic()
        granted = self._ask(shards, self._seconds)
        self._held.update(granted)
        return granted

    def keep(self) -> None:
        """Make the leases last, if a third of their time is gone."""
        with self._lock:
            if time.monotonic() - self._kept_at < self._seconds / 3:
                return
            self._kept_at = time.monotonic()
        self._ask(sorted(self._held), self._seconds)

    def give_back(self) -> None:
        """Let other workers have the shards at once."""
        held, self._held = self._held, set()
        self._ask(sorted(held), 0)

    def _ask(self, shards: Iterable[int], seconds: float) -> list[int]:
        shards = list(shards)
        milliseconds = ceil(seconds * 1000)
        keys = [shard_keys(self._prefix, shard) for shard in shards]
        calls = [lease(of_shard, token=self.token, milliseconds=milliseconds) for of_shard in keys]
        return [shard for shard, held in zip(shards, ask(self._link, calls), strict=True) if held] if calls else []
