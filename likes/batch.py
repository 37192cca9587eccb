"""A batch as it was sealed in Redis, read entry by entry. Pure: no server is touched here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from zlib import crc32

import msgpack

from likes.deltas import MAX_DELTA, MIN_DELTA, Delta, Deltas
from likes.errors import InvalidInput
from likes.items import COUNTER, MAX_ITEM_BYTES, check_counter, check_item
from likes.member import Member, split, split_all

FORMAT = 1
_NUMBERS = re.compile(rb"-?[1-9][0-9]{0,17}(\n-?[1-9][0-9]{0,17})*")  # 18 digits are within 64 bits


class Place(NamedTuple):
    """A place on a shard's chain: just behind the batch with this number and nonce; 0 and "" before its epoch's first.

    An epoch of None is nowhere: no batch follows it.
    """

    epoch: str | None
    seq: int
    nonce: str


class BatchId(NamedTuple):
    """Which batch. After Redis went back its number may be given again; its nonce never is."""

    shard: int
    epoch: str
    seq: int
    nonce: str

    @property
    def place(self) -> Place:
        """Where the cursor of its shard stands once it is counted."""
        return Place(self.epoch, self.seq, self.nonce)


class LaterFormat(ValueError):
    """A batch was sealed by a later version, in a format that this one does not know."""


class Misfit(NamedTuple):
    """An entry that is no delta: another type at its key, no number, a name no client of ours would write."""

    counter: str
    item: str
    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """An immutable, numbered set of deltas of one shard, as sealed in Redis by the hand-off."""

    id: BatchId
    previous: str  # nonce of the batch before it, "" for the first
    sealed_at: datetime
    deltas: Deltas
    misfits: tuple[Misfit, ...]
    delta: int  # the sum of its deltas
    payload: bytes

    @property
    def before(self) -> Place:
        """The place on its shard's chain that it was sealed on top of."""
        return Place(self.id.epoch, self.id.seq - 1, self.previous)

    @property
    def place(self) -> Place:
        """The place just behind it."""
        return Place(self.id.epoch, self.id.seq, self.id.nonce)

    def follows(self, place: Place) -> bool:
        """True if it is the next one at `place`. Only a batch that follows its shard's cursor is ever counted."""
        return place == self.before

    @classmethod
    def unpack(cls, payload: bytes) -> Batch:
        """Read a sealed batch; raise LaterFormat for one of a later format, ValueError for what is no batch.

        Of any format it is a msgpack array that begins with the number of its format; only that says what follows.
        """
        try:
            return cls._unpack(payload)
        except (TypeError, AttributeError, OverflowError, OSError) as error:  # other parts, or of other types
            raise ValueError(str(error)) from None

    @classmethod
    def _unpack(cls, payload: bytes) -> Batch:
        number, *sealed = msgpack.unpackb(payload, raw=True)
        if isinstance(number, int) and number > FORMAT:
            raise LaterFormat(f"its format is {number}, this version reads {FORMAT}")
        if number != FORMAT:
            raise ValueError(f"there is no format {number!r}")
        epoch, shard, seq, nonce, previous, sealed_at, *entries = sealed
        deltas, misfits = _sort_out(*entries)
        return cls(
            id=BatchId(int(shard), epoch.decode(), int(seq), nonce.decode()),
            previous=previous.decode(),
            sealed_at=from_milliseconds(int(sealed_at)),
            deltas=deltas,
            misfits=misfits,
            delta=sum(deltas.numbers),
            payload=payload,
        )


def members_in(batch: Batch) -> list[Member]:
    """The members of its deltas, in their order."""
    deltas = batch.deltas
    return [Member(f"{counter}:{item}".encode()) for counter, item in zip(deltas.counters, deltas.items, strict=True)]


def _sort_out(
    members: list[bytes], texts: list[bytes], odd: list[tuple[int, bytes]]
) -> tuple[Deltas, tuple[Misfit, ...]]:
    """The deltas and the misfits among the entries; `odd`: index and reason of those known to be misfits."""
    if not odd and (deltas := _all_deltas(members, texts)):
        return deltas, ()
    reasons = {index: reason.decode() for index, reason in odd}
    return _one_by_one([(*entry, reasons.get(i)) for i, entry in enumerate(zip(members, texts, strict=True))])


def _all_deltas(members: list[bytes], texts: list[bytes]) -> Deltas | None:
    """The deltas, checked together, if all entries are in order and of one counter, as nearly always; else None."""
    if not members or max(map(len, members)) > MAX_ITEM_BYTES:
        return None
    numbers = b"\n".join(texts)
    if numbers.count(b"\n") != len(texts) - 1 or not _NUMBERS.fullmatch(numbers):
        return None
    counter, items = split_all(members) or ("", [])
    if not COUNTER.fullmatch(counter) or not all(items) or not "".join(items).isprintable():
        return None
    return Deltas([counter] * len(items), items, list(map(int, texts)))


def _one_by_one(entries: list[tuple[bytes, bytes, str | None]]) -> tuple[Deltas, tuple[Misfit, ...]]:
    deltas: list[Delta] = []
    misfits: list[Misfit] = []
    for member, text, reason in entries:
        counter, item = split(member)
        if reason:
            misfits.append(Misfit(printable(counter, 64), printable(item, 255), text, reason))
            continue
        try:
            deltas.append(Delta(check_counter(counter.decode()), check_item(item.decode()), whole(text)))
        except ValueError as error:
            misfits.append(Misfit(printable(counter, 64), printable(item, 255), text, str(error)))
    return Deltas.of(deltas) if deltas else Deltas(), tuple(misfits)


def whole(text: bytes) -> int:
    """The signed 64-bit number written as `text`, as INCRBY writes it; raise ValueError for any other text, as `+1`."""
    number = int(text)
    if not MIN_DELTA <= number <= MAX_DELTA or str(number).encode() != text:
        raise ValueError(f"not a 64-bit whole number: {printable(text, 40)}")
    return number


def printable(raw: bytes, width: int) -> str:
    """`raw` as text that any database stores, `width` bytes at most; if escaped or cut, a checksum ends it."""
    try:
        text = check_item(raw.decode())
    except (ValueError, InvalidInput):
        text = raw.decode("ascii", "backslashreplace").encode("unicode_escape").decode()
    if text.encode() == raw and len(raw) <= width:
        return text
    mark = f" #{crc32(raw):08x}"
    return text.encode()[: width - len(mark)].decode(errors="ignore") + mark


def from_milliseconds(ms: int) -> datetime:
    """A moment in UTC, from milliseconds since 1970 as Redis keeps them."""
    return datetime.fromtimestamp(ms / 1000, UTC)
