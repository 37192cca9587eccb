"""How much is pending: one cheap look at Redis, often, so that a flush can begin before too much has piled up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from likes.buffer.buffer import Buffer
from likes.buffer.calls import Call, command
from likes.buffer.damage import shown
from likes.buffer.keys import epoch_keys
from likes.buffer.links.link import ask


class Backlog:
    """Counts what is pending under the current epoch of each shard."""

    def __init__(self, buffer: Buffer, shards: Collection[int]) -> None:
        self._buffer = buffer
        self._epochs = dict.fromkeys(shards, "")

    def items(self) -> int:
        """How many items are pending, in one round trip. A shard whose epoch has changed counts as empty this time."""
        calls: list[Call[Any]] = []
        for shard, epoch in self._epochs.items():
            keys = epoch_keys(self._buffer.namespace, shard, epoch)
            calls += [command("GET", keys.pointer, shard=shard), command("LLEN", keys.pending, shard=shard)]
        replies = ask(self._buffer.link, calls)
        items = 0
        for i, (shard, epoch) in enumerate(self._epochs.items()):
            current, pending = shown(replies[2 * i] or b""), replies[2 * i + 1]
            self._epochs[shard] = current
            items += pending if current == epoch else 0
        return items
