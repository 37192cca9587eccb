"""What is pending, in flight and cached, read at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from likes.batch import BatchId
from likes.buffer.calls import Call, Script, Word, command
from likes.buffer.damage import read_delta, read_word
from likes.buffer.keys import EpochKeys, shard_keys
from likes.buffer.standing import FIELDS, Standing, read_id, read_seq, read_standing
from likes.member import Member

LOOK = Script("look")
TALLY = Script("tally")
RAISE_GENERATION = Script("raise_generation")

STATS = ("hits", "misses", "early_refreshes", "waits")  # of what readers found in the cache


class Caching(NamedTuple):
    """How a look uses the cache. Times are in milliseconds.

    database: whose totals they are. now: by this machine's clock, for a Redis that does not tell its own.
    jitter: 0 to 1, drawn for each look. A total is refreshed early that ends within gap + cost * factor.
    lease: how long a reader that asks SQL keeps others from asking, too; 0 for not at all.
    """

    database: str
    now: int
    time_to_live: int
    max_age: int
    jitter: float
    gap: int
    factor: float
    lease: int


class Fill(NamedTuple):
    """What SQL said: its total of each member, None for those it was not asked for; the number and the generation of
    the shard's cursor, of the same statement; and how many milliseconds that took.
    """

    totals: Sequence[int | None]
    cursor: int
    generation: int
    cost: int


class Cached(NamedTuple):
    """A cached total, with the number of the last batch in it. refresh: the reader is to ask SQL anew all the same."""

    total: int
    cursor: int
    refresh: bool


class Look(NamedTuple):
    """What Redis has to add to SQL's totals at one moment. Only `current` is known where it is not `epoch`.

    owner: the database the shard belongs to. cached: of each member its cached total, "missing" if the reader is to ask
    SQL, "awaited" if another one is just asking.
    """

    shard: int
    epoch: str
    current: str
    owner: str = ""
    seq: int = 0
    generation: int = 0
    in_flight: tuple[BatchId, ...] = ()
    deltas: tuple[int, ...] = ()
    cached: tuple[Cached | Literal["missing", "awaited"], ...] = ()

    @property
    def is_known(self) -> bool:
        """True if it was read."""
        return self.epoch == self.current

    @property
    def has_no_gap(self) -> bool:
        """True if what is in flight is a chain up to the batch sealed last."""
        return all(batch.seq == self.seq - i for i, batch in enumerate(reversed(self.in_flight)))

    def has_all_after(self, cursor: int) -> bool:
        """True if every batch past the cursor is in flight."""
        return cursor <= self.seq <= cursor + len(self.in_flight) and self.has_no_gap


def look(
    keys: EpochKeys, members: Sequence[Member], caching: Caching | None = None, fill: Fill | None = None
) -> Call[Look]:
    """Read what is pending, in flight and cached of `members`; what SQL said is cached on the way, if it holds."""
    names = [keys.pointer, keys.owner, keys.state, keys.in_flight, *keys.of(members)]
    arguments: list[Word] = [keys.epoch, len(members)]
    if caching is None:
        arguments.append("")
    else:
        names += [*keys.totals_of(members), *keys.fills_of(members)]
        arguments += [
            *(caching.database, caching.now, caching.time_to_live, caching.max_age, str(caching.jitter)),
            *(caching.gap, str(caching.factor), caching.lease),
        ]
        if fill is not None:
            arguments += [fill.cursor, fill.generation, fill.cost]
            arguments += ["" if total is None else total for total in fill.totals]
    return LOOK.call(keys.shard, names, arguments, partial(_read_look, keys, len(members)))


def _read_look(keys: EpochKeys, count: int, reply: list[Any]) -> Look:
    current = read_word(keys.pointer, reply[0])
    if len(reply) == 1:
        return Look(keys.shard, keys.epoch, current)
    _, owner, seq, generation, in_flight, deltas, cached = reply
    return Look(
        keys.shard,
        keys.epoch,
        current,
        read_word(keys.owner, owner),
        read_seq(keys, seq),
        int(generation) if generation.isdigit() else 0,
        tuple(read_id(keys, entry) for entry in in_flight),
        tuple(map(read_delta, deltas)),
        tuple(map(_read_cached, cached or [b""] * count)),
    )


def _read_cached(value: bytes) -> Cached | Literal["missing", "awaited"]:
    if not value:
        return "missing"
    if value == b"-":
        return "awaited"
    total, cursor, *_ = value.removeprefix(b"!").split(b" ", 2)
    return Cached(int(total), int(cursor), value.startswith(b"!"))


def add_to_stats(namespace: str, counts: Sequence[int]) -> list[Call[int]]:
    """The calls by which a process adds to what all readers found."""
    key = shard_keys(namespace, 0).cache
    return [command("HINCRBY", key, name, count, shard=0) for name, count in zip(STATS, counts, strict=False) if count]


def raise_generation(keys: EpochKeys, *, database: str, generation: int) -> Call[bool]:
    """Let no total cached before be used, if the shard belongs to the `database`; False if it does not."""
    names = (keys.pointer, keys.owner, keys.state)
    return RAISE_GENERATION.call(keys.shard, names, (keys.epoch, database, generation), bool)


def tally(keys: EpochKeys, members: Sequence[Member]) -> Call[tuple[Standing, tuple[int, ...]] | None]:
    """The standing and the pending deltas, if just these `members` are pending; else None."""
    names = [keys.pointer, keys.state, keys.pending, keys.in_flight, *keys.of(members)]
    return TALLY.call(keys.shard, names, FIELDS, partial(_read_tally, keys))


def _read_tally(keys: EpochKeys, reply: list[Any]) -> tuple[Standing, tuple[int, ...]] | None:
    if not reply:
        return None
    current, *standing, deltas = reply
    return read_standing(keys, read_word(keys.pointer, current), *standing), tuple(map(read_delta, deltas))
