"""Another number of shards: each is closed to likes, pointed at an epoch of that number once it is empty, and opened.

`worker.resharding` says when which of these steps is taken. A shard that is closed stays so whatever becomes of its
epochs: the mark stands outside them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from likes.buffer import scripts
from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.generations import KNOWN_SECONDS
from likes.buffer.keys import epoch_keys, fresh_epoch, shard_keys
from likes.buffer.left import read_left
from likes.buffer.links.link import ask
from likes.buffer.scripts import Repointed


def close_shards(buffer: Buffer, shards: Collection[int], to: int) -> list[int]:
    """Let these shards accept no likes while their number becomes `to`; returns those of another database."""
    owner = buffer.ownership.database
    calls = [scripts.close_shard(shard_keys(buffer.namespace, shard), to=to, owner=owner) for shard in shards]
    return [shard for shard, closed in zip(shards, ask(buffer.link, calls), strict=True) if not closed]


def open_shards(buffer: Buffer, epochs: Mapping[int, str], to: int) -> list[int]:
    """Let shards accept likes again that were closed while their number became `to`: shard -> epoch; returns those that
    are not as they were read. Shard 0 is the last, as it is what is looked at to see whether all are open.
    """
    owner, shards = buffer.ownership.database, sorted(epochs, reverse=True)
    calls = [
        scripts.open_shard(shard_keys(buffer.namespace, shard), to=to, owner=owner, epoch=epochs[shard])
        for shard in shards
    ]
    return [shard for shard, opened in zip(shards, ask(buffer.link, calls), strict=True) if not opened]


def numbers_left(buffer: Buffer) -> bytes:
    """What earlier changes have left, as a shard keeps it that was not there then; shard 0 was there at each."""
    (text,) = ask(buffer.link, [command("GET", shard_keys(buffer.namespace, 0).left, shard=0)])
    return b"\n".join(b"%d %d -" % (left.at, left.number) for left in read_left(text))


def repoint(buffer: Buffer, shard: int, old: str, *, to: int, before: int, left: bytes) -> Repointed:
    """Point a closed shard, of which nothing is pending or in flight, at a fresh epoch of `to` shards, of which there
    were so many `before`. left: see `numbers_left`.
    """
    keys = epoch_keys(buffer.namespace, shard, old)
    owner = buffer.ownership.database
    asked = scripts.repoint(
        keys, fresh=fresh_epoch(to), to=to, before=before, now=round(buffer.now() * 1000), left=left, owner=owner
    )
    (repointed,) = ask(buffer.link, [asked])
    assert isinstance(repointed, Repointed)  # noqa: S101 (narrows a reply's type)
    return repointed


def forget_left(buffer: Buffer, shards: Collection[int]) -> None:
    """Delete the idempotency keys from before a change that is so long ago that all of them are too old."""
    keys = [shard_keys(buffer.namespace, shard) for shard in shards]
    found = ask(buffer.link, [command("GET", each.left, shard=each.shard) for each in keys])
    if not any(found):
        return
    too_old = (buffer.now() - KNOWN_SECONDS) * 1000
    for each, text in zip(keys, found, strict=True):
        for left in read_left(text):
            if left.at < too_old:
                under = epoch_keys(buffer.namespace, each.shard, left.epoch)
                ask(buffer.link, [*scripts.delete_all_buckets(under, left.generations)])
                ask(buffer.link, [scripts.forget_left(each, left.entry, buffer.ownership.database)])
