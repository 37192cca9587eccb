"""The Lua scripts and how to call them: each function's signature is the contract of one `.lua` file.

Each builds a `Call`, a value that a link sends. So the same calls serve threads and asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import msgpack

from likes.batch import Batch, BatchId, Place
from likes.buffer.calls import Call, Script, Word
from likes.buffer.damage import damaged, read_word
from likes.buffer.keys import EpochKeys, ShardKeys
from likes.buffer.standing import FIELDS, Standing, read_standing
from likes.member import Entry, Member

ADD = Script("add")
HAND_OFF = Script("hand_off", alone=True)  # it holds Redis for about a millisecond, and nobody waits for a flush
ACKNOWLEDGE = Script("acknowledge")
BEGIN_EPOCH = Script("begin_epoch")
DROP_EPOCH = Script("drop_epoch")
CLAIM = Script("claim")
CONFIRM = Script("confirm")
FETCH = Script("fetch")
LEASE = Script("lease")
BEAT = Script("beat")
PRUNE_PRODUCERS = Script("prune_producers")
LIVE = Script("live")
REPAIR = Script("repair")
TALLY = Script("tally")
WRITE_OFF = Script("write_off")


class Added(NamedTuple):
    """What became of an add; unless `done` it did nothing, as another `epoch` is current, or none ("").

    refused: index of the entry -> reason. pending: the pending delta of each entry after it, if wanted.
    """

    epoch: str
    done: bool
    refused: dict[int, str]
    pending: tuple[int, ...]


class Acknowledged(NamedTuple):
    """The sequence of a producer that a shard acknowledged last, and how many milliseconds ago it was first sent."""

    sequence: int
    age: int


def add(
    keys: EpochKeys,
    *,
    producer: str,
    sequence: int,
    entries: Sequence[Entry],
    wants_pending: bool,
    acknowledged: Acknowledged | None = None,
    sent_before: bool = False,
) -> Call[Added]:
    """Add `entries` under the producer's sequence.

    acknowledged: what Redis must still know of the producer; if it does not, it has forgotten likes. What was not
    `sent_before` is added then, and the rest is not.
    """
    names = [keys.pointer, keys.state, keys.pending, keys.producers]
    names += keys.of(member for member, _ in entries)
    texts = [str(delta) for _, delta in entries]
    deltas = texts[0] if len(texts) == 1 else msgpack.packb(texts)
    known: tuple[Word, Word] = acknowledged or ("", "")
    wanted, resent = "1" if wants_pending else "", "1" if sent_before else ""
    arguments = (keys.epoch, producer, sequence, deltas, wanted, *known, resent)
    return ADD.call(keys.shard, names, arguments, partial(_read_added, keys))


def _read_added(keys: EpochKeys, reply: list[Any]) -> Added:
    if len(reply) == 1:
        return Added(read_word(keys.pointer, reply[0]), False, {}, ())
    refused = {int(i) - 1: reason.decode() for i, reason in zip(reply[1][::2], reply[1][1::2], strict=True)}
    pending = tuple(map(_whole, reply[2])) if len(reply) > 2 else ()
    return Added(reply[0].decode(), True, refused, pending)


class HandedOff(NamedTuple):
    """A batch just sealed, and the next head of what is pending, if it was asked for."""

    batch: Batch
    next_head: tuple[Member, ...]


def hand_off(
    keys: EpochKeys,
    *,
    after: Place,
    fresh_nonce: str,
    now: int,
    head: Sequence[Member],
    in_flight: int,
    next_head: int,
    pending_since: int | None,
    owner: str,
) -> Call[HandedOff | None]:
    """Seal the members at the head of pending as the next batch `after` the last one, while the shard belongs to the
    database `owner` and only the `in_flight` batches handed off before it in its row are in flight. None, with nothing
    done, if anything is not as it was read.
    """
    names = [keys.owner, keys.nonces, keys.state, keys.pending, keys.in_flight, keys.batch(after.seq + 1)]
    since = "" if pending_since is None else pending_since
    arguments = (keys.epoch, keys.shard, after.seq, after.nonce, fresh_nonce, now, in_flight, next_head, since, owner)
    names += keys.of(head)
    return HAND_OFF.call(keys.shard, names, arguments, _read_handed_off)


def _read_handed_off(reply: list[Any]) -> HandedOff | None:
    return HandedOff(Batch.unpack(reply[0]), tuple(msgpack.unpackb(reply[1], raw=True))) if reply else None


def acknowledge(keys: EpochKeys, batch: BatchId, owner: str) -> Call[bool]:
    """Drop `batch` if it is the oldest in flight, and the shard belongs to the database `owner`; True if it was."""
    names = (keys.owner, keys.state, keys.in_flight, keys.batch(batch.seq))
    return ACKNOWLEDGE.call(keys.shard, names, (owner, f"{batch.seq}:{batch.nonce}"), bool)


class Fetched(NamedTuple):
    """What stands at the key of a batch, "" for nothing, and the database its shard belongs to, "" for none."""

    owner: str
    payload: bytes


def fetch(keys: EpochKeys, seq: int) -> Call[Fetched]:
    """Read the batch number `seq`."""
    names = (keys.owner, keys.batch(seq))
    return FETCH.call(keys.shard, names, (), partial(_read_fetched, *names))


def _read_fetched(owner_key: bytes, batch_key: bytes, reply: list[bytes]) -> Fetched:
    owner, payload, is_another_type = reply
    if is_another_type:
        raise damaged(batch_key, "holds another type than ours")
    return Fetched(read_word(owner_key, owner), payload)


def claim(keys: ShardKeys, *, seen: str, database: str) -> Call[str]:
    """Let the shard belong to `database` if it still belongs to `seen` ("" for none); whose it is now."""
    return CLAIM.call(keys.shard, (keys.owner, keys.epochs), (seen, database), partial(read_word, keys.owner))


def begin_epoch(keys: ShardKeys, *, old: str, fresh: str, owner: str = "") -> Call[str]:
    """Point at `fresh` if `old` ("" for none) is current; the epoch that is current now. An old one is left only while
    the shard belongs to the database `owner`.
    """
    return BEGIN_EPOCH.call(
        keys.shard, (keys.pointer, keys.epochs, keys.owner), (old, fresh, owner), partial(read_word, keys.pointer)
    )


def drop_epoch(keys: EpochKeys, owner: str) -> Call[bool]:
    """Forget an epoch left behind; False if it is current, not yet empty, or its shard is not the `owner`'s."""
    names = (keys.pointer, keys.epochs, keys.owner, keys.pending, keys.in_flight)
    return DROP_EPOCH.call(keys.shard, (*names, keys.state, keys.nonces, keys.producers), (keys.epoch, owner), bool)


class Confirmed(NamedTuple):
    """Where a shard stands, and whose it is, "" for nobody's. remembers: those batches asked for that were sealed."""

    standing: Standing
    owner: str
    remembers: frozenset[Place]


def confirm(keys: EpochKeys, places: Sequence[Place] = ()) -> Call[Confirmed]:
    """Read where the shard stands, together with a write, which only a master accepts; and which of `places` are ends
    of batches that were sealed there.
    """
    names = (keys.pointer, keys.owner, keys.state, keys.pending, keys.in_flight, keys.nonces)
    asked = {f"{place.seq}:{place.nonce}": place for place in places}
    return CONFIRM.call(keys.shard, names, (len(FIELDS), *FIELDS, *asked), partial(_read_confirmed, keys, asked))


def _read_confirmed(keys: EpochKeys, asked: Mapping[str, Place], reply: list[Any]) -> Confirmed:
    current, owner, *standing, remembered = reply
    return Confirmed(
        read_standing(keys, read_word(keys.pointer, current), *standing),
        read_word(keys.owner, owner),
        frozenset(asked[text.decode()] for text in remembered),
    )


def lease(keys: ShardKeys, *, token: str, milliseconds: int) -> Call[bool]:
    """Take or keep the lease; 0 milliseconds gives it back. False if another worker holds it."""
    return LEASE.call(keys.shard, (keys.lease, keys.epochs), (token, milliseconds), bool)


def beat(keys: ShardKeys, *, worker: str, said: str, now: int, forget: int) -> Call[None]:
    """Keep what a worker says of itself ("": it ends); those silent for `forget` milliseconds are forgotten.

    now: milliseconds since 1970 by the worker's clock, for a Redis that does not tell its own.
    """
    return BEAT.call(keys.shard, (keys.workers,), (worker, said, now, forget), lambda _: None)


def prune_producers(keys: EpochKeys, seen: Mapping[bytes, bytes], owner: str) -> Call[int]:
    """Forget those producers of which still just that is remembered which was `seen`, if the shard belongs to the
    database `owner`; returns how many.
    """
    arguments: list[Word] = [owner, *chain.from_iterable(seen.items())]
    return PRUNE_PRODUCERS.call(keys.shard, (keys.producers, keys.owner), arguments, int)


class Live(NamedTuple):
    """What Redis has to add to SQL's totals at one moment: where the shard stands, and each member's pending delta.

    Nothing of it was read where the epoch asked for is not the one that is `standing.current`.
    """

    standing: Standing
    deltas: tuple[int, ...]

    @property
    def is_known(self) -> bool:
        """True if it was read."""
        return self.standing.epoch == self.standing.current


def live(keys: EpochKeys, members: Sequence[Member]) -> Call[Live]:
    """Read pending deltas and what is in flight, at one moment."""
    names = [keys.pointer, keys.state, keys.pending, keys.in_flight, *keys.of(members)]
    return LIVE.call(keys.shard, names, (keys.epoch, *FIELDS), partial(_read_live, keys))


def _read_live(keys: EpochKeys, reply: list[Any]) -> Live:
    if len(reply) == 1:
        return Live(Standing(keys.shard, keys.epoch, read_word(keys.pointer, reply[0])), ())
    current, *standing, deltas = reply
    return Live(read_standing(keys, read_word(keys.pointer, current), *standing), tuple(map(_whole, deltas)))


def _whole(text: bytes | int | None) -> int:
    """A pending delta; what is no number (no client of ours wrote it) counts as 0, and a flush sets it aside."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def repair(keys: EpochKeys, *, now: int, members: Sequence[Member]) -> Call[int]:
    """Push those of `members` that have a delta to pending again; returns how many."""
    return REPAIR.call(keys.shard, (keys.state, keys.pending, *keys.of(members)), (now,), int)


def tally(keys: EpochKeys, members: Sequence[Member]) -> Call[tuple[Standing, tuple[int, ...]] | None]:
    """The standing and the pending deltas, if just these `members` are pending; else None."""
    names = [keys.pointer, keys.state, keys.pending, keys.in_flight, *keys.of(members)]
    return TALLY.call(keys.shard, names, FIELDS, partial(_read_tally, keys))


def _read_tally(keys: EpochKeys, reply: list[Any]) -> tuple[Standing, tuple[int, ...]] | None:
    if not reply:
        return None
    current, *standing, deltas = reply
    return read_standing(keys, read_word(keys.pointer, current), *standing), tuple(map(_whole, deltas))


def write_off(keys: EpochKeys, *, before: int, now: int, owner: str) -> Call[bool]:
    """Count as sealed what was written off since `before`, `now` in all; False if that is no longer how it stands."""
    return WRITE_OFF.call(keys.shard, (keys.state, keys.owner), (before, now, now - before, owner), bool)
