"""Redis: which one, and whether it lets us do what we need; `server` has what it says of its set-up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.encryption import is_over_tls
from likes.buffer.health import read_info, try_script
from likes.buffer.rights import READING, WRITING, refused
from likes.config.cluster_url import is_cluster_url
from likes.config.urls import user_of
from likes.connect import Places
from likes.errors import LikesError, NoScripts, RedisRefused, RedisUnavailable, ShardMoving, WrongUrl
from worker.checks.batches import check_batches
from worker.checks.durability import check_durability
from worker.checks.encryption import check_encryption
from worker.checks.finding import Finding, Level
from worker.checks.nodes import cli_of, of_all
from worker.checks.sentinels import check_sentinels
from worker.checks.server import check_server

MOST_NAMES = 12
WITHIN_SCRIPTS = sorted(READING | WRITING)


def check_redis(places: Places, namespace: str, shards: Collection[int], durability: str = "none") -> Iterator[Finding]:
    """What a server says of itself, and lets us do in these shards; one error if it cannot be used at all."""
    yield from check_encryption(places.redis)
    try:
        yield from check_sentinels(places)
        with places.open_buffer(namespace, durability=durability) as buffer:
            url = places.redis_url()
            yield from _look_at(buffer, shards, user_of(url), in_cluster=is_cluster_url(url))
    except WrongUrl as error:
        yield Finding(Level.ERROR, "redis mode", str(error), "name it so in LIKES_REDIS_URL")
    except NoScripts as error:
        yield Finding(Level.ERROR, "scripts", str(error), "name one in LIKES_REDIS_URL; docs/servers.md lists many")
    except LikesError as error:
        yield _cannot_be_used(error, places)


def _cannot_be_used(error: LikesError, places: Places) -> Finding:
    where, _, refused = str(error).partition(" does not allow this: ")
    if "'role'" in refused:  # which is asked on every connection to a master that Sentinels name
        fix = f"{cli_of(where)} ACL SETUSER {user_of(places.redis_url())} +role"
        return Finding(Level.ERROR, "permission", f"{error}; it is needed on every server", fix)
    return Finding(Level.ERROR, "redis", str(error), "start it, or correct LIKES_REDIS_URL and its password")


def _look_at(buffer: Buffer, shards: Collection[int], user: str, *, in_cluster: bool) -> Iterator[Finding]:
    _reach(buffer)
    servers = buffer.servers_there_are()
    found = {
        where: [*_look_at_server(buffer, shard, where if len(servers) == 1 else buffer.where)]
        for where, shard in servers.items()
    }
    if len(servers) == 1 and buffer.where in servers:
        yield from found[buffer.where]
    else:
        yield from of_all(found)
    modes = [each.level for some in found.values() for each in some if each.name in ("redis mode", "writes")]
    if all(level is Level.OK for level in modes):
        yield from _permission(buffer, shards, user, in_cluster=in_cluster)
        yield from check_batches(buffer, shards)
        replicas = min(int(read_info(buffer, shard).get("connected_slaves", 0)) for shard in servers.values())
        yield from check_durability(buffer, replicas, shards, user)


def _look_at_server(buffer: Buffer, shard: int, shown: str) -> Iterator[Finding]:
    info = read_info(buffer, shard)
    yield _version(info, shown)
    kind = _kind(info, buffer, shard)
    if kind:
        yield kind
    yield from check_server(buffer, shard, info)


def _reach(buffer: Buffer) -> None:
    """Raise what keeps everybody from using it, such as a wrong password."""
    try:
        buffer.ping()
    except RedisRefused as error:
        if isinstance(error, WrongUrl) or "'ping'" not in str(error):
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
    except NoScripts:
        raise
    except (RedisRefused, RedisUnavailable) as error:
        if info.get("role") == "slave" or "read only replica" in str(error):
            return _replica(info, "rediss" if is_over_tls(buffer.where) else "redis")
        if isinstance(error, RedisUnavailable):
            return _refuses_writes(error)
        return None
    kind = "a Redis Cluster" if info.get("cluster_enabled") == "1" else "a single server"
    return Finding(Level.OK, "redis mode", f"{kind} that takes writes")


def _permission(buffer: Buffer, shards: Collection[int], user: str, *, in_cluster: bool) -> Iterator[Finding]:
    failed = refused(buffer, shards, in_cluster=in_cluster)
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


def _replica(info: Mapping[str, str], scheme: str) -> Finding:
    if "master_host" not in info:
        return Finding(
            Level.ERROR, "redis mode", "a replica, which refuses writes", "name its master in LIKES_REDIS_URL"
        )
    master = f"{info['master_host']}:{info.get('master_port', 6379)}"
    found = f"a replica, which refuses writes, of {master}"
    return Finding(Level.ERROR, "redis mode", found, f"export LIKES_REDIS_URL={scheme}://{master}/0")


def _refuses_writes(error: LikesError) -> Finding:
    if "NOREPLICAS" in str(error) or "good replicas" in str(error):
        found = f"{error}: min-replicas-to-write asks for more replicas than are there"
        return Finding(Level.ERROR, "writes", found, "redis-cli CONFIG SET min-replicas-to-write 0")
    return Finding(Level.ERROR, "writes", str(error), "wait until it is ready, or see its log")
