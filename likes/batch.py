"""The values that travel from Redis to SQL: a batch, its id and its entries. Pure: no server is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgpack

from likes.errors import InvalidInput
from likes.items import check_counter, check_item

FORMAT = 1
MIN_DELTA, MAX_DELTA = -(2**63), 2**63 - 1


class BatchId(NamedTuple):
    """Which batch: a number alone may be given twice after Redis went back, its nonce may not."""

    epoch: str
    seq: int
    nonce: str


class Delta(NamedTuple):
    """A change of one total, checked and ready for SQL."""

    counter: str
    item: str
    delta: int


class Misfit(NamedTuple):
    """An entry that is no delta: another type at its key, no number, a name no client of ours would write."""

    counter: str
    item: str
    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """An immutable, numbered set of deltas of one shard, as sealed in Redis by the hand-off."""

    shard: int
    id: BatchId
    previous: str  # nonce of the batch before it, "" for the first
    sealed_at: datetime
    deltas: tuple[Delta, ...]  # sorted by (counter, item) bytes
    misfits: tuple[Misfit, ...]
    payload: bytes

    @property
    def delta(self) -> int:
        """The sum of its deltas."""
        return sum(delta.delta for delta in self.deltas)

    @classmethod
    def unpack(cls, payload: bytes) -> Batch:
        """Read a sealed batch; raise ValueError for one of a later format."""
        version, epoch, shard, seq, nonce, previous, sealed_at, entries = msgpack.unpackb(payload, raw=True)
        if version != FORMAT:
            raise ValueError(f"batch {seq} of shard {shard} has format {version}; this version reads {FORMAT}")
        deltas, misfits = _sort_out(entries)
        return cls(
            shard=int(shard),
            id=BatchId(epoch.decode(), int(seq), nonce.decode()),
            previous=previous.decode(),
            sealed_at=from_milliseconds(int(sealed_at)),
            deltas=deltas,
            misfits=misfits,
            payload=payload,
        )


def _sort_out(entries: list[list[bytes]]) -> tuple[tuple[Delta, ...], tuple[Misfit, ...]]:
    deltas: list[Delta] = []
    misfits: list[Misfit] = []
    for member, text, *reason in sorted(entries):
        counter, _, item = member.partition(b":")
        try:
            if reason:
                raise ValueError(reason[0].decode())
            deltas.append(Delta(check_counter(counter.decode()), check_item(item.decode()), whole(text)))
        except (ValueError, InvalidInput) as error:
            misfits.append(Misfit(printable(counter, 64), printable(item, 255), text, str(error)))
    return tuple(deltas), tuple(misfits)


def whole(text: bytes) -> int:
    """The signed 64-bit number written as `text`, as INCRBY writes it."""
    number = int(text)
    if not MIN_DELTA <= number <= MAX_DELTA or str(number).encode() != text:
        raise ValueError(f"not a 64-bit whole number: {printable(text, 40)}")
    return number


def printable(raw: bytes, width: int) -> str:
    """`raw` as text that any database stores: what is not ASCII print is escaped, what is too long is cut."""
    try:
        text = check_item(raw.decode())
    except (ValueError, InvalidInput):
        text = raw.decode("ascii", "backslashreplace").encode("unicode_escape").decode()
    while len(text.encode()) > width:
        text = text[: width // 4]
    return text


def from_milliseconds(ms: int) -> datetime:
    """A moment in UTC, from milliseconds since 1970 as Redis keeps them."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, as Redis keeps them."""
    return int(moment.timestamp() * 1000)
