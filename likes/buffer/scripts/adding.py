"""Posting: deltas are added once for each producer and sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgpack

from likes.buffer.calls import Call, Script, Word
from likes.buffer.damage import read_delta, read_word
from likes.buffer.keys import EpochKeys
from likes.member import Entry

ADD = Script("add")
NONE_REFUSED: Mapping[int, str] = {}


class Added(NamedTuple):
    """What became of an add; unless `done` it did nothing, as another `epoch` is current, or none ("").

    refused: index of the entry -> reason. pending: the pending delta of each entry after it, if wanted.
    """

    epoch: str
    done: bool
    refused: Mapping[int, str]
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
    names = [keys.pointer, keys.state, keys.pending, keys.producers, keys.resharding]
    names += keys.of(member for member, _ in entries)
    texts = [str(delta) for _, delta in entries]
    deltas = texts[0] if len(texts) == 1 else msgpack.packb(texts)
    known: tuple[Word, Word] = acknowledged or ("", "")
    wanted, resent = "1" if wants_pending else "", "1" if sent_before else ""
    arguments = (keys.epoch, producer, sequence, deltas, wanted, *known, resent)
    return ADD.call(keys.shard, names, arguments, partial(read_added, keys))


def read_added(keys: EpochKeys, reply: Any) -> Added:
    """What became of an add, by its reply."""
    if isinstance(reply, int):
        return Added(keys.epoch, True, NONE_REFUSED, (reply,))
    if isinstance(reply, bytes):
        pending = msgpack.unpackb(reply) if reply else ()
        return Added(keys.epoch, True, NONE_REFUSED, tuple(map(int, pending)))
    if len(reply) == 1:
        return Added(read_word(keys.pointer, reply[0]), False, {}, ())
    refused = {int(i) - 1: reason.decode() for i, reason in zip(reply[1][::2], reply[1][1::2], strict=True)}
    pending = tuple(map(read_delta, reply[2])) if len(reply) > 2 else ()
    return Added(reply[0].decode(), True, refused, pending)
