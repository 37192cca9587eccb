"""What is pending and in flight, read at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from likes.buffer.calls import Call, Script
from likes.buffer.damage import read_delta, read_word
from likes.buffer.keys import EpochKeys
from likes.buffer.standing import FIELDS, Standing, read_standing
from likes.member import Member

LIVE = Script("live")
TALLY = Script("tally")


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
    return Live(read_standing(keys, read_word(keys.pointer, current), *standing), tuple(map(read_delta, deltas)))


def tally(keys: EpochKeys, members: Sequence[Member]) -> Call[tuple[Standing, tuple[int, ...]] | None]:
    """The standing and the pending deltas, if just these `members` are pending; else None."""
    names = [keys.pointer, keys.state, keys.pending, keys.in_flight, *keys.of(members)]
    return TALLY.call(keys.shard, names, FIELDS, partial(_read_tally, keys))


def _read_tally(keys: EpochKeys, reply: list[Any]) -> tuple[Standing, tuple[int, ...]] | None:
    if not reply:
        return None
    current, *standing, deltas = reply
    return read_standing(keys, read_word(keys.pointer, current), *standing), tuple(map(read_delta, deltas))
