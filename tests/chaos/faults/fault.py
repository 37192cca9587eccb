"""What a fault is, and what may come of it by the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random

from tests.chaos.population import Population

Breaking = Callable[[Population, Random], Iterator[None]]

# The kinds of incidents that may be recorded where …
RESTARTED = frozenset({"redis_restarted"})
WENT_BACK = frozenset(
    {"redis_went_back", "set_aside", "redis_forgot", "redis_restarted", "redis_replaced", "redis_failed_over"}
)
SQL_WENT_BACK = frozenset({"sql_went_back"})


@dataclass(frozen=True)
class Fault:
    """One that may be drawn. incidents: the kinds it may cause, of which there has to be one if anything is lost.

    goes_back: Redis or SQL forget something, so that a live total may fall and dead letters may be set aside.
    stands: on which it can be. family: what it is about; at most one of each breaks at once.
    """

    name: str
    breaks: Breaking
    incidents: frozenset[str]
    goes_back: bool
    stands: frozenset[str]

    @property
    def family(self) -> str:
        return self.breaks.__module__

    def breaking(self, population: Population, random: Random) -> AbstractContextManager[None]:
        """A block in which it is broken."""
        return contextmanager(self.breaks)(population, random)


FAULTS: dict[str, Fault] = {}
ONE_REDIS = frozenset({"postgresql", "sqlite", "mariadb"})
WITH_TRANSACTIONS = frozenset({"postgresql", "mariadb", "cluster"})  # over a connection, in which one can look
ANYWHERE = ONE_REDIS | {"cluster"}


def fault(
    *, incidents: frozenset[str] = frozenset(), goes_back: bool = False, stands: frozenset[str] = ANYWHERE
) -> Callable[[Breaking], Breaking]:
    """Have a generator among the faults, under its name."""

    def register(breaks: Breaking) -> Breaking:
        FAULTS[breaks.__name__] = Fault(breaks.__name__, breaks, incidents, goes_back, stands)
        return breaks

    return register
