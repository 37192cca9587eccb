"""Workers, the API and producers that die or stand still."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

from tests.chaos.faults.fault import ONE_REDIS, WITH_TRANSACTIONS, fault
from tests.chaos.passage import Passage
from tests.chaos.population import Population
from tests.chaos.stand import LEASE_SECONDS
from tests.running_worker import Running
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


@fault(stands=WITH_TRANSACTIONS)
def a_worker_stands_still_in_a_transaction(population: Population, random: Random) -> Iterator[None]:
    """Before its COMMIT, with rows locked: the database lets go of them, and its transaction is not carried out."""
    struck = _strike_before(population, "COMMIT", population.stand.to_database, signal.SIGSTOP)
    population.a_while()
    yield
    for worker in struck:
        worker.send(signal.SIGCONT)


@fault(stands=WITH_TRANSACTIONS)
def workers_die_in_a_transaction(population: Population, random: Random) -> Iterator[None]:
    """Before their COMMIT: what they had handed off is in flight, and another one finishes it."""
    for _ in range(3):
        _strike_before(population, "COMMIT", population.stand.to_database, signal.SIGKILL)
        population.replace_dead_workers()
        population.a_while()
    yield


@fault(stands=ONE_REDIS)
def workers_die_at_any_script(population: Population, random: Random) -> Iterator[None]:
    """Before a script of theirs reaches Redis: a hand-off, an acknowledgement, or whatever it is."""
    for _ in range(3):
        _strike_before(population, "EVALSHA", population.stand.to_redis_for_workers, signal.SIGKILL)
        population.replace_dead_workers()
        population.a_while()
    yield


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


def _strike_before(population: Population, word: str, way: Passage, number: signal.Signals) -> list[Running]:
    """Send a signal to the first worker that sends a request with `word`, before that goes on; returns it."""
    struck: list[Running] = []
    is_struck = Event()

    def strike(port: int) -> None:
        struck.extend(worker for worker in population.workers if _has_port(worker.process.pid, port))
        for worker in struck:
            worker.send(number)
        is_struck.set()

    way.stop_at(word, strike)
    population.sees(is_struck.is_set, f"no worker sends {word}")
    way.stop_no_more()
    if number == signal.SIGKILL:
        for worker in struck:
            worker.wait()
    return struck


def _has_port(pid: int, port: int) -> bool:
    """True if a connection of a process begins at this port."""
    process = Path(f"/proc/{pid}")
    if not process.exists():
        return False
    ends = (process / "net/tcp").read_text().splitlines()[1:]
    inodes = {fields[9] for fields in map(str.split, ends) if int(fields[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return any(_target(descriptor) in wanted for descriptor in (process / "fd").iterdir())


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""
