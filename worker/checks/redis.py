"""Redis: which one, whether it keeps what it is given, and whether it lets us do what we need."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.health import read_config, read_info, try_script
from likes.connect import Places
from likes.errors import LikesError, RedisUnavailable
from worker.checks.finding import Finding, Level

OLDEST = (6, 2)  # GETDEL
CLOCK_SECONDS = 5.0
CROWDED = 0.9  # of what is allowed


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
    yield (kind := _kind(info))
    yield _eviction(info)
    yield from _memory(info)
    yield from _connections(info)
    yield from _persistence(info, buffer)
    yield from _snapshots(info)
    if kind.level is not Level.ERROR:
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
        return Finding(Level.ERROR, "redis mode", "Redis Cluster", "name a single server: this version needs one")
    if info.get("role", "master") != "master":
        master = f"{info.get('master_host')}:{info.get('master_port')}"
        found = f"a replica, which refuses writes, of {master}"
        return Finding(Level.ERROR, "redis mode", found, f"export LIKES_REDIS_URL=redis://{master}/0")
    return Finding(Level.OK, "redis mode", "a single server that takes writes")


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    limit = f"{int(info.get('maxmemory', 0)) // 2**20} MiB" if info.get("maxmemory", "0") != "0" else "no memory limit"
    found = f"{policy}, {limit}"
    if policy.startswith("allkeys"):
        fix = "redis-cli CONFIG SET maxmemory-policy noeviction"
        return Finding(Level.ERROR, "eviction", f"{found}: it throws likes away", fix)
    if policy == "unknown":
        return Finding(Level.WARNING, "eviction", found, "make sure that it is noeviction, or volatile-…")
    return Finding(Level.OK, "eviction", found)


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used >= CROWDED * limit:
        level, how = (Level.ERROR, "full: it refuses likes") if used >= limit else (Level.WARNING, "nearly full")
        found = f"{how}: {used / 2**20:.1f} of {limit / 2**20:.1f} MiB; likes flush may make room"
        yield Finding(level, "memory", found, f"redis-cli CONFIG SET maxmemory {2 * used}")


def _connections(info: Mapping[str, str]) -> Iterator[Finding]:
    there, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if most and there >= CROWDED * most:
        found = f"{there} of at most {most}: new ones are refused soon"
        yield Finding(Level.WARNING, "connections", found, f"redis-cli CONFIG SET maxclients {max(10_000, 2 * most)}")


def _persistence(info: Mapping[str, str], buffer: Buffer) -> Iterator[Finding]:
    if info.get("aof_enabled") != "1":
        found = "no append-only file: a restart loses what is pending (set it in the server's file, too)"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET appendonly yes")
        return
    if info.get("aof_last_write_status", "ok") != "ok":
        yield Finding(Level.ERROR, "persistence", "the append-only file cannot be written", "make room on its disk")
        return
    fsync = read_config(buffer, "appendfsync")
    if fsync is None:
        fix = "make sure that appendfsync is everysec or always"
        yield Finding(Level.WARNING, "persistence", "append-only file; how often it is synced is not told", fix)
    elif fsync == "no":
        found = "append-only file, never synced: a power cut loses up to half a minute"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET appendfsync everysec")
    elif read_config(buffer, "no-appendfsync-on-rewrite") == "yes":
        found = f"append-only file, synced {fsync}, but not while it is rewritten: a power cut then loses more"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET no-appendfsync-on-rewrite no")
    else:
        yield Finding(Level.OK, "persistence", f"append-only file, synced {fsync}")


def _snapshots(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        found = "the last one failed (is its disk full?); where save is set, likes are refused until one succeeds"
        yield Finding(Level.WARNING, "snapshots", found, "redis-cli BGSAVE")


def _permission(buffer: Buffer) -> Finding:
    try:
        try_script(buffer)
    except RedisUnavailable as error:
        return _refuses_writes(error)
    except LikesError as error:
        fix = f"allow scripts and all commands on the keys {{{buffer.namespace}:*"
        return Finding(Level.ERROR, "permission", str(error), fix)
    return Finding(Level.OK, "permission", "scripts run and may write")


def _refuses_writes(error: RedisUnavailable) -> Finding:
    if "NOREPLICAS" in str(error) or "good replicas" in str(error):
        found = f"{error}: min-replicas-to-write asks for more replicas than are there"
        return Finding(Level.ERROR, "writes", found, "redis-cli CONFIG SET min-replicas-to-write 0")
    return Finding(Level.ERROR, "writes", str(error), "wait until it is ready, or see its log")


def _clock(buffer: Buffer) -> Finding:
    before = time.time()
    difference = buffer.now() - (before + time.time()) / 2
    found = f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this machine"
    if abs(difference) > CLOCK_SECONDS:
        return Finding(Level.WARNING, "clock", found, "set the clocks by NTP: ages and histories are told by them")
    return Finding(Level.OK, "clock", found)
