"""A database that is killed, or goes back in time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sqlalchemy.exc import OperationalError

from tests.chaos.faults.fault import SQL_WENT_BACK, WITH_TRANSACTIONS, fault
from tests.chaos.population import Population


@fault(stands=WITH_TRANSACTIONS)
def the_database_is_killed(population: Population, random: Random) -> Iterator[None]:
    """SIGKILL; likes go on without it."""
    population.workers_notice(population.stand.database.kill)
    yield
    population.stand.database.start()
    population.stand.engine.dispose()


@fault(incidents=SQL_WENT_BACK, goes_back=True)
def the_database_is_restored_from_an_older_copy(population: Population, random: Random) -> Iterator[None]:
    """What was flushed since is lost, and told."""
    rig = population.stand.rig
    copy = rig.copy_sql()
    population.a_while()

    def restored() -> bool:
        try:
            rig.restore_sql(copy)
        except OperationalError:  # a worker is at it, too
            return False
        return True

    population.sees(restored, "the database cannot be restored")
    yield
