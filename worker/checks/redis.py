"""Redis: which one, whether it keeps what it is given, and whether it lets us do what we need."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.health import read_clock, read_config, read_info, try_script
from likes.buffer.rights import READING, WRITING, refused
from likes.config.urls import user_of
from likes.connect import Places
from likes.errors import LikesError, NoRedisCluster, RedisClusterNode, RedisRefused, RedisUnavailable, ShardMoving
from worker.checks.batches import check_batches
from worker.checks.durability import check_durability
from worker.checks.finding import Finding, Level
from worker.checks.nodes import of_all

CLOCK_SECONDS = 5.0
CROWDED = 0.9  # of what is allowed
MOST_NAMES = 12
WITHIN_SCRIPTS = sorted(READING | WRITING)


def check_redis(places: Places, namespace: str, shards: Collection[int], durability: str = "none") -> Iterator[Finding]:
    """What a server says of itself, and lets us do in these shards; one error if it cannot be used at all."""
    try:
        with places.open_buffer(namespace, durability=durability) as buffer:
            yield from _look_at(buffer, shards, user_of(places.redis_url()))
    except RedisClusterNode as error:
        yield Finding(Level.ERROR, "redis mode", str(error), "name the cluster in LIKES_REDIS_URL")
    except NoRedisCluster as error:
        yield Finding(Level.ERROR, "redis mode", str(error), "name the server in LIKES_REDIS_URL")
    except LikesError as error:
        yield Finding(Level.ERROR, "redis", str(error), "start it, or correct LIKES_REDIS_URL and its password")


def _look_at(buffer: Buffer, shards: Collection[int], user: str) -> Iterator[Finding]:
    _reach(buffer)
    servers = buffer.servers_there_are()
    found = {where: [*_look_at_server(buffer, shard)] for where, shard in servers.items()}
    if len(servers) == 1 and buffer.where in servers:
        yield from found[buffer.where]
    else:
        yield from of_all(found)
    modes = [each.level for some in found.values() for each in some if each.name in ("redis mode", "writes")]
    if all(level is Level.OK for level in modes):
        yield from _permission(buffer, shards, user)
        yield from check_batches(buffer, shards)
        replicas = min(int(read_info(buffer, shard).get("connected_slaves", 0)) for shard in servers.values())
        yield from check_durability(buffer, replicas, shards, user)


def _look_at_server(buffer: Buffer, shard: int) -> Iterator[Finding]:
    info = read_info(buffer, shard)
    yield _version(info, buffer.where)
    kind = _kind(info, buffer, shard)
    if kind:
        yield kind
    yield _eviction(info)
    yield from _memory(info)
    yield from _connections(info)
    yield from _persistence(info, buffer, shard)
    yield from _snapshots(info)
    yield _clock(buffer, shard)


def _reach(buffer: Buffer) -> None:
    """Raise what keeps everybody from using it, such as a wrong password."""
    try:
        buffer.ping()
    except RedisRefused as error:
        if isinstance(error, RedisClusterNode) or "'ping'" not in str(error):
            raise  # else PING alone is not permitted


def _version(info: Mapping[str, str], where: str) -> Finding:
    """Only told: what a server can do is tried."""
    names = (("Valkey", "valkey_version"), ("Redis", "redis_version"))
    told = next((f"{name} {info[field]}" for name, field in names if field in info), "its version is not told")
    return Finding(Level.OK, "redis", f"{where}: {told}")


def _kind(info: Mapping[str, str], buffer: Buffer, shard: int) -> Finding | None:
    """Whether it takes writes, whatever it says that it is; None where a missing right hides that."""
    try:
        try_script(buffer, shard)
    except ShardMoving:
        return None
    except (RedisRefused, RedisUnavailable) as error:
        if info.get("role") == "slave" or "read only replica" in str(error):
            return _replica(info)
        if isinstance(error, RedisUnavailable):
            return _refuses_writes(error)
        return None
    kind = "a Redis Cluster" if info.get("cluster_enabled") == "1" else "a single server"
    return Finding(Level.OK, "redis mode", f"{kind} that takes writes")


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    limit = f"{int(info['maxmemory']) // 2**20} MiB" if info.get("maxmemory", "0") != "0" else "no memory limit"
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


def _persistence(info: Mapping[str, str], buffer: Buffer, shard: int) -> Iterator[Finding]:
    if "aof_enabled" not in info:
        fix = "make sure that appendonly is yes: else a restart loses what is pending"
        yield Finding(Level.WARNING, "persistence", "whether there is an append-only file is not told", fix)
        return
    if info.get("aof_enabled") != "1":
        found = "no append-only file: a restart loses what is pending (set it in the server's file, too)"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET appendonly yes")
        return
    if info.get("aof_last_write_status", "ok") != "ok":
        yield Finding(Level.ERROR, "persistence", "the append-only file cannot be written", "make room on its disk")
        return
    fsync = read_config(buffer, "appendfsync", shard)
    if fsync is None:
        fix = "make sure that appendfsync is everysec or always"
        yield Finding(Level.WARNING, "persistence", "append-only file; how often it is synced is not told", fix)
    elif fsync == "no":
        found = "append-only file, never synced: a power cut loses up to half a minute"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET appendfsync everysec")
    elif read_config(buffer, "no-appendfsync-on-rewrite", shard) == "yes":
        found = f"append-only file, synced {fsync}, but not while it is rewritten: a power cut then loses more"
        yield Finding(Level.WARNING, "persistence", found, "redis-cli CONFIG SET no-appendfsync-on-rewrite no")
    else:
        yield Finding(Level.OK, "persistence", f"append-only file, synced {fsync}")


def _snapshots(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        found = "the last one failed (is its disk full?); where save is set, likes are refused until one succeeds"
        yield Finding(Level.WARNING, "snapshots", found, "redis-cli BGSAVE")


def _permission(buffer: Buffer, shards: Collection[int], user: str) -> Iterator[Finding]:
    failed = refused(buffer, shards)
    if not failed:
        yield Finding(Level.OK, "permission", "all commands that are needed may be used")
    unknown = sorted(name for name, reason in failed.items() if "nknown" in reason)
    if unknown:
        yield Finding(
            Level.ERROR, "commands", f"unknown to this server: {' '.join(unknown)}", "Redis 6.2 or later, or Valkey"
        )
    others = {name: reason for name, reason in failed.items() if name not in unknown}
    if others:
        names, reasons = [*others], [*others.values()]
        found = f"refused: {', '.join(names[:MOST_NAMES])}{' …' if len(names) > MOST_NAMES else ''} ({reasons[0]})"
        commands = [f"+{name.lower()}" for name in names if name.isupper()]
        if any("to run the" in reason for name, reason in others.items() if not name.isupper()):
            # No script could be run, so what is missing within is not known.
            commands += ["+evalsha", "+script|load", *(f"+{name.lower()}" for name in WITHIN_SCRIPTS)]
        fix = f"redis-cli ACL SETUSER {user} ~{{{buffer.namespace}:* {' '.join(commands)}"
        yield Finding(Level.ERROR, "permission", found, fix)


def _replica(info: Mapping[str, str]) -> Finding:
    if "master_host" not in info:
        return Finding(
            Level.ERROR, "redis mode", "a replica, which refuses writes", "name its master in LIKES_REDIS_URL"
        )
    master = f"{info['master_host']}:{info.get('master_port', 6379)}"
    found = f"a replica, which refuses writes, of {master}"
    return Finding(Level.ERROR, "redis mode", found, f"export LIKES_REDIS_URL=redis://{master}/0")


def _refuses_writes(error: LikesError) -> Finding:
    if "NOREPLICAS" in str(error) or "good replicas" in str(error):
        found = f"{error}: min-replicas-to-write asks for more replicas than are there"
        return Finding(Level.ERROR, "writes", found, "redis-cli CONFIG SET min-replicas-to-write 0")
    return Finding(Level.ERROR, "writes", str(error), "wait until it is ready, or see its log")


def _clock(buffer: Buffer, shard: int) -> Finding:
    before = time.time()
    its = read_clock(buffer, shard)
    if its is None:
        return Finding(Level.INFO, "clock", "not told; this machine's is taken")
    difference = its - (before + time.time()) / 2
    found = f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this machine"
    if abs(difference) > CLOCK_SECONDS:
        return Finding(Level.WARNING, "clock", found, "set the clocks by NTP: ages and histories are told by them")
    return Finding(Level.OK, "clock", found)
