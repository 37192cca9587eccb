"""What a server says of itself: which one it is, whether it keeps what it is given, and whether it is full."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.health import knows_config, read_clock, read_config
from worker.checks.finding import Finding, Level

CLOCK_SECONDS = 5.0
CONFIG_SET = "redis-cli CONFIG SET "
CROWDED = 0.9  # of what is allowed


def check_server(buffer: Buffer, shard: int, info: Mapping[str, str]) -> Iterator[Finding]:
    """What the server that a shard lives on says of its set-up. info: what it says of itself."""
    yield from _feasible(buffer, shard, _look_at(buffer, shard, info))


def _look_at(buffer: Buffer, shard: int, info: Mapping[str, str]) -> Iterator[Finding]:
    yield _eviction(info)
    yield from _memory(info)
    yield from _connections(info)
    yield from _persistence(info, buffer, shard)
    yield from _snapshots(info)
    yield from _identity(info)
    yield _clock(buffer, shard)


def _feasible(buffer: Buffer, shard: int, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Where no client may configure the server, whoever runs it sets what is amiss."""
    is_served = not knows_config(buffer, shard)
    for finding in findings:
        settings = finding.fix.removeprefix(CONFIG_SET)
        there = f"set {settings} where the service has its settings: it knows no CONFIG"
        yield finding._replace(fix=there) if is_served and settings != finding.fix else finding


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


def _identity(info: Mapping[str, str]) -> Iterator[Finding]:
    if not info.get("run_id") or not info.get("master_replid"):
        found = "INFO does not tell its run_id and master_replid: no restart, no failover becomes an incident"
        yield Finding(Level.WARNING, "restarts", found, "permit INFO where you can; what is counted stays exact")


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
