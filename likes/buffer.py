"""The worker's side of Redis: what is pending and in flight, handing off, acknowledging, where each shard stands."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from likes import lua
from likes.batch import Batch, BatchId
from likes.errors import LikesError, RedisRefused, Unavailable
from likes.items import MAX_SHARDS
from likes.keys import EpochKeys, epoch_keys, shard_keys
from likes.link import Link, ask
from likes.lua import Call, Confirmed, command
from likes.producer import fresh_epoch


@dataclass(frozen=True, slots=True)
class EpochView:
    """What Redis holds of one shard under one epoch. `nonce` is that of batch `seq`, the last one sealed."""

    shard: int
    epoch: str
    seq: int
    nonce: str
    pending: int
    in_flight: tuple[BatchId, ...]


@dataclass(frozen=True, slots=True)
class ShardView:
    """What Redis holds of one shard. `current`: the epoch pointed at, "" for none; `error`: why it cannot be told."""

    shard: int
    current: str
    epochs: Mapping[str, EpochView]
    error: LikesError | None = None


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

    def look(self, expected: Mapping[int, str | None]) -> dict[int, ShardView]:
        """How each shard stands, in one round trip where Redis holds just the `expected` epoch. Raises Unavailable."""
        calls = {shard: self._look_at(shard, epoch) for shard, epoch in expected.items()}
        replies = iter(self.link.send([call for some in calls.values() for call in some]))
        return {shard: self._view(shard, expected[shard], [next(replies) for _ in calls[shard]]) for shard in expected}

    def _look_at(self, shard: int, epoch: str | None) -> list[Call[Any]]:
        keys = shard_keys(self.prefix, shard)
        pointers: list[Call[Any]] = [command("GET", keys.epoch), command("SMEMBERS", keys.epochs)]
        return pointers + (self._look_under(shard, epoch) if epoch else [])

    def _look_under(self, shard: int, epoch: str) -> list[Call[Any]]:
        keys = epoch_keys(self.prefix, shard, epoch)
        return [
            command("HMGET", keys.state, "seq", "nonce"),
            command("LLEN", keys.pending),
            command("LRANGE", keys.in_flight, 0, -1),
        ]

    def _view(self, shard: int, expected: str | None, replies: list[Any]) -> ShardView:
        error = next((reply for reply in replies if isinstance(reply, LikesError)), None)
        if isinstance(error, Unavailable):
            raise error
        if error:  # of this shard alone, such as another type at one of its keys
            return ShardView(shard, "", {}, RedisRefused(f"shard {shard}: {error}"))
        current = (replies[0] or b"").decode()
        names = sorted({current, *(name.decode() for name in replies[1])} - {""})
        under = {expected: replies[2:]} if expected else {}
        under |= {name: ask(self.link, self._look_under(shard, name)) for name in names if name != expected}
        return ShardView(shard, current, {name: _read_view(shard, name, under[name]) for name in names})

    def shards_in_use(self) -> list[int]:
        """The shards that have an epoch, whatever number of shards is configured."""
        pointers = [shard_keys(self.prefix, shard).epoch for shard in range(MAX_SHARDS)]
        found = ask(self.link, [command("EXISTS", pointer) for pointer in pointers])
        return [shard for shard, there in enumerate(found) if there]

    def in_flight(self, view: EpochView) -> Iterator[tuple[BatchId, Batch | None]]:
        """The batches in flight, oldest first; None for one that is gone: acknowledged by another, most likely."""
        keys = self._keys(view)
        for batch_id in view.in_flight:
            (payload,) = ask(self.link, [command("GET", keys.batch(batch_id.seq))])
            batch = _unpack(payload, keys, batch_id.seq) if payload else None
            yield batch_id, batch if batch and batch.id == batch_id else None

    def hand_offs(self, view: EpochView, *, started: int) -> Iterator[Batch]:
        """Hand off what is pending in `view`, batch by batch; asking for the next one acknowledges the one before.

        `started`: milliseconds since 1970 after which began whatever stays pending. Raises Overtaken.
        """
        keys = self._keys(view)
        seq, nonce, left = view.seq, view.nonce, view.pending
        (head,) = ask(self.link, [command("LRANGE", keys.pending, 0, min(left, self.batch_items) - 1)])
        applied: list[Call[Any]] = []
        while left > 0 and head:
            left -= len(head)
            seal = lua.hand_off(
                keys,
                epoch=view.epoch,
                shard=view.shard,
                seq=seq,
                nonce=nonce,
                fresh_nonce=secrets.token_hex(16),
                now=time.time_ns() // 1_000_000,
                head=head,
                next_head=min(left, self.batch_items) if left > 0 else 0,
                pending_since=started if left <= 0 else None,
            )
            handed_off = ask(self.link, [*applied, seal])[-1]
            applied = []
            if handed_off is None:
                raise Overtaken(f"shard {view.shard} was not as it was read")
            batch: Batch = handed_off.batch
            yield batch
            applied = [lua.acknowledge(keys, batch.id)]
            seq, nonce, head = batch.id.seq, batch.id.nonce, handed_off.next_head
        if applied:
            ask(self.link, applied)

    def acknowledge(self, shard: int, batch: BatchId) -> None:
        """Drop a batch that SQL has; harmless when repeated."""
        ask(self.link, [lua.acknowledge(epoch_keys(self.prefix, shard, batch.epoch), batch)])

    def begin_epoch(self, shard: int, old: str) -> str:
        """Point at a fresh epoch if `old` ("" for none) is still current; the one current now."""
        (current,) = ask(self.link, [lua.begin_epoch(shard_keys(self.prefix, shard), old=old, fresh=fresh_epoch())])
        return str(current)

    def drop_epoch(self, shard: int, epoch: str) -> bool:
        """Forget an epoch left behind; False if it is current or not empty."""
        (dropped,) = ask(self.link, [lua.drop_epoch(epoch_keys(self.prefix, shard, epoch), epoch)])
        return bool(dropped)

    def confirm(self, shard: int, epoch: str) -> Confirmed:
        """Where a shard stands under `epoch`, by a write over a fresh connection: only a master passes that."""
        with closing(self._open_fresh()) as link:
            (confirmed,) = ask(link, [lua.confirm(epoch_keys(self.prefix, shard, epoch))])
        assert isinstance(confirmed, Confirmed)  # noqa: S101 (narrows a reply's type)
        return confirmed

    def server(self) -> Server:
        """Which server answers."""
        info = b"".join(ask(self.link, [command("INFO", "server"), command("INFO", "replication")]))
        fields = dict(line.decode().partition(":")[::2] for line in info.splitlines())
        return Server(fields.get("run_id", ""), fields.get("master_replid", ""), fields.get("master_replid2", ""))

    def _keys(self, view: EpochView) -> EpochKeys:
        return epoch_keys(self.prefix, view.shard, view.epoch)


def _read_view(shard: int, epoch: str, replies: list[Any]) -> EpochView:
    (seq, nonce), pending, in_flight = replies
    ids = tuple(BatchId(epoch, *lua.read_id(text)) for text in in_flight)
    return EpochView(shard, epoch, int(seq or 0), (nonce or b"").decode(), pending, ids)


def _unpack(payload: bytes, keys: EpochKeys, seq: int) -> Batch:
    try:
        return Batch.unpack(payload)
    except (ValueError, TypeError) as error:
        raise LikesError(
            f"the batch at {keys.batch(seq).decode()} cannot be read: {error}; upgrade this worker"
        ) from None
