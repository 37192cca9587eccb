"""How much is pending, and how full Redis is: a cheap look, often, so that a flush can begin before it is too much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from likes.buffer.buffer import Buffer
from likes.buffer.calls import Call, command
from likes.buffer.damage import shown
from likes.buffer.keys import EpochKeys, epoch_keys
from likes.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Load:
    """What a server holds. items: pending there. memory and limit: bytes, 0 where it has no limit or does not tell."""

    items: int
    memory: int = 0
    limit: int = 0


class Backlog:
    """Counts what is pending under the current epoch of each shard."""

    def __init__(self, buffer: Buffer, shards: Collection[int]) -> None:
        self._buffer = buffer
        self._epochs = dict.fromkeys(shards, "")

    def loads(self) -> list[Load]:
        """The load of each server. A shard whose epoch has changed counts as empty this time. Raises LikesError."""
        link = self._buffer.link
        pointers = {shard: self._keys(shard).pointer for shard in self._epochs}
        groups = link.by_node(pointers).values()
        replies = iter(link.send([call for shards in groups for call in self._questions(shards)]))
        loads = []
        for shards in groups:
            said = next(replies)
            items = sum(self._pending(shard, next(replies), next(replies)) for shard in shards)
            loads.append(Load(items, *_memory(said)))
        return loads

    def _questions(self, shards: Collection[int]) -> list[Call[Any]]:
        calls = [command("INFO", "memory", shard=min(shards), at=self._keys(min(shards)).pointer)]
        for keys in map(self._keys, shards):
            calls += [command(*words, shard=keys.shard) for words in (("GET", keys.pointer), ("LLEN", keys.pending))]
        return calls

    def _pending(self, shard: int, pointer: Any, pending: Any) -> int:
        for reply in (pointer, pending):
            if isinstance(reply, Exception):
                raise reply
        former, self._epochs[shard] = self._epochs[shard], shown(pointer or b"")
        return int(pending) if self._epochs[shard] == former else 0

    def _keys(self, shard: int) -> EpochKeys:
        return epoch_keys(self._buffer.namespace, shard, self._epochs[shard])


def _memory(said: object) -> tuple[int, int]:
    """Bytes in use that count, and how many there may be. Raises Unavailable."""
    if isinstance(said, Unavailable):
        raise said
    if not isinstance(said, bytes):  # it may not be asked
        return 0, 0
    fields = dict(line.partition(":")[::2] for line in said.decode(errors="replace").splitlines())
    return _number(fields, "used_memory") - _number(fields, "mem_not_counted_for_evict"), _number(fields, "maxmemory")


def _number(fields: Mapping[str, str], name: str) -> int:
    said = fields.get(name, "")
    return int(said) if said.isdecimal() else 0
