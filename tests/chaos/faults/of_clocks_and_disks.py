"""Clocks that are an hour off, and disks and memory that are full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import redis

from tests.chaos.faults.fault import ANYWHERE, ONE_REDIS, fault
from tests.chaos.population import Population

HOUR = 3600


@fault(stands=ONE_REDIS)
def the_clock_of_redis_is_set(population: Population, random: Random) -> Iterator[None]:
    """An hour on or back, while it runs; and right again."""
    clock = population.stand.redis.clock
    clock.set(random.choice([HOUR, -HOUR]))
    population.a_while()
    yield
    clock.set(0)


@fault(stands=ANYWHERE)
def the_clock_of_a_worker_is_off(population: Population, random: Random) -> Iterator[None]:
    """An hour on or back, from its start on, and it alone flushes; later it is right again."""
    number = random.randrange(len(population.workers))
    worker, clock = population.new_worker_with_a_clock()
    clock.set(random.choice([HOUR, -HOUR]))
    population.workers[number].kill()
    population.workers[number] = worker
    population.a_while()
    yield
    clock.set(0)


@fault(stands=ONE_REDIS)
def the_disk_of_redis_is_full(population: Population, random: Random) -> Iterator[None]:
    """Its append-only file cannot grow: it refuses what would change anything, and loses nothing."""
    server = population.stand.redis

    def limited(to: int | None) -> bool:
        if server.is_running:  # it may be away, too, and has no limit when it is back
            server.let_files_grow(to)
        return server.is_running

    population.sees(lambda: limited(10_000), "Redis takes no limit")
    population.notices("threads")
    yield
    limited(None)


@fault(stands=ONE_REDIS)
def the_memory_of_redis_is_full(population: Population, random: Random) -> Iterator[None]:
    """Likes are refused until there is room again."""
    server = population.stand.rig.redis

    def limited(to: Callable[[], int]) -> bool:
        try:
            server.config_set("maxmemory", to())
        except redis.RedisError:  # it may be away, too, and has no limit when it is back
            return False
        return True

    population.sees(lambda: limited(lambda: server.info("memory")["used_memory"] - 100_000), "Redis takes no limit")
    population.notices("threads")
    yield
    population.sees(lambda: limited(lambda: 0), "Redis keeps its limit")
