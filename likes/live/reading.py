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

from likes.batch import Batch
from likes.buffer.keys import epoch_keys
from likes.buffer.scripts import LiveParts, command, live
from likes.errors import LikesError
from likes.items import member_of
from likes.posting.steps import Query, Send, Steps

ATTEMPTS = 100

Member = bytes


class Flight(NamedTuple):
    """Which batch in flight."""

    shard: int
    epoch: str
    seq: int
    nonce: str


class LiveTotal(NamedTuple):
    """A live total and its parts. `exact` is False while Redis has gone back and no flush has noticed yet."""

    total: int
    database: int
    in_flight: int
    pending: int
    exact: bool = True


class Known(NamedTuple):
    """What SQL knows, in one statement: the total of each member, (epoch, seq) of each shard's cursor."""

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
        self._batches: dict[Flight, Mapping[Member, int]] = {}

    def get(self, flight: Flight) -> Mapping[Member, int] | None:
        """Its deltas, if it was seen."""
        with self._lock:
            return self._batches.get(flight)

    def put(self, flight: Flight, deltas: Mapping[Member, int]) -> None:
        """Remember its deltas, and forget the oldest."""
        with self._lock:
            self._batches[flight] = deltas
            if len(self._batches) > self._most:
                del self._batches[next(iter(self._batches))]


class Reader:
    """Reads live totals of one Redis and one database."""

    def __init__(self, prefix: str, read_sql: ReadSql) -> None:
        self.prefix = prefix
        self._read_sql = read_sql
        self._epochs: dict[int, str] = {}
        self._seen = SeenBatches()

    def live(self, members: Mapping[int, Sequence[Member]]) -> Steps[dict[Member, LiveTotal]]:
        """The live total of every member, given by shard."""
        totals: dict[Member, LiveTotal] = {}
        todo = dict(members)
        for _ in range(ATTEMPTS):
            before = yield from look(self.prefix, self._epochs, todo)
            known: Known = yield Query(partial(self._read_sql, [m for some in todo.values() for m in some], list(todo)))
            after = yield from look(self.prefix, self._epochs, todo)
            flying = yield from self._fetch(after)
            for shard, now in after.items():
                then = before.get(shard)
                in_flight = flying.get(shard)
                if then and (then.epoch, then.acked) == (now.epoch, now.acked) and in_flight is not None:
                    totals.update(add_up(todo.pop(shard), now, in_flight, known.totals, known.cursors.get(shard)))
            if not todo:
                return totals
        raise LikesError("the live total could not be read: batches were acknowledged faster than it could be added up")

    def _fetch(self, parts: Mapping[int, LiveParts]) -> Steps[dict[int, dict[int, Mapping[Member, int]]]]:
        """The deltas in flight of each shard, by seq; a shard one of whose batches is gone is left out."""
        flights = [Flight(shard, part.epoch, *id_) for shard, part in parts.items() for id_ in part.in_flight]
        known = {flight: deltas for flight in flights if (deltas := self._seen.get(flight)) is not None}
        wanted = [flight for flight in flights if flight not in known]
        if wanted:
            keys = [epoch_keys(self.prefix, flight.shard, flight.epoch).batch(flight.seq) for flight in wanted]
            replies: list[Any] = yield Send([command("GET", key) for key in keys])
            for flight, payload in zip(wanted, replies, strict=True):
                if isinstance(payload, LikesError):
                    raise payload
                batch = Batch.unpack(payload) if payload else None
                if batch and batch.id.nonce == flight.nonce:
                    known[flight] = {member_of(d.item.encode(), d.counter.encode()): d.delta for d in batch.deltas}
                    self._seen.put(flight, known[flight])
        found: dict[int, dict[int, Mapping[Member, int]]] = {shard: {} for shard in parts}
        for flight in flights:
            if flight not in known:
                found.pop(flight.shard, None)
            elif flight.shard in found:
                found[flight.shard][flight.seq] = known[flight]
        return found


def look(prefix: str, epochs: dict[int, str], members: Mapping[int, Sequence[Member]]) -> Steps[dict[int, LiveParts]]:
    """What Redis holds of each shard now; one whose epoch was news (now in `epochs`) is left out this time."""
    calls = []
    for shard, some in members.items():
        epoch = epochs.get(shard, "")
        calls.append(live(epoch_keys(prefix, shard, epoch), epoch=epoch, members=some))
    replies: list[LiveParts | LikesError] = yield Send(calls)
    parts: dict[int, LiveParts] = {}
    for shard, reply in zip(members, replies, strict=True):
        if isinstance(reply, LikesError):
            raise reply
        epochs[shard] = reply.epoch
        if reply.known:
            parts[shard] = reply
    return parts


def pending_deltas(prefix: str, members: Mapping[int, Sequence[Member]]) -> Steps[dict[Member, int]]:
    """The pending delta of every member, given by shard."""
    pending: dict[Member, int] = {}
    epochs: dict[int, str] = {}
    todo = dict(members)
    while todo:
        for shard, parts in (yield from look(prefix, epochs, todo)).items():
            pending.update(zip(todo.pop(shard), parts.pending, strict=True))
    return pending


def add_up(
    members: Sequence[Member],
    redis: LiveParts,
    in_flight: Mapping[int, Mapping[Member, int]],
    totals: Mapping[Member, int],
    cursor: tuple[str | None, int] | None,
) -> dict[Member, LiveTotal]:
    """The live total of each member: what is in flight counts only past the cursor, which the totals were read with."""
    epoch, seq = cursor or (None, 0)
    if epoch != redis.epoch:
        seq = 0
    if seq > redis.seq:  # Redis went back, and no flush has noticed yet
        return {
            member: LiveTotal(totals.get(member, 0), totals.get(member, 0), 0, 0, exact=False) for member in members
        }
    live_totals: dict[Member, LiveTotal] = {}
    for member, pending in zip(members, redis.pending, strict=True):
        database = totals.get(member, 0)
        flying = sum(deltas.get(member, 0) for number, deltas in in_flight.items() if number > seq)
        live_totals[member] = LiveTotal(database + flying + pending, database, flying, pending)
    return live_totals
