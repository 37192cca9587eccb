"""Connections that are slow, cut, or bring no replies, in Redis's protocol and in the database's."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.chaos.faults.fault import ONE_REDIS, WITH_TRANSACTIONS, fault
from tests.chaos.passage import Passage
from tests.chaos.population import Population

DELAY_SECONDS = 0.1


@fault()
def packets_are_slow(population: Population, random: Random) -> Iterator[None]:
    """All of one passage."""
    passage = _one_of(population, random)
    passage.delay = DELAY_SECONDS
    population.a_while()
    yield
    passage.calm()


@fault()
def connections_are_cut(population: Population, random: Random) -> Iterator[None]:
    """All of one passage, again and again."""
    passage = _one_of(population, random)
    for _ in range(5):
        passage.cut()
        population.a_while()
    yield


@fault(stands=ONE_REDIS)
def replies_to_likes_are_swallowed(population: Population, random: Random) -> Iterator[None]:
    """Redis does what it is asked, and the client never hears of it."""
    yield from _swallow(population, population.stand.to_redis_for_clients, "EVALSHA")


@fault(stands=ONE_REDIS)
def replies_to_workers_are_swallowed(population: Population, random: Random) -> Iterator[None]:
    """So of hand-offs and acknowledgements."""
    yield from _swallow(population, population.stand.to_redis_for_workers, "EVALSHA", times=2)


@fault(stands=WITH_TRANSACTIONS)
def replies_to_commit_are_swallowed(population: Population, random: Random) -> Iterator[None]:
    """The database has committed, and the worker never hears of it."""
    yield from _swallow(population, population.stand.to_database, "COMMIT")


@fault()
def no_replies_come_for_a_while(population: Population, random: Random) -> Iterator[None]:
    """Connections stay open, and nothing comes back over them."""
    passage = _one_of(population, random)
    before = passage.lost
    passage.mute = True
    population.sees(lambda: passage.lost > before, "no reply was lost")
    yield
    passage.calm()


@fault()
def nobody_gets_through(population: Population, random: Random) -> Iterator[None]:
    """New connections are refused, and those there were have ended."""
    passage = _one_of(population, random)
    passage.shut = True
    passage.cut()
    population.a_while()
    yield
    passage.calm()


def _swallow(population: Population, passage: Passage, word: str, times: int = 5) -> Iterator[None]:
    before = passage.lost
    passage.lose_reply_to(word, times)
    population.sees(lambda: passage.lost >= before + times, f"not {times} replies were lost")
    yield
    passage.calm()


def _one_of(population: Population, random: Random) -> Passage:
    return random.choice(population.stand.passages)
