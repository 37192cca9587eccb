"""What to do next, decided from what was read and nothing else: the rules of the flush, as pure functions.

A flush that is interrupted anywhere leaves a state from which these functions find the way on. `tests/property` checks
them against every interleaving it can think of; the reasoning stands in the package's docstring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum, auto
from typing import NamedTuple

from likes.batch import Batch, Place
from likes.buffer.standing import ShardView, Standing
from likes.sql.cursors import Cursor


class Do(Enum):
    """A step of a flush on one epoch of one shard."""

    SETTLE = auto()  # finish the batches in flight
    HAND_OFF = auto()  # seal and apply what is pending
    CATCH_UP = auto()  # move SQL, which went back, up to where Redis stands
    RETIRE = auto()  # give the epoch up in SQL
    BEGIN = auto()  # point Redis at a fresh epoch
    ADOPT = auto()  # make the epoch the current one in SQL
    DROP = auto()  # forget an empty epoch left behind


class Step(NamedTuple):
    """What to do, and with which epoch ("" for none)."""

    do: Do
    epoch: str


def next_step(
    cursor: Cursor,
    retired: Collection[str],
    view: ShardView,
    flushed: Collection[str] = (),
    later: Collection[str] = (),
) -> Step | None:
    """The next step of flushing one shard; None when nothing is left.

    flushed: epochs handed off already. later: those in which a batch is in flight that only a later version can read.
    They wait for it; and where the cursor's is one of them, nothing is done either that would give it up.
    """
    for epoch in _in_order(cursor, view):
        if epoch.epoch in later or (cursor.epoch in later and epoch.epoch not in retired):
            continue
        do = _step_for(epoch, cursor, retired, view, flushed)
        if do:
            return Step(do, epoch.epoch)
    if cursor.epoch and not view.current:
        return Step(Do.BEGIN, "")
    return None


def _in_order(cursor: Cursor, view: ShardView) -> Iterator[Standing]:
    """SQL's current epoch first, so that what can still be counted is; then the one pointed at; then the others."""
    first = [epoch for epoch in (cursor.epoch, view.current) if epoch and epoch in view.epochs]
    for name in dict.fromkeys([*first, *sorted(view.epochs)]):
        yield view.epochs[name]


def _step_for(
    epoch: Standing, cursor: Cursor, retired: Collection[str], view: ShardView, flushed: Collection[str]
) -> Do | None:
    has_pending = epoch.pending > 0 and epoch.epoch not in flushed
    if epoch.in_flight:
        return Do.SETTLE
    if epoch.epoch == cursor.epoch:
        if went_back(epoch, cursor):
            return Do.RETIRE
        if epoch.seq > cursor.seq:
            return Do.CATCH_UP
        return Do.HAND_OFF if has_pending else None
    if epoch.epoch in retired:
        if epoch.epoch == view.current:
            return Do.BEGIN
        return Do.HAND_OFF if has_pending else Do.DROP
    return Do.ADOPT if epoch.epoch == view.current else Do.RETIRE


def went_back(redis: Standing, cursor: Cursor) -> bool:
    """True if Redis forgot a batch that SQL has: its number is behind the cursor's, or level with another nonce."""
    return redis.seq < cursor.seq or (redis.seq == cursor.seq and redis.nonce != cursor.nonce)


class Verdict(Enum):
    """What a batch in flight is, seen from SQL."""

    NEXT = auto()  # the next on the chain: count it
    RECORDED = auto()  # counted or set aside before: acknowledge it
    ACKNOWLEDGED = auto()  # counted and acknowledged by another worker; its row is pruned, or SQL went back: let it go
    NOT_YET = auto()  # an older one of its epoch is in flight: that one first
    SQL_WENT_BACK = auto()  # batches before it are gone from SQL: incident, then count it
    SUSPECT = auto()  # not to be trusted: set it aside and retire its epoch
    ADOPT = auto()  # of an epoch SQL has never seen: adopt the epoch, then look again


def judge(
    batch: Batch, cursor: Cursor, *, recorded: bool, retired: bool, redis: Standing, remembers: Collection[Place]
) -> Verdict:
    """What `batch` is; everything given was read under the lock of the cursor, Redis last.

    remembers: of the places of the cursor and the batch, those that Redis sealed a batch at.
    """
    current = cursor.epoch == batch.id.epoch and not retired
    if current and batch.follows(cursor.place):
        return Verdict.NEXT
    if recorded:
        return Verdict.RECORDED
    if current and any(one.seq < batch.id.seq for one in redis.in_flight):
        return Verdict.NOT_YET
    listed = batch.id in redis.in_flight
    if current and batch.place in remembers and not listed:
        return Verdict.ACKNOWLEDGED
    if current and batch.id.seq > cursor.seq + 1 and listed and is_ancestor(cursor, remembers):
        return Verdict.SQL_WENT_BACK
    if current or retired or batch.id.epoch != redis.current:
        return Verdict.SUSPECT
    return Verdict.ADOPT


def is_ancestor(cursor: Cursor, remembers: Collection[Place]) -> bool:
    """True if the cursor stands on the branch that Redis went on with: on another one its likes may be here again."""
    return cursor.seq == 0 or cursor.place in remembers
