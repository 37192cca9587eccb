"""What Redis really holds of a shard, key by key: the other side of an audit's comparisons.

A shard changes while it is read. So its state is read before and after: what the state says did not happen in between
cannot have falsified the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from likes.batch import Batch, whole
from likes.buffer.buffer import Buffer
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import command, read_id

CHUNK = 1000
SCAN_CHUNK = 5000


class State(NamedTuple):
    """Where a shard stands under an epoch; `acked` batches were acknowledged."""

    seq: int
    nonce: str
    acked: int
    accepted: int
    sealed: int
    in_flight: tuple[tuple[int, str], ...]


class Inventory(NamedTuple):
    """What lies under the current epoch of a shard.

    in_flight: sum of the deltas of each batch in flight, by number; None for one whose content is gone.
    pending: sum of the delta keys.
    missing: members with a delta, but without an entry among the pending.
    no_numbers: members whose delta is no number.
    is_still, is_steady: nothing at all was done meanwhile; only likes were added meanwhile.
    """

    epoch: str
    state: State
    in_flight: dict[int, int | None]
    pending: int
    missing: tuple[bytes, ...]
    no_numbers: tuple[bytes, ...]
    is_still: bool
    is_steady: bool


EMPTY = Inventory("", State(0, "", 0, 0, 0, ()), {}, 0, (), (), is_still=True, is_steady=True)


def current_epoch(buffer: Buffer, shard: int) -> str:
    """The epoch Redis points at, "" for none."""
    (epoch,) = ask(buffer.link, [command("GET", shard_keys(buffer.prefix, shard).epoch)])
    return (epoch or b"").decode()


def find_deltas(buffer: Buffer, shard: int, epoch: str) -> list[bytes]:
    """The members that have a delta key; found by going through all keys, so it takes a while."""
    prefix = epoch_keys(buffer.prefix, shard, epoch).deltas  # no character in it means anything in a pattern
    members: set[bytes] = set()
    cursor = b"0"
    while True:
        scan = command("SCAN", cursor, "MATCH", prefix + b"*", "COUNT", SCAN_CHUNK)
        ((cursor, keys),) = ask(buffer.link, [scan])
        members.update(key.removeprefix(prefix) for key in keys)
        if cursor == b"0":
            return sorted(members)


def take_stock(buffer: Buffer, shard: int, epoch: str, found: Sequence[bytes]) -> Inventory:
    """Read all that lies under the epoch; `found` are members that were seen to have a delta key before."""
    link, keys = buffer.link, epoch_keys(buffer.prefix, shard, epoch)
    state = _state(link, keys)
    in_flight = {seq: _delta_of(link, keys, seq, nonce) for seq, nonce in state.in_flight}
    # The deltas first and the entries after them: unless a batch was handed off in between, each has one by then.
    deltas = _read_deltas(link, keys, found)
    entries = _read_entries(link, keys)
    missing = tuple(deltas.keys() - entries)
    deltas |= _read_deltas(link, keys, sorted(entries - deltas.keys()))
    numbers = {member: _number(text) for member, text in deltas.items()}
    later = _state(link, keys)
    same_epoch = current_epoch(buffer, shard) == epoch
    return Inventory(
        epoch,
        state,
        in_flight,
        pending=sum(number or 0 for number in numbers.values()),
        missing=missing,
        no_numbers=tuple(member for member, number in numbers.items() if number is None),
        is_still=same_epoch and later == state,
        is_steady=same_epoch and later._replace(accepted=state.accepted) == state,
    )


def _state(link: Link, keys: EpochKeys) -> State:
    fields = command("HMGET", keys.state, "seq", "nonce", "acked", "accepted", "sealed")
    values, in_flight = ask(link, [fields, command("LRANGE", keys.in_flight, 0, -1)])
    seq, nonce, acked, accepted, sealed = values
    ids = tuple(read_id(text) for text in in_flight)
    return State(int(seq or 0), (nonce or b"").decode(), int(acked or 0), int(accepted or 0), int(sealed or 0), ids)


def _delta_of(link: Link, keys: EpochKeys, seq: int, nonce: str) -> int | None:
    (payload,) = ask(link, [command("GET", keys.batch(seq))])
    batch = Batch.unpack(payload) if payload else None
    return batch.delta if batch and batch.id.nonce == nonce else None


def _read_deltas(link: Link, keys: EpochKeys, members: Sequence[bytes]) -> dict[bytes, bytes]:
    deltas: dict[bytes, bytes] = {}
    for chunk in _chunks(members):
        (texts,) = ask(link, [command("MGET", *(keys.delta(member) for member in chunk))])
        deltas |= {member: text for member, text in zip(chunk, texts, strict=True) if text is not None}
    return deltas


def _read_entries(link: Link, keys: EpochKeys) -> set[bytes]:
    entries: set[bytes] = set()
    start = 0
    while chunk := ask(link, [command("LRANGE", keys.pending, start, start + SCAN_CHUNK - 1)])[0]:
        entries.update(chunk)
        start += len(chunk)
    return entries


def _chunks(members: Sequence[bytes]) -> Iterator[list[bytes]]:
    rest = iter(members)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _number(text: bytes) -> int | None:
    try:
        return whole(text)
    except ValueError:
        return None
