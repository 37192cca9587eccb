"""A round: all goes on, something breaks, is mended, all goes on again, and then it is reckoned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

from tests.chaos.faults.fault import WENT_BACK, Fault
from tests.chaos.live_totals import Truth, dips
from tests.chaos.population import Population
from tests.chaos.reckoning import Reckoned, Window, accounts_of, reckon
from tests.chaos.stand import SHARDS, Stand


@dataclass(frozen=True)
class Plan:
    """What a round is to be. drawn: from its seed; else somebody named its faults."""

    number: int
    seed: str
    stand: str
    faults: Sequence[Fault]
    drawn: bool = True

    @property
    def repeated_by(self) -> str:
        """What to type for it."""
        names = " ".join(fault.name for fault in self.faults)
        which = f"ONLY={self.number}" if self.drawn else f'ARGS="--stand {self.stand} --faults {names}"'
        return f"make chaos SEED={self.seed} {which}"

    @property
    def goes_back(self) -> bool:
        """True if Redis or SQL forget something."""
        return self._is_killed_unwritten or any(fault.goes_back for fault in self.faults)

    @property
    def incidents(self) -> frozenset[str]:
        """The kinds that may be recorded."""
        unwritten = WENT_BACK if self._is_killed_unwritten else frozenset()
        return unwritten.union(*(fault.incidents for fault in self.faults))

    @property
    def _is_killed_unwritten(self) -> bool:
        """True if Redis is killed while it cannot write what it has acknowledged within the last second."""
        return {"the_disk_of_redis_is_full", "redis_is_killed"} <= {fault.name for fault in self.faults}


@dataclass
class Round:
    """What became of it. recovery_seconds: from the end of the last fault until everybody had got through again.

    missed: what faults were to bring about and did not.
    """

    plan: Plan
    seconds: float = 0.0
    recovery_seconds: float | None = None
    reckoned: Reckoned = field(default_factory=Reckoned)
    missed: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        """True if something was wrong."""
        return bool(self.reckoned.wrong)


def play(plan: Plan, stand: Stand) -> Round:
    """Play it. Whatever goes wrong is in the reckoning."""
    began, played = time.monotonic(), Round(plan)
    random = Random(f"{plan.seed}/{plan.number}")
    population = Population(
        stand, f"{plan.seed}/{plan.number}", repeats=not plan.goes_back, alone=len(plan.faults) == 1
    )
    try:
        with population:
            population.goes_on()
            with ExitStack() as broken:
                for fault in plan.faults:
                    broken.enter_context(fault.breaking(population, random))
            mended = time.monotonic()
            population.recovers()
            played.recovery_seconds = time.monotonic() - mended
            codes = population.ends()
            played.reckoned = _reckon(plan, stand, population, codes)
    except Exception as error:
        played.reckoned.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        _keep_what_was_said(stand, population)
    played.missed = population.missed
    played.seconds = time.monotonic() - began
    return played


def _reckon(plan: Plan, stand: Stand, population: Population, codes: Sequence[int]) -> Reckoned:
    rig = stand.rig
    rows, posts = rig.incidents(), [*population.posts()]
    accounts = accounts_of(posts, [Window.of(row) for row in rows], SHARDS, stand.readings)
    found = reckon(accounts, rig.totals(), [(letter.item, letter.delta or 0) for letter in rig.dead_letters()])
    found.incidents = [row.kind for row in rows]
    found.wrong += [
        f"an incident that nothing explains: {row.kind}: {row.detail}" for row in rows if row.kind not in plan.incidents
    ]
    if rig.dead_letters() and not plan.goes_back:
        found.wrong.append(f"dead letters that nothing explains: {rig.set_aside()}")
    if any(codes):
        found.wrong.append(f"the API and the workers ended with {list(codes)}")
    found.wrong += population.wrong
    for journal in population.journals:
        found.wrong += [f"{journal.path.stem}: {what}" for what in journal.wrong]
        if not plan.goes_back:
            denied = [*dips(journal.reads), *Truth(posts).denied_by(journal.reads)]
            found.wrong += [f"{journal.path.stem}: {each}" for each in denied]
    audited = stand.shell("audit", "--json")
    if audited.code != 0:
        found.wrong.append(f"likes audit: {audited.out or audited.err}")
    return found


def _keep_what_was_said(stand: Stand, population: Population) -> None:
    """Beside the journals, for whoever looks into a round that failed."""
    for number, run in enumerate(population.all_runs):
        (stand.folder / f"{number} {type(run).__name__}.log").write_text("\n".join(run.lines))
