"""Redis: which one, whether it keeps what it is given, and whether it lets us do what we need."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from cli.checks.finding import Finding, Level
from likes.buffer.buffer import Buffer
from likes.buffer.health import appendfsync, read_clock, read_info, try_script
from likes.buffer.rights import refused
from likes.connect import Places
from likes.errors import LikesError, RedisClusterNode, RedisRefused, RedisUnavailable

CLOCK_SECONDS = 5.0
MOST_NAMES = 12


def check_redis(places: Places, namespace: str, shards: Collection[int]) -> Iterator[Finding]:
    """What a server says of itself, and lets us do in these shards; one error if it cannot be used at all."""
    try:
        with places.open_buffer(namespace) as buffer:
            yield from _look_at(buffer, shards, unquote(urlsplit(places.redis_url()).username or "default"))
    except RedisClusterNode as error:
        yield Finding(Level.ERROR, "redis mode", str(error), "name a single server in LIKES_REDIS_URL")
    except LikesError as error:
        yield Finding(Level.ERROR, "redis", str(error), "start it, or correct LIKES_REDIS_URL and its password")


def _look_at(buffer: Buffer, shards: Collection[int], user: str) -> Iterator[Finding]:
    _reach(buffer)
    info = read_info(buffer)
    yield _version(info, buffer.where)
    kind = _kind(info, buffer)
    if kind:
        yield kind
    yield _eviction(info)
    yield from _persistence(info, buffer)
    if not kind or kind.level is Level.OK:
        yield from _permission(buffer, shards, user)
    yield _clock(buffer)


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


def _kind(info: Mapping[str, str], buffer: Buffer) -> Finding | None:
    """Whether it takes writes, whatever it says that it is; None where a missing right hides that."""
    try:
        try_script(buffer)
    except (RedisRefused, RedisUnavailable) as error:
        if info.get("role") == "slave" or "read only replica" in str(error):
            return Finding(
                Level.ERROR, "redis mode", "a replica: it refuses writes", "name its master in LIKES_REDIS_URL"
            )
        if isinstance(error, RedisUnavailable) or "MISCONF" in str(error):
            return Finding(Level.ERROR, "redis mode", str(error), "see the log of Redis")
        return None
    return Finding(Level.OK, "redis mode", "a single server that takes writes")


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    limit = f"{int(info['maxmemory']) // 2**20} MiB" if info.get("maxmemory", "0") != "0" else "no memory limit"
    found = f"{policy}, {limit}"
    if policy.startswith("allkeys"):
        return Finding(Level.ERROR, "eviction", found, "it throws likes away: CONFIG SET maxmemory-policy noeviction")
    if policy == "unknown":
        return Finding(Level.WARNING, "eviction", found, "make sure that it is noeviction, or volatile-…")
    return Finding(Level.OK, "eviction", found)


def _persistence(info: Mapping[str, str], buffer: Buffer) -> Iterator[Finding]:
    if "aof_enabled" not in info:
        fix = "make sure that appendonly is yes: else a restart loses what is pending"
        yield Finding(Level.WARNING, "persistence", "whether there is an append-only file is not told", fix)
        return
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
        commands = [f"+{name.lower()}" for name in names if name.isupper()] or ["+evalsha", "+script|load"]
        fix = f"ACL SETUSER {user} ~{{{buffer.namespace}:* {' '.join(commands)}"
        yield Finding(Level.ERROR, "permission", found, fix)


def _clock(buffer: Buffer) -> Finding:
    before = time.time()
    its = read_clock(buffer)
    if its is None:
        return Finding(Level.INFO, "clock", "not told; this machine's is taken")
    difference = its - (before + time.time()) / 2
    found = f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this machine"
    if abs(difference) > CLOCK_SECONDS:
        return Finding(Level.WARNING, "clock", found, "set the clocks by NTP: ages and histories are told by them")
    return Finding(Level.OK, "clock", found)
