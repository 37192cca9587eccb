"""Which round has which faults: each fault in turn, as a deck of cards is dealt, and every third round two at once."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.chaos.faults import (  # noqa: F401 (they register)
    of_clocks_and_disks,
    of_clusters,
    of_processes,
    of_redis,
    of_sql,
    of_strangers,
    of_the_way,
)
from tests.chaos.faults.fault import FAULTS, Fault
from tests.chaos.rounds import Plan

__all__ = ["FAULTS", "plan_of", "plan_with"]

STANDS = ("postgresql",) * 6 + ("cluster", "sqlite", "mariadb")


def plan_of(seed: str, number: int) -> Plan:
    """What round `number` of a seed is, whatever came before."""
    names = sorted(FAULTS)
    deck, card = divmod(number, len(names))
    Random(f"{seed}/deck {deck}").shuffle(names)
    random = Random(f"{seed}/plan {number}")
    first = FAULTS[names[card]]
    stand = random.choice([stand for stand in STANDS if stand in first.stands])
    faults = [first]
    if number % 3 == 2:
        others = [fault for fault in FAULTS.values() if fault.family != first.family and stand in fault.stands]
        faults.append(random.choice(others))
    return Plan(number, seed, stand, faults)


def plan_with(seed: str, number: int, names: Sequence[str], stand: str = "postgresql") -> Plan:
    """A round with these faults."""
    faults: list[Fault] = [FAULTS[name] for name in names]
    return Plan(number, seed, stand, faults, drawn=False)
