"""Workers, the API and producers that die or stand still."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

from tests.chaos.faults.fault import fault
from tests.chaos.population import Population
from tests.chaos.stand import LEASE_SECONDS
from tests.waiting import wait_until


@fault()
def workers_are_killed(population: Population, random: Random) -> Iterator[None]:
    """Again and again, wherever they are; another takes the place of each."""
    for _ in range(3):
        number = random.randrange(len(population.workers))
        population.workers[number].kill()
        population.workers[number] = population.new_worker()
        population.a_while()
    yield


@fault()
def a_worker_stands_still_for_three_leases(population: Population, random: Random) -> Iterator[None]:
    """The other one takes over; then both go on."""
    stopped = random.choice(population.workers)
    stopped.send(signal.SIGSTOP)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 3 * LEASE_SECONDS)
    population.a_while()
    yield
    stopped.send(signal.SIGCONT)


@fault(stands=frozenset({"postgresql", "mariadb"}))
def a_worker_stands_still_in_a_transaction(population: Population, random: Random) -> Iterator[None]:
    """Before its COMMIT, with rows locked: the database lets go of them, and its transaction is not carried out."""
    stopped: list[int] = []
    is_stopped = Event()

    def stop(port: int) -> None:
        for worker in population.workers:
            if _has_port(worker.process.pid, port):
                worker.send(signal.SIGSTOP)
                stopped.append(worker.process.pid)
        is_stopped.set()

    population.stand.to_database.stop_at("COMMIT", stop)
    population.sees(is_stopped.is_set, "nobody commits anything")
    population.a_while()
    yield
    for worker in population.workers:
        if worker.process.pid in stopped:
            worker.send(signal.SIGCONT)


@fault()
def the_api_is_killed(population: Population, random: Random) -> Iterator[None]:
    """And started again; its clients send again what was not answered."""
    population.restart_api()
    yield


@fault()
def a_producer_is_killed(population: Population, random: Random) -> Iterator[None]:
    """In the middle of a like, of which then nobody knows."""
    population.members["threads"].kill()
    yield
    population.start_member("threads")


def _has_port(pid: int, port: int) -> bool:
    """True if a connection of a process begins at this port."""
    ends = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {fields[9] for fields in map(str.split, ends) if int(fields[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return any(_target(descriptor) in wanted for descriptor in Path(f"/proc/{pid}/fd").iterdir())


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""
