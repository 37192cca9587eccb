"""Every Redis key, and nowhere else.

The braces make a Redis Cluster hash tag: all keys of one shard live on one node, so that one script may touch them.
The epoch in a key's name keeps what a Redis remembers from before it went back apart from what is current.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

PREFIX = r"[A-Za-z0-9_.:-]{1,64}"  # no braces, which would end the hash tag


class ShardKeys:
    """The keys of one shard that stand outside any epoch."""

    def __init__(self, prefix: str, shard: int) -> None:
        self.tag = f"{{{prefix}:{shard}}}:".encode()
        self.epoch = self.tag + b"epoch"
        self.epochs = self.tag + b"epochs"
        self.lease = self.tag + b"lease"


class EpochKeys(ShardKeys):
    """The keys of one shard under one epoch."""

    def __init__(self, prefix: str, shard: int, epoch: str) -> None:
        super().__init__(prefix, shard)
        self.under = under = self.tag + epoch.encode() + b":"
        self.state = under + b"state"
        self.pending = under + b"pending"
        self.in_flight = under + b"in_flight"
        self.producers = under + b"producers"
        self.deltas = under + b"delta:"

    def batch(self, seq: int) -> bytes:
        """The sealed batch number `seq`."""
        return b"%sbatch:%d" % (self.under, seq)

    def delta(self, member: bytes) -> bytes:
        """The pending delta of a member, `<counter>:<item>`."""
        return self.deltas + member


@lru_cache(maxsize=4096)
def shard_keys(prefix: str, shard: int) -> ShardKeys:
    """The keys of `shard` that stand outside any epoch."""
    return ShardKeys(prefix, shard)


@lru_cache(maxsize=4096)
def epoch_keys(prefix: str, shard: int, epoch: str) -> EpochKeys:
    """The keys of `shard` under `epoch`."""
    return EpochKeys(prefix, shard, epoch)


def fresh_epoch() -> str:
    """A new random epoch."""
    return secrets.token_hex(8)
