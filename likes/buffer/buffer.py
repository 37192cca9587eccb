"""The worker's side of Redis: what is pending and in flight, handing off, acknowledging, where each shard stands."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from likes.batch import Batch, BatchId
from likes.buffer import scripts
from likes.buffer.keys import EpochKeys, epoch_keys, fresh_epoch, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import Call, Confirmed, command
from likes.buffer.standing import EpochView, ShardView, look
from likes.errors import LikesError
from likes.items import MAX_SHARDS

BATCHES_IN_A_ROW = 4  # so many of an epoch are in flight at most


@dataclass(frozen=True, slots=True)
class Server:
    """Which server answers: the id of its process, its replication id, and the one it had before it was promoted."""

    run_id: str
    replid: str
    replid_before: str


class Overtaken(LikesError):
    """A hand-off found the shard not as it was read: another worker is at it, or Redis went back. Nothing was done."""


class Buffer:
    """One Redis, seen by a worker. `open_fresh` opens a link that has not been used, to the master asked anew."""

    def __init__(self, link: Link, open_fresh: Callable[[], Link], prefix: str, batch_items: int) -> None:
        self.link = link
        self._open_fresh = open_fresh
        self.prefix = prefix
        self.batch_items = batch_items

    @property
    def items_in_a_row(self) -> int:
        """How many items of a shard are handed off together: several batches, while these are 1,000 at most."""
        return self.batch_items * max(1, min(BATCHES_IN_A_ROW, 1000 // self.batch_items))

    def look(self, expected: Mapping[int, str | None]) -> dict[int, ShardView]:
        """How each shard stands, in one round trip where Redis holds just the `expected` epoch. Raises Unavailable."""
        return look(self.link, self.prefix, expected)

    def shards_in_use(self) -> list[int]:
        """The shards that have an epoch, whatever number of shards is configured."""
        pointers = [shard_keys(self.prefix, shard).epoch for shard in range(MAX_SHARDS)]
        found = ask(self.link, [command("EXISTS", pointer) for pointer in pointers])
        return [shard for shard, there in enumerate(found) if there]

    def in_flight(self, shard: int, ids: Iterable[BatchId]) -> Iterator[tuple[BatchId, Batch | None]]:
        """Batches in flight, one by one; None for one that is gone: acknowledged by another, most likely."""
        for batch_id in ids:
            keys = epoch_keys(self.prefix, shard, batch_id.epoch)
            (payload,) = ask(self.link, [command("GET", keys.batch(batch_id.seq))])
            batch = _unpack(payload, keys, batch_id.seq) if payload else None
            yield batch_id, batch if batch and batch.id == batch_id else None

    def hand_offs(self, view: EpochView, *, started: int) -> Iterator[Sequence[Batch]]:
        """Hand off what is pending in `view`, some batches in a row each time, the next when they are acknowledged.

        `started`: milliseconds since 1970 after which began whatever stays pending. Raises Overtaken.
        """
        keys = self._keys(view)
        left = view.pending
        (head,) = ask(self.link, [command("LRANGE", keys.pending, 0, min(left, self.items_in_a_row) - 1)])
        acknowledgements: list[Call[Any]] = []
        while left > 0 and head:
            left -= len(head)
            seals = self._hand_offs_in_a_row(view, head, left, started)
            replies = ask(self.link, [*acknowledgements, *seals])[len(acknowledgements) :]
            acknowledgements = []
            if None in replies:
                raise Overtaken(f"shard {view.shard} was not as it was read")
            batches = [handed_off.batch for handed_off in replies]
            yield batches
            acknowledgements = [scripts.acknowledge(keys, batch.id) for batch in batches]
            head, last = replies[-1].next_head, batches[-1].id
            view = replace(view, seq=last.seq, nonce=last.nonce)
        if acknowledgements:
            ask(self.link, acknowledgements)

    def _hand_offs_in_a_row(self, view: EpochView, head: Sequence[bytes], left: int, started: int) -> list[Call[Any]]:
        """One call for each batch: a script holds Redis, so several short ones are better than a long one."""
        calls: list[Call[Any]] = []
        nonce = view.nonce
        for first in range(0, len(head), self.batch_items):
            is_last = first + self.batch_items >= len(head)
            fresh_nonce = secrets.token_hex(16)
            call = scripts.hand_off(
                self._keys(view),
                epoch=view.epoch,
                shard=view.shard,
                seq=view.seq + len(calls),
                nonce=nonce,
                fresh_nonce=fresh_nonce,
                now=time.time_ns() // 1_000_000,
                head=head[first : first + self.batch_items],
                in_flight=len(calls),
                next_head=min(left, self.items_in_a_row) if is_last and left > 0 else 0,
                pending_since=started if is_last and left <= 0 else None,
            )
            calls.append(call)
            nonce = fresh_nonce
        return calls

    def acknowledge(self, shard: int, batch: BatchId) -> None:
        """Drop a batch that SQL has; harmless when repeated."""
        ask(self.link, [scripts.acknowledge(epoch_keys(self.prefix, shard, batch.epoch), batch)])

    def begin_epoch(self, shard: int, old: str) -> str:
        """Point at a fresh epoch if `old` ("" for none) is still current; the one current now."""
        (current,) = ask(self.link, [scripts.begin_epoch(shard_keys(self.prefix, shard), old=old, fresh=fresh_epoch())])
        return str(current)

    def drop_epoch(self, shard: int, epoch: str) -> bool:
        """Forget an epoch left behind; False if it is current or not empty."""
        (dropped,) = ask(self.link, [scripts.drop_epoch(epoch_keys(self.prefix, shard, epoch), epoch)])
        return bool(dropped)

    def confirm(self, shard: int, epoch: str) -> Confirmed:
        """Where a shard stands under `epoch`, by a write over a fresh connection: only a master passes that."""
        with closing(self._open_fresh()) as link:
            (confirmed,) = ask(link, [scripts.confirm(epoch_keys(self.prefix, shard, epoch))])
        assert isinstance(confirmed, Confirmed)  # noqa: S101 (narrows a reply's type)
        return confirmed

    def server(self) -> Server:
        """Which server answers."""
        info = b"".join(ask(self.link, [command("INFO", "server"), command("INFO", "replication")]))
        fields = dict(line.decode().partition(":")[::2] for line in info.splitlines())
        return Server(fields.get("run_id", ""), fields.get("master_replid", ""), fields.get("master_replid2", ""))

    def _keys(self, view: EpochView) -> EpochKeys:
        return epoch_keys(self.prefix, view.shard, view.epoch)


def _unpack(payload: bytes, keys: EpochKeys, seq: int) -> Batch:
    try:
        return Batch.unpack(payload)
    except (ValueError, TypeError) as error:
        raise LikesError(
            f"the batch at {keys.batch(seq).decode()} cannot be read: {error}; upgrade this worker"
        ) from None
