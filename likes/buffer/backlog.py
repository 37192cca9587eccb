"""How much is pending: one cheap look at Redis, often, so that a flush can begin before too much has piled up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import Call, command


class Backlog:
    """Counts what is pending under the current epoch of each shard."""

    def __init__(self, link: Link, prefix: str, shards: Collection[int]) -> None:
        self._link = link
        self._prefix = prefix
        self._epochs = dict.fromkeys(shards, "")

    def items(self) -> int:
        """Pending items, in one round trip. A shard whose epoch is news counts from the next time on."""
        calls: list[Call[Any]] = []
        for shard, epoch in self._epochs.items():
            calls.append(command("GET", shard_keys(self._prefix, shard).epoch))
            calls.append(command("LLEN", epoch_keys(self._prefix, shard, epoch).pending))
        replies = ask(self._link, calls)
        items = 0
        for i, (shard, epoch) in enumerate(self._epochs.items()):
            current, pending = (replies[2 * i] or b"").decode(), replies[2 * i + 1]
            self._epochs[shard] = current
            items += pending if current == epoch else 0
        return items
