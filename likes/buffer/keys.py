"""All Redis keys are made here, and nowhere else.

The braces make a Redis Cluster hash tag: all keys of one shard live on one node, so that one script may touch them.
The epoch in a key's name keeps what a Redis remembers from before it went back apart from what is current.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache

from likes.member import Member


class ShardKeys:
    """The keys of one shard that stand outside any epoch."""

    def __init__(self, namespace: str, shard: int) -> None:
        self.namespace = namespace
        self.shard = shard
        self.tag = f"{{{namespace}:{shard}}}:".encode()
        self.pointer = self.tag + b"epoch"
        self.epochs = self.tag + b"epochs"
        self.lease = self.tag + b"lease"
        self.owner = self.tag + b"owner"
        self.resharding = self.tag + b"resharding"
        self.left = self.tag + b"left"
        self.workers = self.tag + b"workers"  # of shard 0: those of all shards
        self.cache = self.tag + b"cache"  # of shard 0: how the cached totals of all shards do

    def rate(self, client: str) -> bytes:
        """The key of what is kept of a client whose rate is limited; `client` is hexadecimal."""
        return b"%srate:%s" % (self.tag, client.encode())

    def notice(self, name: str) -> bytes:
        """Of shard 0: the key that says that something was told."""
        return self.tag + b"notice:" + name.encode()


class EpochKeys(ShardKeys):
    """The keys of one shard under one epoch."""

    def __init__(self, namespace: str, shard: int, epoch: str) -> None:
        super().__init__(namespace, shard)
        self.epoch = epoch
        self.under = under = self.tag + epoch.encode() + b":"
        self.state = under + b"state"
        self.pending = under + b"pending"
        self.in_flight = under + b"in_flight"
        self.nonces = under + b"nonces"
        self.producers = under + b"producers"
        self.once = under + b"once"
        self.deltas = under + b"delta:"
        self.totals = under + b"total:"
        self.fills = under + b"fill:"
        # The scripts find where the member begins in a delta's key by the length of the key of `pending`.
        assert len(self.deltas) == len(self.pending) - 1  # noqa: S101 (of constants)

    def batch(self, seq: int) -> bytes:
        """The key of the sealed batch number `seq`."""
        return b"%sbatch:%d" % (self.under, seq)

    def once_bucket(self, generation: int, bucket: int) -> bytes:
        """The key of a bucket of idempotency keys."""
        return b"%s:%d:%d" % (self.once, generation, bucket)

    def delta(self, member: Member) -> bytes:
        """The key of a member's pending delta."""
        return self.deltas + member

    def of(self, members: Iterable[Member]) -> list[bytes]:
        """The keys of many members' pending deltas."""
        deltas = self.deltas
        return [deltas + member for member in members]

    def totals_of(self, members: Iterable[Member]) -> list[bytes]:
        """The keys of many members' cached totals."""
        totals = self.totals
        return [totals + member for member in members]

    def fills_of(self, members: Iterable[Member]) -> list[bytes]:
        """The keys of the leases of those who read these members' totals for the cache."""
        fills = self.fills
        return [fills + member for member in members]


@lru_cache(maxsize=4096)
def shard_keys(namespace: str, shard: int) -> ShardKeys:
    """The keys of `shard` that stand outside any epoch."""
    return ShardKeys(namespace, shard)


@lru_cache(maxsize=4096)
def epoch_keys(namespace: str, shard: int, epoch: str) -> EpochKeys:
    """The keys of `shard` under `epoch`."""
    return EpochKeys(namespace, shard, epoch)


_NUMBERED = re.compile(r"[0-9a-f]{16}s(\d{1,4})")  # of letters and digits alone, as an older version looks for


def fresh_epoch(shards: int) -> str:
    """A new random epoch of a Redis that holds likes in so many shards."""
    return f"{secrets.token_hex(8)}s{shards}"


def number_of_shards(epoch: str) -> int | None:
    """In how many shards the Redis of an epoch holds likes; None for none, and for one that an older version began."""
    numbered = _NUMBERED.fullmatch(epoch)
    return int(numbered[1]) if numbered else None
