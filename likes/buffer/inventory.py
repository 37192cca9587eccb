"""What Redis really holds of a shard, key by key: the other side of an audit's comparisons.

A shard changes while it is read. So its state is read before and after: what it shows not to have happened in between
cannot have falsified the reading.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from likes.batch import Batch, BatchId, whole
from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.damage import read_batch, read_word
from likes.buffer.keys import EpochKeys, epoch_keys, number_of_shards, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import repair
from likes.buffer.standing import Standing, read_standing, reads
from likes.member import Member

CHUNK = 1000
SCAN_CHUNK = 5000


class Inventory(NamedTuple):
    """What lies under the current epoch of a shard.

    in_flight: sum of the deltas of each batch in flight, by number; None for one whose content is gone.
    pending: sum of the delta keys.
    missing: members with a delta, but without an entry among the pending.
    no_numbers: members whose delta is not a whole number of 64 bits.
    is_still: nothing changed while it was read. is_steady: nothing did but likes that were added.
    """

    standing: Standing
    in_flight: dict[int, int | None]
    pending: int
    missing: tuple[Member, ...]
    no_numbers: tuple[Member, ...]
    is_still: bool
    is_steady: bool


EMPTY = Inventory(Standing(0, "", ""), {}, 0, (), (), is_still=True, is_steady=True)


def current_epoch(buffer: Buffer, shard: int) -> str:
    """The epoch Redis points at, "" for none."""
    pointer = shard_keys(buffer.namespace, shard).pointer
    (epoch,) = ask(buffer.link, [command("GET", pointer, shard=shard)])
    return read_word(pointer, epoch)


def differ_in_number(one: str, other: str) -> bool:
    """True if two epochs say that likes are held in different numbers of shards."""
    numbers = number_of_shards(one), number_of_shards(other)
    return None not in numbers and numbers[0] != numbers[1]


def find_deltas(buffer: Buffer, shard: int, epoch: str) -> list[Member]:
    """The members that have a delta key; found by going through all keys, so it takes a while."""
    keys_of = epoch_keys(buffer.namespace, shard, epoch)
    prefix = keys_of.deltas  # no character in it means anything in a pattern
    members: set[Member] = set()
    cursor = b"0"
    while True:
        scan = command("SCAN", cursor, "MATCH", prefix + b"*", "COUNT", SCAN_CHUNK, shard=shard, at=keys_of.owner)
        ((cursor, keys),) = ask(buffer.link, [scan])
        members.update(Member(key.removeprefix(prefix)) for key in keys)
        if cursor == b"0":
            return sorted(members)


def put_among_pending(buffer: Buffer, shard: int, epoch: str, members: Sequence[Member]) -> int:
    """Push those members that have a delta to the pending ones again, so that a flush finds them; returns how many."""
    keys, now = epoch_keys(buffer.namespace, shard, epoch), time.time_ns() // 1_000_000
    return sum(sum(ask(buffer.link, [repair(keys, now=now, members=chunk)])) for chunk in _chunks(members))


def take_stock(buffer: Buffer, shard: int, epoch: str, found: Sequence[Member]) -> Inventory:
    """Read all that lies under the epoch; `found` are members that were seen to have a delta key before."""
    link, keys = buffer.link, epoch_keys(buffer.namespace, shard, epoch)
    standing = _standing(link, keys)
    in_flight = {batch.seq: delta_of(buffer, batch) for batch in standing.in_flight}
    # The deltas first and the entries after them: unless a batch was handed off in between, each has one by then.
    deltas = _read_deltas(link, keys, found)
    entries = read_entries(buffer, shard, epoch)
    missing = tuple(deltas.keys() - entries)
    deltas |= _read_deltas(link, keys, sorted(entries - deltas.keys()))
    numbers = {member: _number(text) for member, text in deltas.items()}
    later = _standing(link, keys)
    is_current = standing.current == epoch
    return Inventory(
        standing,
        in_flight,
        pending=sum(number or 0 for number in numbers.values()),
        missing=missing,
        no_numbers=tuple(member for member, number in numbers.items() if number is None),
        is_still=is_current and later == standing,
        is_steady=is_current and _but_for_likes(later) == _but_for_likes(standing),
    )


def read_standing_of(buffer: Buffer, shard: int, epoch: str) -> Standing:
    """Where a shard stands under an epoch now."""
    return _standing(buffer.link, epoch_keys(buffer.namespace, shard, epoch))


def _standing(link: Link, keys: EpochKeys) -> Standing:
    pointer, *standing = ask(link, [command("GET", keys.pointer, shard=keys.shard), *reads(keys)])
    return read_standing(keys, read_word(keys.pointer, pointer), *standing)


def _but_for_likes(standing: Standing) -> Standing:
    """What no like changes."""
    return replace(standing, accepted=0, pending=0, pending_since=None)


def delta_of(buffer: Buffer, batch_id: BatchId) -> int | None:
    """The sum of a batch in flight, None if it is gone. Raises Damaged, LaterBatch."""
    batch = read_in_flight(buffer, batch_id)
    return batch.delta if batch else None


def read_in_flight(buffer: Buffer, batch_id: BatchId) -> Batch | None:
    """A batch in flight, only to look at it, whosever it is; None if it is gone. Raises Damaged, LaterBatch."""
    keys = epoch_keys(buffer.namespace, batch_id.shard, batch_id.epoch)
    (payload,) = ask(buffer.link, [command("GET", keys.batch(batch_id.seq), shard=batch_id.shard)])
    batch = read_batch(keys.batch(batch_id.seq), payload) if payload else None
    return batch if batch and batch.id == batch_id else None


def _read_deltas(link: Link, keys: EpochKeys, members: Sequence[Member]) -> dict[Member, bytes]:
    deltas: dict[Member, bytes] = {}
    for chunk in _chunks(members):
        (texts,) = ask(link, [command("MGET", *keys.of(chunk), shard=keys.shard)])
        deltas |= {member: text for member, text in zip(chunk, texts, strict=True) if text is not None}
    return deltas


def read_entries(buffer: Buffer, shard: int, epoch: str) -> set[Member]:
    """All members that have an entry among the pending."""
    link, pending = buffer.link, epoch_keys(buffer.namespace, shard, epoch).pending
    entries: set[Member] = set()
    start = 0
    while chunk := ask(link, [command("LRANGE", pending, start, start + SCAN_CHUNK - 1, shard=shard)])[0]:
        entries.update(chunk)
        start += len(chunk)
    return entries


def _chunks(members: Sequence[Member]) -> Iterator[list[Member]]:
    rest = iter(members)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _number(text: bytes) -> int | None:
    try:
        return whole(text)
    except ValueError:
        return None
