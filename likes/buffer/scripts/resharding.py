"""Changing the number of shards: closing a shard to likes, pointing it at an epoch of another number, opening it."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from likes.buffer.calls import Call, Script
from likes.buffer.damage import read_word
from likes.buffer.keys import EpochKeys, ShardKeys, epoch_keys, number_of_shards

CLOSE_SHARD = Script("close_shard")
OPEN_SHARD = Script("open_shard")
REPOINT = Script("repoint")
FORGET_LEFT = Script("forget_left")


class Repointed(NamedTuple):
    """The epoch that is current now, and why it is not the fresh one: "" if it is, else "changed" or "busy"."""

    epoch: str
    why_not: str


def close_shard(keys: ShardKeys, *, to: int, owner: str) -> Call[bool]:
    """Accept no likes while the number of shards is being changed `to` another; False if it is not the `owner`'s."""
    return CLOSE_SHARD.call(keys.shard, (keys.owner, keys.resharding, keys.epochs), (owner, to), bool)


def open_shard(keys: ShardKeys, *, to: int, owner: str, epoch: str) -> Call[bool]:
    """Accept likes again; False, with nothing done, if the shard is closed for another change or points elsewhere."""
    names = (keys.owner, keys.resharding, keys.pointer, keys.epochs)
    return OPEN_SHARD.call(keys.shard, names, (owner, to, epoch), bool)


def repoint(old: EpochKeys, *, fresh: str, to: int, before: int, now: int, left: bytes, owner: str) -> Call[Repointed]:
    """Point a shard closed for a change `to` so many at the `fresh` epoch, if all of the `old` one was handed off.

    before: how many shards there were, where the old epoch does not say. now: milliseconds since 1970.
    left: what earlier changes have left, for a shard that was not there then.
    """
    new = epoch_keys(old.namespace, old.shard, fresh)
    names = [old.pointer, old.epochs, old.owner, old.resharding, old.left, new.state]
    names += [old.state, old.pending, old.in_flight, old.once]
    arguments = (old.epoch, fresh, to, owner, number_of_shards(old.epoch) or before, now, left)
    return REPOINT.call(old.shard, names, arguments, partial(_read_repointed, old))


def _read_repointed(old: EpochKeys, reply: list[Any]) -> Repointed:
    return Repointed(read_word(old.pointer, reply[0]), reply[1].decode())


def forget_left(keys: ShardKeys, entry: bytes, owner: str) -> Call[bool]:
    """Forget an epoch left by a change of the number of shards, the buckets of which are deleted."""
    return FORGET_LEFT.call(keys.shard, (keys.left, keys.owner), (entry, owner), bool)
