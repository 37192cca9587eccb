"""Which epoch of a shard is current, whose it is, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from likes.batch import Place
from likes.buffer.calls import Call, Script
from likes.buffer.damage import read_word
from likes.buffer.keys import EpochKeys, ShardKeys
from likes.buffer.standing import FIELDS, Standing, read_standing

BEGIN_EPOCH = Script("begin_epoch")
DROP_EPOCH = Script("drop_epoch")
CLAIM = Script("claim")
CONFIRM = Script("confirm")


def claim(keys: ShardKeys, *, seen: str, database: str) -> Call[str]:
    """Let the shard belong to `database` if it still belongs to `seen` ("" for none); whose it is now."""
    return CLAIM.call(keys.shard, (keys.owner, keys.epochs), (seen, database), partial(read_word, keys.owner))


def begin_epoch(keys: ShardKeys, *, old: str, fresh: str, owner: str = "") -> Call[str]:
    """Point at `fresh` ("" for none: just ask) if `old` ("" for none) is current; the epoch that is current now. An old
    one is left only while the shard belongs to the database `owner`.
    """
    return BEGIN_EPOCH.call(
        keys.shard,
        (keys.pointer, keys.epochs, keys.owner, keys.resharding),
        (old, fresh, owner),
        partial(read_word, keys.pointer),
    )


def drop_epoch(keys: EpochKeys, owner: str) -> Call[bool]:
    """Forget an epoch left behind; False if it is current, not yet empty, or its shard is not the `owner`'s."""
    names: tuple[bytes, ...] = (keys.pointer, keys.epochs, keys.owner, keys.pending, keys.in_flight)
    names += (keys.state, keys.nonces, keys.producers, keys.once)
    return DROP_EPOCH.call(keys.shard, names, (keys.epoch, owner), bool)


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
