"""Which server answers, what of its past it tells, and its clock: what only serves incidents, so it may be missing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from likes.buffer.calls import Call, command
from likes.buffer.keys import ShardKeys, shard_keys
from likes.buffer.links.link import Link
from likes.buffer.refusals import NotSent
from likes.errors import LikesError, Unavailable

_NO_REPLICATION = "0" * 40  # in place of an id
_SECTIONS = ("server", "replication", "persistence")


@dataclass(frozen=True, slots=True)
class Server:
    """Which server answers. What a user may not ask, or a server does not tell, is empty.

    run_id: of its process; replid: of its replication.
    replid_before: of the replication it was in before it was promoted.
    is_replica: it says that it follows another server.
    is_durable: it writes to disk before it answers, and no replica may be promoted in its place.
    now: the moment by its clock.
    where: what messages call it. in_cluster: it is a node of a Redis Cluster.
    """

    run_id: str = ""
    replid: str = ""
    replid_before: str = ""
    is_replica: bool = False
    is_durable: bool = False
    now: datetime | None = None
    where: str = ""
    in_cluster: bool = False

    def is_the_same_as(self, other: Server) -> bool:
        """True if it is that very process, and followed no other in between."""
        return (self.run_id, self.replid) == (other.run_id, other.replid)


def read_servers(link: Link, namespace: str, shards: Collection[int]) -> list[tuple[Server, Collection[int]]]:
    """The servers that answer for these shards, each with those that it has. Raises Unavailable."""
    groups = link.by_node({shard: shard_keys(namespace, shard).owner for shard in shards})
    calls = [_questions(shard_keys(namespace, min(group))) for group in groups.values()]
    replies = link.send([call for some in calls for call in some])
    if away := next((reply for reply in replies if isinstance(reply, Unavailable)), None):
        raise away
    if any(isinstance(reply, bytes) and b"\nloading:1" in reply for reply in replies):
        raise NotSent(f"{link.where} is loading its data")  # it says that its append-only file is off then
    size = len(replies) // len(groups) if groups else 0
    return [
        (_read(where, replies[i * size : (i + 1) * size]), group) for i, (where, group) in enumerate(groups.items())
    ]


def read_clock(link: Link, keys: ShardKeys) -> datetime | None:
    """The moment by the clock of the server that a shard lives on, None if it does not tell. Raises Unavailable."""
    (reply,) = link.send([command("TIME", shard=keys.shard, at=keys.owner)])
    if isinstance(reply, Unavailable):
        raise reply
    return _moment(reply)


def _questions(keys: ShardKeys) -> list[Call[Any]]:
    # The clock last: what it says is then later than nothing that the others tell.
    questions = (*(("INFO", section) for section in _SECTIONS), ("CONFIG", "GET", "appendfsync"), ("TIME",))
    return [command(*words, shard=keys.shard, at=keys.owner) for words in questions]


def _read(where: str, replies: list[Any]) -> Server:
    *sections, appendfsync, time = replies
    info = b"\r\n".join(section for section in sections if isinstance(section, bytes)).decode(errors="replace")
    fields = dict(line.partition(":")[::2] for line in info.splitlines())
    before = fields.get("master_replid2", "")
    synced = isinstance(appendfsync, list) and appendfsync[1:] == [b"always"] and fields.get("aof_enabled") == "1"
    return Server(
        run_id=fields.get("run_id", ""),
        replid=fields.get("master_replid", ""),
        replid_before="" if before == _NO_REPLICATION else before,
        is_replica=fields.get("role") == "slave",
        is_durable=synced and fields.get("connected_slaves") == "0",
        now=_moment(time),
        where=where,
        in_cluster="cluster" in (fields.get("redis_mode"), fields.get("server_mode")),  # as Redis and Valkey call it
    )


def _moment(reply: list[bytes] | LikesError) -> datetime | None:
    if isinstance(reply, LikesError):
        return None
    seconds, microseconds = map(int, reply)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
