"""Live totals: database + in flight + pending, true at some moment between a read's start and its end.

Redis is asked twice, SQL in between. If no batch of the shard was acknowledged from the first to the second time, then
every batch is in the SQL total read, or still in flight at the second look; its number against the cursor, read in one
statement with the total, says which. Otherwise the read starts again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, Protocol

from likes.batch import BatchId
from likes.buffer.calls import command
from likes.buffer.damage import Damaged, read_batch
from likes.buffer.keys import epoch_keys
from likes.buffer.scripts import Live, live
from likes.buffer.standing import Standing
from likes.errors import LikesError
from likes.member import Member, member_of
from likes.posting.blame import blame
from likes.posting.steps import Query, Send, Steps

ATTEMPTS = 100


class LiveTotal(NamedTuple):
    """A live total and its parts; each may be negative.

    exact: False while Redis has gone back, or was replaced, and no flush has noticed it yet.
    """

    total: int
    database: int
    in_flight: int
    pending: int
    exact: bool = True


class Known(NamedTuple):
    """What one statement read from SQL: the total of each member, and (epoch, seq) of each shard's cursor."""

    totals: Mapping[Member, int]
    cursors: Mapping[int, tuple[str | None, int]]


class ReadSql(Protocol):
    """Reads totals and cursors in one statement."""

    def __call__(self, members: Sequence[Member], shards: Sequence[int]) -> Known: ...


class SeenBatches:
    """The batches seen in flight lately: they never change, so each is fetched once. Safe to share between threads."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._lock = Lock()
        self._batches: dict[BatchId, Mapping[Member, int]] = {}

    def get(self, batch: BatchId) -> Mapping[Member, int] | None:
        """Its deltas, if it was seen."""
        with self._lock:
            return self._batches.get(batch)

    def put(self, batch: BatchId, deltas: Mapping[Member, int]) -> None:
        """Remember its deltas, and forget the oldest batch if there are too many."""
        with self._lock:
            self._batches[batch] = deltas
            if len(self._batches) > self._most:
                del self._batches[next(iter(self._batches))]


class Reader:
    """Reads live totals of one Redis and one database."""

    def __init__(self, namespace: str, read_sql: ReadSql) -> None:
        self.namespace = namespace
        self._read_sql = read_sql
        self._epochs: dict[int, str] = {}
        self._seen = SeenBatches()

    def live(self, members: Mapping[int, Sequence[Member]]) -> Steps[dict[Member, LiveTotal]]:
        """The live total of every member, given by shard."""
        totals: dict[Member, LiveTotal] = {}
        todo = dict(members)
        for _ in range(ATTEMPTS):
            before = yield from look(self.namespace, self._epochs, todo)
            known: Known = yield Query(partial(self._read_sql, [m for some in todo.values() for m in some], list(todo)))
            after = yield from look(self.namespace, self._epochs, todo)
            flying = yield from self._fetch([now.standing for now in after.values()])
            for shard, now in after.items():
                then = before.get(shard)
                in_flight = flying.get(shard)
                if then and _none_acknowledged(then.standing, now.standing) and in_flight is not None:
                    totals.update(add_up(todo.pop(shard), now, in_flight, known.totals, known.cursors.get(shard)))
            if not todo:
                return totals
        raise LikesError("the live total could not be read: at every attempt a batch was acknowledged meanwhile")

    def _fetch(self, standings: Sequence[Standing]) -> Steps[dict[int, dict[int, Mapping[Member, int]]]]:
        """The deltas in flight of each shard, by seq; a shard one of whose batches is gone is left out."""
        flying = [batch for standing in standings for batch in standing.in_flight]
        known = {batch: deltas for batch in flying if (deltas := self._seen.get(batch)) is not None}
        wanted = [batch for batch in flying if batch not in known]
        if wanted:
            keys = [epoch_keys(self.namespace, batch.shard, batch.epoch).batch(batch.seq) for batch in wanted]
            replies: list[Any] = yield Send(
                [command("GET", key, shard=batch.shard) for key, batch in zip(keys, wanted, strict=True)]
            )
            for batch_id, key, payload in zip(wanted, keys, replies, strict=True):
                if isinstance(payload, LikesError):
                    raise payload
                batch = read_batch(key, payload) if payload else None
                if batch and batch.id == batch_id:
                    known[batch_id] = {member_of(d.item.encode(), d.counter.encode()): d.delta for d in batch.deltas}
                    self._seen.put(batch_id, known[batch_id])
        found: dict[int, dict[int, Mapping[Member, int]]] = {standing.shard: {} for standing in standings}
        for batch_id in flying:
            if batch_id not in known:
                found.pop(batch_id.shard, None)
            elif batch_id.shard in found:
                found[batch_id.shard][batch_id.seq] = known[batch_id]
        return found


def _none_acknowledged(then: Standing, now: Standing) -> bool:
    if now.acked is None:
        raise Damaged(f"live totals of shard {now.shard} cannot be read: {now.damage}")
    return (then.epoch, then.acked) == (now.epoch, now.acked)


def look(namespace: str, epochs: dict[int, str], members: Mapping[int, Sequence[Member]]) -> Steps[dict[int, Live]]:
    """What Redis holds of each shard now. One whose epoch is not in `epochs` is left out, and put there."""
    keys = [epoch_keys(namespace, shard, epochs.get(shard, "")) for shard in members]
    replies: list[Live | LikesError] = yield Send(list(map(live, keys, members.values())))
    replies = yield from blame(replies, keys.__getitem__)
    known: dict[int, Live] = {}
    for shard, reply in zip(members, replies, strict=True):
        if isinstance(reply, LikesError):
            raise reply
        epochs[shard] = reply.standing.current
        if reply.is_known:
            known[shard] = reply
    return known


def pending_deltas(namespace: str, members: Mapping[int, Sequence[Member]]) -> Steps[dict[Member, int]]:
    """The pending delta of every member, given by shard."""
    pending: dict[Member, int] = {}
    epochs: dict[int, str] = {}
    todo = dict(members)
    while todo:
        for shard, now in (yield from look(namespace, epochs, todo)).items():
            pending.update(zip(todo.pop(shard), now.deltas, strict=True))
    return pending


def add_up(
    members: Sequence[Member],
    redis: Live,
    in_flight: Mapping[int, Mapping[Member, int]],
    totals: Mapping[Member, int],
    cursor: tuple[str | None, int] | None,
) -> dict[Member, LiveTotal]:
    """The live total of each member. In flight, only batches past the cursor count, which was read with the totals."""
    epoch, seq = cursor or (None, 0)
    exact = epoch in (None, redis.standing.epoch)  # else what it holds may have been counted, or never will be
    if epoch != redis.standing.epoch:
        seq = 0
    if seq > redis.standing.seq:  # Redis went back, and no flush has noticed yet
        return {
            member: LiveTotal(totals.get(member, 0), totals.get(member, 0), 0, 0, exact=False) for member in members
        }
    live_totals: dict[Member, LiveTotal] = {}
    for member, pending in zip(members, redis.deltas, strict=True):
        database = totals.get(member, 0)
        flying = sum(deltas.get(member, 0) for number, deltas in in_flight.items() if number > seq)
        live_totals[member] = LiveTotal(database + flying + pending, database, flying, pending, exact)
    return live_totals
