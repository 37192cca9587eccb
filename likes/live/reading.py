"""Live totals: database + in flight + pending, true at some moment between a read's start and its end.

One script reads what is cached, pending and in flight of a shard at one moment. A cached total answers: it stands with
the number of the last batch in it, and what is in flight past that counts. What is not cached is asked of SQL, total
and cursor in one statement. That holds only if every batch past the cursor is in flight in the script that reads Redis
again and fills the cache; else the read starts again. A cursor without an epoch stands before all of one that was known
before SQL was asked, and of no other: what was counted under another number of shards may have come to SQL since.
`tests/model/live_rows.py` and `reshard.py` check it over every interleaving.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from likes.buffer.scripts import Cached, Caching, Fill
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.live.caching import LEASE_SECONDS, CacheCounts, CacheRules
from likes.live.known import Identity, Known, Position, Sql
from likes.live.looks import Looks, Members
from likes.live.read import TRIES, Read, Tell
from likes.live.total import Doubt, add_up, of_database
from likes.member import Member
from likes.posting.steps import Pause, Query, Steps

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.002, 0.032


class Reader:
    """Reads live totals of one Redis and one database. For any number of threads and event loops of a process."""

    def __init__(self, namespace: str, shards: int, sql: Sql, rules: CacheRules) -> None:
        self.counts = CacheCounts()
        self._sql = sql
        self._rules = rules
        self._identity: Identity | None = None
        self._looks = Looks(namespace, shards, self.counts)

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
        for shard, now in (yield from self._looks.look(members, deadline)).items():
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
        seen = yield from self._looks.see(read, read.todo, deadline, caching)
        for shard, (now, in_flight, is_whole) in seen.items():
            for member, pending, cached in zip([*read.todo[shard]], now.deltas, now.cached, strict=True):
                if cached != "awaited" or not waited:
                    self.counts.note(cached)
                if isinstance(cached, Cached):
                    total = add_up(member, cached.total, cached.cursor, in_flight, pending, _doubt(holds=is_whole))
                    read.found(shard, member, total)
                if cached == "missing" or (isinstance(cached, Cached) and cached.refresh):
                    asked.setdefault(shard, []).append(member)
        return asked

    def _ask_sql(self, read: Read, asked: Mapping[int, list[Member]], deadline: Deadline) -> Steps[None]:
        """Ask SQL for these members, keep in the cache what it says, and tell it if it holds."""
        began = time.monotonic()
        if not read.waits_for(asked):
            deadline = Deadline(min(deadline.left(), LEASE_SECONDS))  # all were told: nobody should wait for the cache
        epochs = {shard: self._looks.known(shard) for shard in asked}
        known = yield from self._query(asked, deadline)
        if isinstance(known, LikesError):
            read.sql_failed(asked, known)
            return
        self._identity = known.identity
        fill = partial(_fill, asked, known, epochs, round((time.monotonic() - began) * 1000))
        seen = yield from self._looks.see(read, asked, deadline, self._caching(takes_leases=False), fill)
        for shard, (now, in_flight, is_whole) in seen.items():
            position = known.positions.get(shard, Position())
            is_mine, cursor = position.epoch in (None, now.epoch), _cursor(position, now.epoch)
            is_known = position.epoch is not None or now.epoch == epochs[shard]
            holds = is_mine and is_known and now.has_all_after(cursor) and position.generation >= now.generation
            is_ours = now.owner in ("", known.identity.database)
            if not holds and is_ours and is_mine and cursor <= now.seq and read.tries < TRIES:
                continue  # what was acknowledged since the query is in no part of the sum: again
            went_back = is_mine and cursor > now.seq
            doubt = _doubt(holds=holds and is_whole, is_ours=is_ours)
            for member, pending in zip(asked[shard], now.deltas, strict=True):
                total = known.totals.get(member, 0)
                summed = add_up(member, total, cursor, in_flight, pending, doubt)
                read.found(shard, member, of_database(total, doubt) if went_back else summed)
        if read.waits_for(asked):
            read.tries += 1  # what it waits for besides is still being filled by others

    def _tell_of_database(self, read: Read, deadline: Deadline, tell: Tell) -> Steps[None]:
        asked = {shard: members for shard, (members, _) in read.away.items()}
        known = yield from self._query(asked, deadline)
        for members, away in read.away.values():
            for member in members:
                if isinstance(known, LikesError):
                    tell(member, away)
                else:
                    tell(member, of_database(known.totals.get(member, 0), "redis-away"))

    def _query(self, asked: Members, deadline: Deadline) -> Steps[Known | LikesError]:
        members = [member for some in asked.values() for member in some]
        known: Known | LikesError = yield Query(partial(self._sql.totals, members, [*asked]), deadline)
        return known

    def _caching(self, *, takes_leases: bool) -> Caching | None:
        """How to use the cache; None where nothing is cached, as the database is not known, or has other namespaces."""
        if self._identity is None or not self._identity.database or self._identity.shared:
            return None
        return self._rules.of_a_look(self._identity.database, takes_leases=takes_leases)


def _doubt(*, holds: bool, is_ours: bool = True) -> Doubt | None:
    """Why a sum may not be true."""
    if not is_ours:
        return "other-database"
    return None if holds else "out-of-step"


def _fill(
    asked: Members, known: Known, epochs: Mapping[int, str | None], cost: int, shard: int, epoch: str
) -> Fill | None:
    """What a shard's cache may keep; None where SQL's cursor is of another epoch than that which is current, or of none
    that was known before.
    """
    position = known.positions.get(shard, Position())
    if (position.epoch or epochs[shard]) != epoch:
        return None
    totals = [known.totals.get(member, 0) for member in asked[shard]]
    return Fill(totals, _cursor(position, epoch), position.generation, cost)


def _cursor(position: Position, epoch: str) -> int:
    """The number of the last batch in SQL's totals; a cursor of another epoch stands before all of this one's."""
    return position.seq if position.epoch == epoch else 0
