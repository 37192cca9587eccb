"""The sweep: sessions that are over reach SQL, and are dropped from Redis. The steps of a flush, for sessions.

Redis seals what is to be kept, SQL records it under the session's hash, Redis drops it: whoever dies in between leaves
it to the next sweep. And what had ended is ended again where Redis went back to before that. How far back it must look,
the number of the sweep tells, which each shard counts: below the last one seen, Redis went back beyond it; else it
can only have forgotten what ended since. At its start a worker has seen none, and looks at all that may live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from likes.errors import LikesError, RedisUnavailable, WrongDatabase
from likes.sessions.session import Due, Ended, moment
from likes.sessions.sweeping import Sweeping
from likes.sessions.token import Place
from likes.sql.ledger import Ledger
from likes.sql.sessions import Row, ended_since, prune_sessions, record
from worker import events

Sessions = list[tuple[Place, str]]  # each with its user

MOST = 100  # sessions of a shard in a round of a sweep
ROWS = 500
SECONDS = 5.0  # how long one may take: likes wait to be flushed
CLOCKS_APART = timedelta(minutes=2)  # Redis's before and after it was replaced


class Sweep:
    """The sweeps of one worker. For one thread. clock: seconds, never set."""

    def __init__(self, sweeping: Sweeping, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sweeping = sweeping
        self._engine = ledger.engine
        self._namespace = ledger.namespace
        self._longest = timedelta(seconds=sweeping.life.longest)
        self._clock = clock
        self._numbers: dict[int, int] = {}
        self._look_from: datetime | None = None  # None: at all that may live
        self._looked_at: Row | None = None  # where to go on, if the time was up
        self._trouble = ""

    def run(self) -> None:
        """See to what is over. What keeps it from that is told once: flushing goes on."""
        error: LikesError | None = None
        try:
            self._run_again_if_broken(self._clock() + SECONDS)
        except LikesError as stopped:
            error = stopped
        error, self._sweeping.error = error or self._sweeping.error, None
        if error and str(error) != self._trouble:
            events.not_swept(error)
        self._trouble = str(error or "")

    def prune(self, before: datetime, *, seconds: float) -> int:
        """Delete rows of sessions that kept nothing and that Redis cannot hold any more, or ended before a moment if
        that is earlier; returns how many.
        """
        earliest = min(before, datetime.now(UTC) - self._longest - CLOCKS_APART)
        return prune_sessions(self._engine, self._namespace, earliest, seconds=seconds)

    def _run_again_if_broken(self, until: float) -> None:
        try:
            self._run(until)
        except RedisUnavailable:  # a connection that broke, most likely; each step may be repeated
            self._run(until)

    def _run(self, until: float) -> None:
        due = self._begin()
        self._end_again(min((each.now for each in due.values()), default=0), until)
        before: Sessions = []
        while (found := _all(due)) != before and self._clock() < until:
            self._hand_off(self._sweeping.end_expired(found))
            before, due = found, self._begin()

    def _begin(self) -> dict[int, Due]:
        due = self._sweeping.begin(MOST)
        if any(each.number <= self._numbers.get(shard, 0) for shard, each in due.items()):  # Redis went back
            self._look_from = self._looked_at = None
        self._numbers |= {shard: each.number for shard, each in due.items()}
        return due

    def _hand_off(self, ended: list[Ended]) -> None:
        """Have them in SQL, then drop them."""
        if not ended:
            return
        database = record(self._engine, self._namespace, self._sweeping.went_on(ended))
        if database != self._sweeping.database:
            raise WrongDatabase("the database was made anew during a sweep, or was given another id")
        self._sweeping.drop(ended)

    def _end_again(self, now: int, until: float) -> None:
        """End what had ended and lives: Redis forgot it."""
        since = self._look_from or moment(now) - self._longest - CLOCKS_APART
        while now and self._clock() < until:
            rows = ended_since(self._engine, self._namespace, since, self._looked_at, ROWS)
            self._hand_off(self._sweeping.end_again([(row.place, row.user) for row in rows]))
            if len(rows) < ROWS:
                self._look_from, self._looked_at = moment(now) - CLOCKS_APART, None
                return
            self._looked_at = rows[-1]


def _all(due: Mapping[int, Due]) -> Sessions:
    return [(Place(shard, digest), user) for shard, each in due.items() for digest, user in each.sessions]
