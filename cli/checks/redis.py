"""Redis: which one, whether it keeps what it is given, and whether it lets us do what we need."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from cli.checks.finding import Finding, Level
from likes.buffer.buffer import Buffer
from likes.buffer.health import appendfsync, read_info, try_script
from likes.connect import Places
from likes.errors import LikesError

OLDEST = (6, 2)  # GETDEL
CLOCK_SECONDS = 5.0


def check_redis(places: Places, namespace: str) -> Iterator[Finding]:
    """What a server says of itself; one error if it cannot be reached."""
    try:
        with places.open_buffer(namespace) as buffer:
            yield from _look_at(buffer)
    except LikesError as error:
        yield Finding(Level.ERROR, "redis", str(error), "start it, or correct LIKES_REDIS_URL and its password")


def _look_at(buffer: Buffer) -> Iterator[Finding]:
    info = read_info(buffer)
    yield _version(info, buffer.where)
    yield _kind(info)
    yield _eviction(info)
    yield from _persistence(info, buffer)
    yield _permission(buffer)
    yield _clock(buffer)


def _version(info: Mapping[str, str], where: str) -> Finding:
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    found = f"{where}: {name} {version}"
    if tuple(map(int, info["redis_version"].split(".")[:2])) < OLDEST:
        return Finding(Level.ERROR, "redis", found, "upgrade to Redis 6.2 or later, or to Valkey")
    return Finding(Level.OK, "redis", found)


def _kind(info: Mapping[str, str]) -> Finding:
    if info.get("cluster_enabled") == "1":
        return Finding(Level.ERROR, "redis mode", "Redis Cluster", "this version needs a single server")
    if info.get("role") != "master":
        return Finding(Level.ERROR, "redis mode", "a replica: it refuses writes", "name its master in LIKES_REDIS_URL")
    return Finding(Level.OK, "redis mode", "a single server that takes writes")


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    limit = f"{int(info.get('maxmemory', 0)) // 2**20} MiB" if info.get("maxmemory", "0") != "0" else "no memory limit"
    found = f"{policy}, {limit}"
    if policy.startswith("allkeys"):
        return Finding(Level.ERROR, "eviction", found, "it throws likes away: CONFIG SET maxmemory-policy noeviction")
    if policy == "unknown":
        return Finding(Level.WARNING, "eviction", found, "make sure that it is noeviction, or volatile-…")
    return Finding(Level.OK, "eviction", found)


def _persistence(info: Mapping[str, str], buffer: Buffer) -> Iterator[Finding]:
    if info.get("aof_enabled") != "1":
        fix = "CONFIG SET appendonly yes, and appendonly yes in its file: else a restart loses what is pending"
        yield Finding(Level.WARNING, "persistence", "no append-only file", fix)
        return
    if info.get("aof_last_write_status", "ok") != "ok":
        yield Finding(Level.ERROR, "persistence", "the append-only file cannot be written", "is its disk full?")
        return
    fsync = appendfsync(buffer)
    if fsync is None:
        fix = "make sure that appendfsync is everysec or always"
        yield Finding(Level.WARNING, "persistence", "append-only file; how often it is synced is not told", fix)
    elif fsync == "no":
        fix = "CONFIG SET appendfsync everysec: else a power cut loses up to half a minute"
        yield Finding(Level.WARNING, "persistence", "append-only file, never synced", fix)
    else:
        yield Finding(Level.OK, "persistence", f"append-only file, synced {fsync}")


def _permission(buffer: Buffer) -> Finding:
    try:
        try_script(buffer)
    except LikesError as error:
        fix = f"allow scripts and all commands on the keys {{{buffer.namespace}:*"
        return Finding(Level.ERROR, "permission", str(error), fix)
    return Finding(Level.OK, "permission", "scripts run and may write")


def _clock(buffer: Buffer) -> Finding:
    before = time.time()
    difference = buffer.now() - (before + time.time()) / 2
    found = f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this machine"
    if abs(difference) > CLOCK_SECONDS:
        return Finding(Level.WARNING, "clock", found, "set the clocks by NTP: ages and histories are told by them")
    return Finding(Level.OK, "clock", found)
