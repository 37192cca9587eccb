"""Servers and workers that do not belong here."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.chaos.faults.fault import ANYWHERE, ONE_REDIS, WENT_BACK, fault
from tests.chaos.population import Population


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def workers_find_another_redis_under_its_name(population: Population, random: Random) -> Iterator[None]:
    """An empty one, as when a name is resolved wrongly for a while; clients go on with the right one."""
    stand = population.stand
    stranger = stand.new_redis()
    stand.to_redis_for_workers.lead_to(stranger.url)
    population.is_flushed()
    population.is_flushed()  # the other one alone, the whole time
    yield
    stand.to_redis_for_workers.lead_to(stand.redis.url)


@fault(stands=ANYWHERE)
def a_worker_of_another_database_comes(population: Population, random: Random) -> Iterator[None]:
    """Somebody's laptop: it is refused before it has taken anything."""
    laptop = f"sqlite:///{population.stand.folder / 'laptop.db'}"
    population.stand.shell("migrate", database_url=laptop)
    flushed = population.stand.shell("flush", database_url=laptop)
    if population.alone and "belongs to the database" not in flushed.err:
        population.wrong.append(f"a worker of another database was not refused: {flushed}")
    yield


@fault(stands=ONE_REDIS)
def a_worker_of_another_redis_comes(population: Population, random: Random) -> Iterator[None]:
    """With this database, and a Redis of its own: it is refused before it has written anything."""
    stranger = population.stand.new_redis()
    flushed = population.stand.shell("flush", redis_url=stranger.url, redis_name="laptop")
    if population.alone and "belongs to the Redis" not in flushed.err:
        population.wrong.append(f"a worker of another Redis was not refused: {flushed}")
    yield
