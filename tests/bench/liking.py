"""`await like()` and a lone add: CPU a like in the process and in Redis."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from likes import AsyncLikeCounter
from likes.buffer.calls import Call
from likes.buffer.keys import epoch_keys
from likes.buffer.scripts import add
from likes.buffer.scripts.adding import Added
from likes.by_shard import place_of
from likes.connect import Places
from likes.items import DEFAULT_COUNTER
from tests.bench.cpu import cpu_of
from tests.bench.figure import Figure, at_most
from tests.bench.report import progress
from tests.bench.stand import Stand

LIMITS = {32: (20, 7), 256: (12, 3.5)}  # likes at once -> µs a like in the process, in Redis
LIKES = 51_200
LONE = 100_000  # calls
SHARDS = 16
ITEMS = [f"video:{n}" for n in range(10_000)]


def measure(stand: Stand) -> list[Figure]:
    """Microseconds of CPU a like."""
    figures: list[Figure] = []
    for at_once, (in_process, in_redis) in LIMITS.items():
        costs = [asyncio.run(_at_once(stand, at_once)) for _ in range(stand.rounds)]
        ours, of_redis = ([cost[side] for cost in costs] for side in (0, 1))
        progress(f"await: {at_once} at once, {ours[-1]:.1f} µs a like in the process, {of_redis[-1]:.1f} in Redis")
        figures += [
            Figure(f"await like(), {at_once} at once: CPU in the process", "µs", ours, at_most(in_process)),
            Figure(f"await like(), {at_once} at once: CPU in Redis", "µs", of_redis, at_most(in_redis)),
        ]
    return [*figures, _lone(stand)]


async def _at_once(stand: Stand, at_once: int) -> tuple[float, float]:
    stand.empty_redis()
    async with AsyncLikeCounter(redis_url=stand.redis.url) as likes:
        await asyncio.gather(*map(likes.like, ITEMS[:at_once]))
        before = time.process_time(), cpu_of([stand.redis.pid])
        for _ in range(LIKES // at_once):
            await asyncio.gather(*map(likes.like, random.choices(ITEMS, k=at_once)))
        after = time.process_time(), cpu_of([stand.redis.pid])
    return (after[0] - before[0]) / LIKES * 1e6, (after[1] - before[1]) / LIKES * 1e6


def _lone(stand: Stand) -> Figure:
    """One entry a call, both sides in a pipeline: CPU of Redis, reading and answering included."""
    ours, theirs = [], []
    for _ in range(stand.rounds):
        stand.empty_redis()
        with stand.counter() as likes:
            likes.add(dict.fromkeys(ITEMS, 1))  # each shard has its epoch
        with closing(Places(stand.redis.url, None, None, redis_timeout=5, database_timeout=5).open_link()) as link:
            ours.append(_in_redis(stand, partial(link.send, [*_calls(stand)])))
        with stand.client() as client:
            pipe = client.pipeline(transaction=False)
            for number in range(LONE):
                pipe.incrby(ITEMS[number % len(ITEMS)], 1)
            theirs.append(_in_redis(stand, pipe.execute))
        progress(f"await: a lone add {ours[-1]:.2f} µs of Redis, INCRBY {theirs[-1]:.2f}")
    note = "one entry a call, in a pipeline, against a pipeline of INCRBY"
    return Figure("a lone add: CPU of Redis, against INCRBY", "µs", ours, at_most(7), baseline=theirs, note=note)


def _calls(stand: Stand) -> Iterator[Call[Added]]:
    with stand.client() as client:
        epochs = [client.get(f"{{likes:{shard}}}:epoch").decode() for shard in range(SHARDS)]
    for number in range(LONE):
        shard, member = place_of(ITEMS[number % len(ITEMS)], DEFAULT_COUNTER, SHARDS)
        keys = epoch_keys("likes", shard, epochs[shard])
        yield add(keys, producer="bench", sequence=number + 1, entries=[(member, 1)], wants_pending=True)


def _in_redis(stand: Stand, work: Callable[[], object]) -> float:
    before = cpu_of([stand.redis.pid])
    work()
    return (cpu_of([stand.redis.pid]) - before) / LONE * 1e6
