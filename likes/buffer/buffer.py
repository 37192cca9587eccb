"""The worker's side of Redis: what is pending and in flight, handing off, acknowledging, where each shard stands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import TypeVar

from likes.batch import Batch, BatchId, Place, members_in
from likes.buffer import scripts
from likes.buffer.calls import Call, command
from likes.buffer.damage import culprit, is_about_a_type, probes, read_batch
from likes.buffer.durability import Durability
from likes.buffer.generations import Generations
from likes.buffer.keys import EpochKeys, epoch_keys, fresh_epoch, shard_keys
from likes.buffer.lineage import LINEAGE
from likes.buffer.links.link import Link, ask
from likes.buffer.looking import look
from likes.buffer.ownership import Ownership
from likes.buffer.scripts import Carried, Confirmed
from likes.buffer.servers import Server, read_clock, read_servers
from likes.buffer.standing import ShardView
from likes.buffer.turn import Turn
from likes.errors import LikesError, RedisRefused, Unavailable
from likes.items import MAX_SHARDS
from likes.member import Member

_log = logging.getLogger("likes.redis")

_SERVER_IDS = "which server it is, so a restart or a failover is not recorded as an incident"

T = TypeVar("T")

BATCHES_IN_A_ROW = 4  # so many of an epoch are in flight at most


class Buffer:
    """One Redis, seen by a worker.

    open_fresh: opens a link that has not been used, to the master asked for anew.
    batch_items: how many items a batch has at most.
    writes_through: cached totals get what is flushed added; else they are dropped then.
    durability, patience: what must have a batch before SQL gets it, and for how many seconds that is waited for.
    """

    def __init__(
        self,
        link: Link,
        open_fresh: Callable[[], Link],
        namespace: str,
        batch_items: int,
        *,
        writes_through: bool = True,
        durability: str = "none",
        patience: float = 2.5,
    ) -> None:
        self.link = link
        self._open_fresh = open_fresh
        self.namespace = namespace
        self.ownership = Ownership(link, open_fresh, namespace)
        self.durability = Durability(link, open_fresh, namespace, durability, patience)
        self.batch_items = batch_items
        self._writes_through = writes_through
        self._told: set[str] = set()

    @property
    def where(self) -> str:
        """Where Redis is, for messages."""
        return self.link.where

    @property
    def items_in_a_row(self) -> int:
        """How many items of a shard are handed off together at most: four batches, fewer beyond 1,000 items."""
        return self.batch_items * max(1, min(BATCHES_IN_A_ROW, 1000 // self.batch_items))

    def ping(self) -> None:
        """Raise Unavailable if Redis, or one of its nodes, does not answer."""
        servers = [shard_keys(self.namespace, shard).owner for shard in self.servers_there_are().values()]
        ask(self.link, [command("PING", at=key) for key in servers])

    def look(self, expected: Mapping[int, str | None]) -> dict[int, ShardView]:
        """Where each shard stands; one round trip if each has just its `expected` epoch. Raises Unavailable."""
        return look(self.link, self.namespace, expected)

    def shards_in_use(self) -> list[int]:
        """The shards that have an epoch, whatever number of shards is configured."""
        keys = [shard_keys(self.namespace, shard) for shard in range(MAX_SHARDS)]
        found = ask(self.link, [command("EXISTS", each.pointer, shard=each.shard) for each in keys])
        return [each.shard for each, there in zip(keys, found, strict=True) if there]

    def hand_off(self, turns: Sequence[Turn]) -> None:
        """Seal a row of batches in each shard: `sealed` of its turn, if it is known whole.

        A turn without one has an error, or had nothing pending. What was sealed of it all the same is in flight.
        """
        if unseen := [turn for turn in turns if not turn.head]:
            heads = self.link.send([turn.look_at_head(self._keys(turn), self.items_in_a_row) for turn in unseen])
            for turn, head in zip(unseen, heads, strict=True):
                turn.see_head(head)
        rows = [turn.hand_offs(self._keys(turn), self.batch_items, self.items_in_a_row) for turn in turns]
        replies = iter(self.link.send([call for calls in rows for call in calls]))
        for turn, calls in zip(turns, rows, strict=True):
            turn.take([next(replies) for _ in calls])
            if turn.error and is_about_a_type(turn.error):
                suspects = probes(self._keys(turn))
                turn.error = culprit(suspects, self.link.send(suspects), turn.error)

    def acknowledge(self, turns: Sequence[Turn]) -> None:
        """Drop the rows sealed last, which SQL has whole; harmless when repeated. Where that fails, the turn has an
        error.
        """
        rows = [turn.sealed.batches if turn.sealed else () for turn in turns]
        calls = [
            self._acknowledge(batch.id, members_in(batch) if turn.is_cached else (), drop=not self._writes_through)
            for turn, row in zip(turns, rows, strict=True)
            for batch in row
        ]
        replies = iter(self.link.send(calls) if calls else ())
        for turn, row in zip(turns, rows, strict=True):
            turn.hear([next(replies) for _ in row])

    def acknowledge_batch(self, batch: BatchId, content: Batch | None) -> None:
        """Drop a batch that SQL has, or that nobody can count; harmless when repeated. What of its content was counted
        is not known here, so cached totals of it are dropped; all that are cached, if its content is not known.
        """
        ask(self.link, [self._acknowledge(batch, members_in(content) if content else (), drop=True)])

    def _acknowledge(self, batch: BatchId, members: Sequence[Member], *, drop: bool) -> Call[Carried]:
        keys = epoch_keys(self.namespace, batch.shard, batch.epoch)
        return scripts.acknowledge(keys, batch, self.ownership.database, members, drop=drop)

    def raise_generations(self, generations: Mapping[int, tuple[str, int]]) -> None:
        """Let no total cached before be used of these shards: shard -> epoch and SQL's generation of them."""
        calls = [
            scripts.raise_generation(
                epoch_keys(self.namespace, shard, epoch), database=self.ownership.database, generation=generation
            )
            for shard, (epoch, generation) in generations.items()
        ]
        ask(self.link, calls)

    def in_flight(self, ids: Iterable[BatchId]) -> Iterator[tuple[BatchId, Batch | None]]:
        """The batches in flight, one by one; None for one that is gone: another worker acknowledged it, most likely.

        Raises WrongDatabase for a batch of another database.
        """
        for batch_id in ids:
            yield batch_id, self._fetch(self.link, batch_id)

    def fetch_anew(self, batch: BatchId) -> Batch | None:
        """A batch in flight, asked for over a fresh connection to the master; None if it is gone."""
        with closing(self._open_fresh()) as link:
            return self._fetch(link, batch)

    def _fetch(self, link: Link, batch_id: BatchId) -> Batch | None:
        keys = epoch_keys(self.namespace, batch_id.shard, batch_id.epoch)
        (found,) = ask(link, [scripts.fetch(keys, batch_id.seq)])
        self.ownership.require_own(batch_id.shard, found.owner)
        batch = read_batch(keys.batch(batch_id.seq), found.payload) if found.payload else None
        return batch if batch and batch.id == batch_id else None

    def begin_epoch(self, shard: int, old: str, shards: int) -> str:
        """Point at a fresh epoch, of so many `shards`, if `old` ("" for none) is still current; returns the one that is
        current now.
        """
        keys = shard_keys(self.namespace, shard)
        begin = scripts.begin_epoch(keys, old=old, fresh=fresh_epoch(shards), owner=self.ownership.database)
        (current,) = ask(self.link, [begin])
        return str(current)

    def drop_epoch(self, shard: int, epoch: str) -> bool:
        """Forget an epoch left behind, which is retired; False if it is current or not empty."""
        keys = epoch_keys(self.namespace, shard, epoch)
        (once,) = ask(self.link, [command("GET", keys.once, shard=shard)])
        ask(self.link, [*scripts.delete_all_buckets(keys, Generations((once or b"").decode("ascii", "replace")))])
        (dropped,) = ask(self.link, [scripts.drop_epoch(keys, self.ownership.database)])
        return bool(dropped)

    def confirm(self, shard: int, epoch: str, *places: Place) -> Confirmed:
        """Where a shard stands under `epoch`, and which of `places` are ends of batches that it remembers.

        Asked with a write over a fresh connection: only a master accepts that. Raises as `Ownership.require_own`.
        """
        with closing(self._open_fresh()) as link:
            (confirmed,) = ask(link, [scripts.confirm(epoch_keys(self.namespace, shard, epoch), places)])
        assert isinstance(confirmed, Confirmed)  # noqa: S101 (narrows a reply's type)
        self.ownership.require_own(shard, confirmed.owner)
        return confirmed

    def servers(self, shards: Collection[int]) -> list[tuple[Server, Collection[int]]]:
        """Which servers answer for these shards, each with those that it has."""
        found = read_servers(self.link, self.namespace, shards)
        if not all(server.run_id and server.replid for server, _ in found):
            self._go_without(_SERVER_IDS, "INFO lacks run_id or master_replid, or is refused", None)
        return found

    def run_ids(self) -> set[str]:
        """The processes of all servers that may have keys of ours, as far as they tell. Raises Unavailable."""
        return {server.run_id for server, _ in self.servers(self.servers_there_are().values())}

    def servers_there_are(self) -> dict[str, int]:
        """What messages call each server that may have keys of ours, and a shard that it has. Raises Unavailable."""
        keys = {shard: shard_keys(self.namespace, shard).owner for shard in range(MAX_SHARDS)}
        return {where: min(shards) for where, shards in self.link.by_node(keys).items()}

    def lineage(self) -> list[str]:
        """The run ids of the processes whose memory the server has, whole, its own first; empty where it has no such.

        Only the embedded server keeps one.
        """
        (found,) = self.link.send([command("LRANGE", LINEAGE, 0, -1, at=LINEAGE.encode())])
        if isinstance(found, Unavailable):
            raise found
        return [] if isinstance(found, LikesError) else [run_id.decode() for run_id in found]

    def clock(self, shard: int) -> datetime | None:
        """The moment by the clock of the server that a shard lives on; None if it does not tell."""
        return read_clock(self.link, shard_keys(self.namespace, shard))

    def now(self) -> float:
        """Redis's clock, in seconds since 1970; this machine's where Redis does not tell."""
        try:
            ((seconds, microseconds),) = ask(self.link, [command("TIME", at=shard_keys(self.namespace, 0).workers)])
        except RedisRefused as refused:
            return self._go_without("the time, so this machine's clock is taken", refused, time.time())
        return int(seconds) + int(microseconds) / 1_000_000

    def _go_without(self, what: str, why: object, instead: T) -> T:
        if what not in self._told:
            self._told.add(what)
            _log.warning("%s does not tell %s (%s)", self.where, what, why)
        return instead

    def _keys(self, turn: Turn) -> EpochKeys:
        return epoch_keys(self.namespace, turn.shard, turn.epoch)
