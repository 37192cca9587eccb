"""Live totals of cached items, 300 at once, against GET through redis-py's client for asyncio."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio

from likes import AsyncLikeCounter
from tests.bench.figure import Figure, at_most
from tests.bench.report import progress
from tests.bench.stand import Stand

AT_ONCE = 300
TIMES = 50
ITEMS = {f"video:{n}": n + 1 for n in range(AT_ONCE)}


def measure(stand: Stand) -> list[Figure]:
    """Microseconds of a read, each side through one client in one process."""
    ours, theirs, scripts = [], [], []
    with stand.database() as database, stand.flusher(database) as flusher:
        stand.post(ITEMS.items())
        flusher.flush()
        for _ in range(2 * stand.rounds):
            micros, calls = asyncio.run(_live(stand, database))
            ours.append(micros)
            scripts.append(calls)
            theirs.append(asyncio.run(_get(stand)))
            progress(f"read: {ours[-1]:.0f} µs a live total, {theirs[-1]:.0f} µs a GET, {calls:.0f} script calls")
    what = f"live read of a cached total, {AT_ONCE} at once"
    note = (
        f"AsyncLikeCounter.total against redis-py's asyncio GET, {AT_ONCE} tasks {TIMES} times over; redis-py with"
        f" max_connections={AT_ONCE}, as with the 100 it comes with the 101st task fails"
    )
    return [
        Figure(f"{what}, against GET", "µs", ours, at_most(1.0), baseline=theirs, note=note),
        Figure(f"{what}: script calls", "calls", scripts, at_most(16)),
    ]


async def _live(stand: Stand, database: str) -> tuple[float, float]:
    """Microseconds of one, and how many scripts all of a turn took."""
    async with AsyncLikeCounter(redis_url=stand.redis.url, database_url=database) as likes:
        await asyncio.gather(*map(likes.total, ITEMS))
        before = _scripts_run(stand)
        began = time.perf_counter()
        for _ in range(TIMES):
            await asyncio.gather(*map(likes.total, ITEMS))
        took = time.perf_counter() - began
    return took / TIMES / AT_ONCE * 1e6, (_scripts_run(stand) - before) / TIMES


async def _get(stand: Stand) -> float:
    async with redis.asyncio.Redis.from_url(stand.redis.url, max_connections=AT_ONCE) as client:
        await client.mset({f"bench:{item}": total for item, total in ITEMS.items()})
        keys = [f"bench:{item}" for item in ITEMS]
        await asyncio.gather(*map(client.get, keys))
        began = time.perf_counter()
        for _ in range(TIMES):
            await asyncio.gather(*map(client.get, keys))
        return (time.perf_counter() - began) / TIMES / AT_ONCE * 1e6


def _scripts_run(stand: Stand) -> int:
    with stand.client() as client:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])
