"""How totals are cached: for how long, and when they are read anew before that is over."""

from __future__ import annotations

import math
import random
import time
from operator import sub
from typing import Literal, NamedTuple

from likes.buffer.scripts import Cached, Caching

EarlyRefresh = Literal["per", "gap", "off"]

LEASE_SECONDS = 0.5
BETA = 1.0
LONGEST_GAP_SECONDS = 60.0
TELL_SECONDS = 1.0


class CacheRules(NamedTuple):
    """Times are in seconds. A total lives for `ttl` after it was read last, and for `max_age` after SQL was.

    early_refresh: a total near its end is read anew by one of its readers, chosen by chance, while the others go on
    with it. `per` makes that likelier the longer SQL takes: PER or XFetch, of "Optimal Probabilistic Cache Stampede
    Prevention" (Vattani, Chierichetti, Lowenstein, 2015). `gap` draws from a fixed time before the end.
    """

    ttl: float = 3600.0
    max_age: float = 86_400.0
    early_refresh: EarlyRefresh = "per"

    def of_a_look(self, database: str, *, takes_leases: bool) -> Caching:
        """What one look is told, with numbers drawn for it alone."""
        chance = 1 - random.random()  # noqa: S311 (above 0; nothing is kept secret by it)
        gap = min(self.ttl / 10, LONGEST_GAP_SECONDS) * 1000
        return Caching(
            database,
            now=time.time_ns() // 1_000_000,
            time_to_live=round(self.ttl * 1000),
            max_age=round(self.max_age * 1000),
            jitter=chance,
            gap=round(chance * gap) if self.early_refresh == "gap" else 0,
            factor=-BETA * math.log(chance) if self.early_refresh == "per" else 0.0,
            lease=round(LEASE_SECONDS * 1000) if takes_leases else 0,
        )


class CacheCounts:
    """How often this process found what it read in the cache. Exact for one event loop or thread, near enough for more.

    hits: totals found; misses: asked of SQL; early_refreshes: asked of SQL before their end; waits: found, or not, once
    another reader had asked.
    """

    def __init__(self) -> None:
        self.hits = self.misses = self.early_refreshes = self.waits = 0
        self._told = (0, 0, 0, 0)
        self._told_at = 0.0

    def note(self, cached: Cached | Literal["missing", "awaited"]) -> None:
        """A total was looked for, and this was found."""
        if cached == "missing":
            self.misses += 1
        elif cached == "awaited":
            self.waits += 1
        else:
            self.hits += 1
            self.early_refreshes += cached.refresh

    def due(self) -> tuple[int, ...]:
        """What is to be added to the counts of all processes, once a second; it counts as told then."""
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS:
            return ()
        counts = (self.hits, self.misses, self.early_refreshes, self.waits)
        since = tuple(map(sub, counts, self._told))
        if not any(since):
            return ()
        self._told, self._told_at = counts, now
        return since
