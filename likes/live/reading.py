"""Live totals: database + in flight + pending, true at some moment between a read's start and its end.

One script reads what is cached, pending and in flight of a shard at one moment. A cached total answers: it stands with
the number of the last batch in it, and what is in flight past that counts. What is not cached is asked of SQL, total
and cursor in one statement. That holds only if every batch past the cursor is in flight in the script that reads Redis
again and fills the cache; else the read starts again. `tests/model/live_rows.py` checks it over every interleaving.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from likes.buffer.calls import Call
from likes.buffer.keys import epoch_keys
from likes.buffer.scripts import Cached, Caching, Fill, Look, add_to_stats, look
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.live.asking import ask
from likes.live.caching import LEASE_SECONDS, CacheCounts, CacheRules
from likes.live.in_flight import SeenBatches
from likes.live.known import Identity, Known, Position, Sql
from likes.live.read import Read, Tell
from likes.live.total import add_up, of_database
from likes.member import Member
from likes.posting.steps import Pause, Query, Steps

TRIES = 5  # where what SQL said does not fit, or a batch in flight is gone; then it is told as it is, not exact
EPOCHS_LEARNED = 5  # of a shard in one look; they change when Redis is emptied or replaced
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.002, 0.032

Members = Mapping[int, Collection[Member]]


class Seen(NamedTuple):
    """What one look saw of a shard, and what is in the batches in flight, by their number. is_whole: none was gone."""

    now: Look
    in_flight: Mapping[int, Mapping[Member, int]]
    is_whole: bool


class Reader:
    """Reads live totals of one Redis and one database. For any number of threads and event loops of a process."""

    def __init__(self, namespace: str, sql: Sql, rules: CacheRules) -> None:
        self.namespace = namespace
        self.counts = CacheCounts()
        self._sql = sql
        self._rules = rules
        self._identity: Identity | None = None
        self._epochs: dict[int, str] = {}
        self._batches = SeenBatches()

    def live(
        self, members: Mapping[int, Sequence[Member]], deadline: Deadline, tell: Tell, *, or_database: bool = False
    ) -> Steps[None]:
        """Find the live total of every member, given by shard; each is told as soon as it is known, or its error.

        or_database: where Redis is away, the database's total alone is told instead, not exact.
        """
        read = Read(members, tell)
        yield from self._identify(deadline)
        waited, pause = 0.0, FIRST_PAUSE_SECONDS
        while read.todo:
            for_redis = Deadline(deadline.left() / 2) if or_database else deadline
            asked = yield from self._take_hits(read, for_redis, waited)
            if asked:
                yield from self._ask_sql(read, asked, deadline)
            elif read.todo:  # other readers are just asking
                yield Pause(pause)
                waited += pause
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        if read.away and or_database:
            yield from self._tell_of_database(read, deadline, tell)
        else:
            read.tell_away()

    def pending(self, members: Members, deadline: Deadline) -> Steps[dict[Member, int]]:
        """The pending delta of every member, given by shard. Raises what Redis answers instead."""
        pending: dict[Member, int] = {}
        for shard, now in (yield from self._look(members, deadline)).items():
            if isinstance(now, LikesError):
                raise now
            pending.update(zip(members[shard], now.deltas, strict=True))
        return pending

    def _identify(self, deadline: Deadline) -> Steps[None]:
        """Learn which database it is, once: only its own totals may be taken from the cache."""
        if self._identity is None:
            identity: Identity | LikesError = yield Query(self._sql.identity, deadline)
            if not isinstance(identity, LikesError):
                self._identity = identity

    def _take_hits(self, read: Read, deadline: Deadline, waited: float) -> Steps[dict[int, list[Member]]]:
        """Tell those whose totals are cached; returns those to ask SQL for, by shard. waited: seconds, for others."""
        caching = self._caching(takes_leases=not read.tries and waited < LEASE_SECONDS)
        if caching is None:
            return {shard: [*members] for shard, members in read.todo.items()}
        asked: dict[int, list[Member]] = {}
        for shard, (now, in_flight, is_whole) in (yield from self._see(read, read.todo, deadline, caching)).items():
            for member, pending, cached in zip([*read.todo[shard]], now.deltas, now.cached, strict=True):
                if cached != "awaited" or not waited:
                    self.counts.note(cached)
                if isinstance(cached, Cached):
                    total = add_up(member, cached.total, cached.cursor, in_flight, pending, exact=is_whole)
                    read.found(shard, member, total)
                if cached == "missing" or (isinstance(cached, Cached) and cached.refresh):
                    asked.setdefault(shard, []).append(member)
        return asked

    def _ask_sql(self, read: Read, asked: Mapping[int, list[Member]], deadline: Deadline) -> Steps[None]:
        """Ask SQL for these members, keep in the cache what it says, and tell it if it holds."""
        began = time.monotonic()
        if not read.waits_for(asked):
            deadline = Deadline(min(deadline.left(), LEASE_SECONDS))  # all were told: nobody should wait for the cache
        known = yield from self._query(asked, deadline)
        if isinstance(known, LikesError):
            read.sql_failed(asked, known)
            return
        self._identity = known.identity
        fill = partial(_fill, asked, known, round((time.monotonic() - began) * 1000))
        seen = yield from self._see(read, asked, deadline, self._caching(takes_leases=False), fill)
        for shard, (now, in_flight, is_whole) in seen.items():
            position = known.positions.get(shard, Position())
            is_mine, cursor = position.epoch in (None, now.epoch), _cursor(position, now.epoch)
            holds = is_mine and now.has_all_after(cursor) and position.generation >= now.generation
            is_ours = now.owner in ("", known.identity.database)
            if not holds and is_ours and is_mine and cursor <= now.seq and read.tries < TRIES:
                continue  # what was acknowledged since the query is in no part of the sum: again
            went_back = is_mine and cursor > now.seq
            for member, pending in zip(asked[shard], now.deltas, strict=True):
                total = known.totals.get(member, 0)
                summed = add_up(member, total, cursor, in_flight, pending, exact=holds and is_ours and is_whole)
                read.found(shard, member, of_database(total) if went_back else summed)
        if read.waits_for(asked):
            read.tries += 1  # what it waits for besides is still being filled by others

    def _see(
        self,
        read: Read,
        members: Members,
        deadline: Deadline,
        caching: Caching | None,
        fill: Callable[[int, str], Fill | None] = lambda _shard, _epoch: None,
    ) -> Steps[dict[int, Seen]]:
        """Look, and fetch what is in flight; a shard is left out that has an error, or a batch that is gone by then."""
        looks = yield from self._look(members, deadline, caching, fill)
        flying = [batch for now in looks.values() if isinstance(now, Look) for batch in now.in_flight]
        batches = yield from self._batches.fetch(self.namespace, flying, deadline)
        seen: dict[int, Seen] = {}
        for shard, now in looks.items():
            contents = [] if isinstance(now, LikesError) else [batches[batch] for batch in now.in_flight]
            error = next((each for each in [now, *contents] if isinstance(each, LikesError)), None)
            if error is not None:
                read.failed(shard, error)
            elif isinstance(now, Look) and (None not in contents or read.looks_in_vain(shard) > TRIES):
                deltas = {batch.seq: each for batch, each in zip(now.in_flight, contents, strict=True)}
                here = {seq: each for seq, each in deltas.items() if isinstance(each, Mapping)}
                seen[shard] = Seen(now, here, is_whole=len(here) == len(deltas))
        return seen

    def _look(
        self,
        members: Members,
        deadline: Deadline,
        caching: Caching | None = None,
        fill: Callable[[int, str], Fill | None] = lambda _shard, _epoch: None,
    ) -> Steps[dict[int, Look | LikesError]]:
        """What Redis holds of each shard now, under the epoch that is current."""
        found: dict[int, Look | LikesError] = {}
        for _ in range(EPOCHS_LEARNED):
            left = [shard for shard in members if shard not in found]
            keys = [epoch_keys(self.namespace, shard, self._epochs.get(shard, "")) for shard in left]
            calls = [
                look(each, [*members[each.shard]], caching if each.epoch else None, fill(each.shard, each.epoch))
                for each in keys
            ]
            replies = yield from ask([*calls, *self._stats()], deadline, keys)
            for shard, now in zip(left, replies, strict=True):
                if isinstance(now, Look) and not now.is_known:
                    self._epochs[shard] = now.current
                else:
                    found[shard] = now
            if len(found) == len(members):
                return found
        changing = LikesError("the live total could not be read: Redis is replaced again and again")
        return {shard: found.get(shard, changing) for shard in members}

    def _tell_of_database(self, read: Read, deadline: Deadline, tell: Tell) -> Steps[None]:
        asked = {shard: members for shard, (members, _) in read.away.items()}
        known = yield from self._query(asked, deadline)
        for members, away in read.away.values():
            for member in members:
                tell(member, away if isinstance(known, LikesError) else of_database(known.totals.get(member, 0)))

    def _query(self, asked: Members, deadline: Deadline) -> Steps[Known | LikesError]:
        members = [member for some in asked.values() for member in some]
        known: Known | LikesError = yield Query(partial(self._sql.totals, members, [*asked]), deadline)
        return known

    def _stats(self) -> list[Call[int]]:
        return add_to_stats(self.namespace, self.counts.due())

    def _caching(self, *, takes_leases: bool) -> Caching | None:
        """How to use the cache; None where nothing is cached, as the database is not known, or has other namespaces."""
        if self._identity is None or not self._identity.database or self._identity.shared:
            return None
        return self._rules.of_a_look(self._identity.database, takes_leases=takes_leases)


def _fill(asked: Members, known: Known, cost: int, shard: int, epoch: str) -> Fill | None:
    """What a shard's cache may keep; None where SQL's cursor is of another epoch than that which is current."""
    position = known.positions.get(shard, Position())
    if position.epoch not in (None, epoch):
        return None
    totals = [known.totals.get(member, 0) for member in asked[shard]]
    return Fill(totals, _cursor(position, epoch), position.generation, cost)


def _cursor(position: Position, epoch: str) -> int:
    """The number of the last batch in SQL's totals; a cursor of another epoch stands before all of this one's."""
    return position.seq if position.epoch == epoch else 0
