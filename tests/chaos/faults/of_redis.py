"""Redis that is killed, full, emptied, or goes back in time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from random import Random

import redis

from tests.chaos.faults.fault import ONE_REDIS, RESTARTED, WENT_BACK, fault
from tests.chaos.population import Population
from tests.servers import RedisServer
from tests.waiting import wait_until


@fault(incidents=RESTARTED, stands=ONE_REDIS)
def redis_is_killed(population: Population, random: Random) -> Iterator[None]:
    """SIGKILL; it comes back with its append-only file."""
    population.stand.redis.kill()
    population.notices("threads")
    yield
    population.stand.redis.start()


@fault(stands=ONE_REDIS)
def redis_stands_still(population: Population, random: Random) -> Iterator[None]:
    """It neither answers nor breaks off."""
    population.stand.redis.pause()
    population.notices("threads", "reader")
    yield
    population.stand.redis.resume()


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def redis_is_emptied(population: Population, random: Random) -> Iterator[None]:
    """FLUSHALL, typed into the wrong terminal."""
    population.sees(lambda: _takes(population.stand.rig.redis.flushall), "Redis refuses to be emptied")
    yield


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def redis_is_replaced_by_an_empty_one(population: Population, random: Random) -> Iterator[None]:
    """Killed, and its files are gone."""
    server = population.stand.redis
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    yield
    server.start()


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def redis_is_restored_from_an_older_copy(population: Population, random: Random) -> Iterator[None]:
    """Of its append-only file, as it was some flushes ago."""
    server = population.stand.redis
    copy = server.folder / "copy"
    shutil.copytree(server.folder / "appendonlydir", copy)
    population.a_while()
    population.a_while()
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    copy.rename(server.folder / "appendonlydir")
    yield
    server.start()


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def redis_is_put_back_in_place(population: Population, random: Random) -> Iterator[None]:
    """An older state in the same process, which no id of the server tells."""
    rig = population.stand.rig
    copy = rig.copy_redis()
    copy = {key: dump for key, dump in copy.items() if b":fill:" not in key}  # a lease, too, and over by then
    population.a_while()
    limit = rig.redis.config_get("maxmemory")
    rig.redis.config_set("maxmemory", 0)  # it may be full, too
    population.sees(lambda: _takes(lambda: rig.restore_redis(copy)), "Redis refuses an older state")
    rig.redis.config_set("maxmemory", limit["maxmemory"])
    yield


@fault(incidents=WENT_BACK, goes_back=True, stands=ONE_REDIS)
def a_lagging_replica_is_promoted_and_back(population: Population, random: Random) -> Iterator[None]:
    """What it had not copied is lost; later the former master, which has copied all, takes its place again."""
    stand = population.stand
    master, replica = stand.redis, stand.new_redis()
    with stand.passage_to(master) as way:
        _follow(replica, way.port)
        if not population.sees(lambda: _has_copied(replica), "no replica gets a copy"):  # of a disk that is full
            yield
            return
        way.shut = True
        way.cut()
        population.a_while()
        _lead(replica)
        stand.lead_to(replica)
    yield
    population.a_while()
    _follow(master, replica.port)
    wait_until(lambda: _has_copied(master), 60)
    _lead(master)
    stand.lead_to(master)


def _takes(change: Callable[[], object]) -> bool:
    """False if it is refused, as by a Redis whose disk is full: nothing is changed then."""
    try:
        change()
    except redis.ResponseError:
        return False
    return True


def _follow(server: RedisServer, port: int) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", port)


def _has_copied(server: RedisServer) -> bool:
    with redis.Redis(port=server.port) as client:
        return bool(client.info("replication")["master_link_status"] == "up")


def _lead(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
