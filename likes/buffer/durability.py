"""Durable before applied: SQL gets a batch only once replicas, or the disk, have it too, where that is asked for.

Else a replica may be promoted, or Redis come back after a power cut, that has never heard of a batch SQL has counted.
What is not confirmed is left in flight, and the next flush waits for it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from likes.batch import BatchId
from likes.buffer import scripts
from likes.buffer.calls import Call, command
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import Link
from likes.buffer.turn import Overtaken, Turn
from likes.chain import Chain
from likes.errors import CannotBeDurable, LikesError, NotDurable, Unavailable, WrongUrl

NONE, DISK, REPLICAS = "none", "aof", "replicas"
IMPATIENT_SECONDS = 0.05  # how long is waited at least, once a flush has waited in vain


class Lack(NamedTuple):
    """What a server lacks for what is wanted, and what to do: a command, a right such as `+wait`, or a sentence."""

    found: str
    fix: str


class Durability:
    """What must have a batch before SQL gets it. For any number of threads.

    wanted: "none", "aof" (the disk of the server) or "replicas:N" (so many replicas).
    seconds: how long a flush waits in vain, all in all; less than the link waits for an answer.
    """

    def __init__(
        self,
        link: Link,
        open_fresh: Callable[[], Link],
        namespace: str,
        wanted: str = NONE,
        seconds: float = 2.5,
    ) -> None:
        self.wanted = wanted
        self._kind, _, number = wanted.partition(":")
        self._needed = int(number or 1)
        self._link = link
        self._open_fresh = open_fresh
        self._namespace = namespace
        self._seconds = seconds
        self._in_vain = 0.0

    def require(self, shards: Collection[int]) -> None:
        """A flush begins: raise CannotBeDurable if a server of these shards cannot give what is wanted now."""
        self._in_vain = 0.0
        if lacks := self.lacks(shards):
            found, fix = lacks[0]
            raise CannotBeDurable(f"{self._link.where}: LIKES_DURABILITY is {self.wanted}, but {found}; {fix}")

    def lacks(self, shards: Collection[int]) -> list[Lack]:
        """What the servers of these shards lack for it; found out by asking for it. Raises Unavailable."""
        if self.wanted == NONE:
            return []
        with closing(self._open_fresh()) as link:  # where nothing was written yet, WAIT counts the replicas there are
            groups = link.by_node(self._keys(shards)).values()
            return [lack for group in groups if (lack := self._lack(link, min(group)))]

    def rows(self, turns: Sequence[Turn]) -> list[Chain]:
        """Wait for the rows handed off last; those that are durable. Another stays in flight, its turn has an error."""
        if self.wanted != NONE:
            witnesses = {
                turn.shard: self._witness(turn.shard, turn.epoch, [batch.id for batch in turn.sealed.batches])
                for turn in turns
                if turn.sealed
            }
            verdicts = self._wait_for(witnesses)
            for turn in turns:
                if error := verdicts.get(turn.shard):
                    turn.leave(error)
        return [turn.sealed for turn in turns if turn.sealed]

    def has_batches(self, ids: Sequence[BatchId]) -> bool:
        """Wait for batches of one epoch that were found in flight; False if one is not, after all.

        Raises NotDurable if they are not durable in time.
        """
        return self._has(ids[0].shard, self._witness(ids[0].shard, ids[0].epoch, ids))

    def has_epoch(self, shard: int, epoch: str) -> bool:
        """Wait for the epoch that a shard points at; False if it points at another. Raises NotDurable."""
        return self._has(shard, self._witness(shard, epoch, is_current=True))

    def _has(self, shard: int, witness: Call[bool]) -> bool:
        error = self._wait_for({shard: witness})[shard] if self.wanted != NONE else None
        if error and not isinstance(error, Overtaken):
            raise error
        return error is None

    def _witness(
        self, shard: int, epoch: str, batches: Sequence[BatchId] = (), *, is_current: bool = False
    ) -> Call[bool]:
        return scripts.witness(epoch_keys(self._namespace, shard, epoch), batches, is_current=is_current)

    def _wait_for(self, witnesses: Mapping[int, Call[bool]]) -> dict[int, LikesError | None]:
        """Why what is witnessed of each shard is not durable; None if it is.

        All that is asked of a server is one send, and so goes over one connection: WAIT is about the writes of its own.
        """
        if not witnesses:
            return {}
        seconds = max(self._seconds - self._in_vain, IMPATIENT_SECONDS)
        groups = self._link.by_node(self._keys(witnesses))
        calls: list[Call[bool] | Call[int]] = []
        for node, group in groups.items():
            calls += [*(witnesses[shard].on(node) for shard in group), self._wait(min(group), seconds).on(node)]
        replies = iter(self._link.send(calls))
        verdicts: dict[int, LikesError | None] = {}
        for group in groups.values():
            witnessed = [next(replies) for _ in group]
            late = self._lateness(next(replies), seconds)
            verdicts |= {shard: _verdict(shard, seen, late) for shard, seen in zip(group, witnessed, strict=True)}
        return verdicts

    def _wait(self, shard: int, seconds: float) -> Call[int]:
        milliseconds = max(1, int(seconds * 1000))  # 0 would mean for ever
        keys = shard_keys(self._namespace, shard)
        if self._kind == DISK:
            return scripts.wait_for_disk(keys, milliseconds)
        return scripts.wait_for_replicas(keys, self._needed, milliseconds)

    def _keys(self, shards: Iterable[int]) -> dict[int, bytes]:
        """A key of each shard, by which a cluster knows where it is."""
        return {shard: shard_keys(self._namespace, shard).owner for shard in shards}

    def _lateness(self, confirmed: int | LikesError, seconds: float) -> LikesError | None:
        if isinstance(confirmed, LikesError):
            return confirmed
        if confirmed >= self._needed:
            return None
        self._in_vain += seconds
        who = f"{confirmed} of {self._needed} replicas" if self._kind == REPLICAS else "not even its disk"
        return NotDurable(
            f"{self._link.where}: {who} confirmed what was handed off (LIKES_DURABILITY is {self.wanted}); "
            "it stays in flight, and the next flush waits for it again"
        )

    def _lack(self, link: Link, shard: int) -> Lack | None:
        keys = shard_keys(self._namespace, shard)
        fsync_setting = command("CONFIG", "GET", "appendfsync", shard=shard, at=keys.owner)
        settings = [fsync_setting] if self._kind == DISK else []
        confirmed, *fsync = link.send([self._wait(shard, 0), *settings])
        if isinstance(confirmed, LikesError):
            return _refused(confirmed, "WAITAOF" if self._kind == DISK else "WAIT")
        if fsync and confirmed:
            return _lack_of_fsync(fsync[0])
        if fsync:
            return Lack("its append-only file is not in use yet", "try again in a moment")
        if confirmed >= self._needed:
            return None
        if not confirmed:
            return Lack("no replica follows it", f"export LIKES_DURABILITY={NONE}")
        return Lack(f"only {confirmed} of them follow it", f"export LIKES_DURABILITY={REPLICAS}:{confirmed}")


def _verdict(shard: int, witnessed: bool | LikesError, late: LikesError | None) -> LikesError | None:
    if isinstance(witnessed, LikesError):
        return witnessed
    return late if witnessed else Overtaken(f"shard {shard} is no longer as it was read")


def _lack_of_fsync(reply: list[bytes] | LikesError) -> Lack | None:
    """Otherwise the disk is said to have what it gets a second later (Redis up to 7.4 and Valkey up to 9.1, tried)."""
    if isinstance(reply, Unavailable):
        raise reply
    if isinstance(reply, LikesError):
        return Lack("it does not tell whether appendfsync is always", "+config|get")
    how = reply[1].decode() if len(reply) > 1 else "unknown"
    fix = "redis-cli CONFIG SET appendfsync always"
    return None if how == "always" else Lack(f"appendfsync is {how}: WAITAOF answers before it is synced", fix)


def _refused(error: LikesError, command: str) -> Lack:
    """What it means that a server does not answer WAIT. Raises `error` if that is not about WAIT."""
    reason = "" if isinstance(error, Unavailable | WrongUrl) else str(error)
    if "nknown" in reason:
        which = "Redis 7.2 or later, or Valkey, has it" if command == "WAITAOF" else "this service has none"
        return Lack(f"it knows no {command} ({which})", f"export LIKES_DURABILITY={NONE}")
    if "appendonly is disabled" in reason:
        return Lack("there is no append-only file", "redis-cli CONFIG SET appendonly yes")
    if f"'{command.lower()}'" in reason.lower():
        return Lack(f"{command} is not permitted", f"+{command.lower()}")
    raise error
