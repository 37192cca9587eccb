"""A shard's sums against what is pending: what was accepted and not sealed should be there, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.inventory import find_deltas, put_among_pending, read_entries, read_standing_of, take_stock
from likes.buffer.keys import epoch_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts import tally, write_off
from likes.buffer.standing import Standing
from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.errors import LikesError
from likes.member import Member

ENTRIES = 1000  # so many deltas one script reads in about half a millisecond
ATTEMPTS = 3  # likes come in between


class Tally(NamedTuple):
    """A shard at one moment. pending: the sum of the deltas."""

    standing: Standing
    pending: int

    @property
    def missing(self) -> int:
        """What was accepted, and is neither sealed nor pending; 0, too, where the sums cannot tell."""
        sums = self.standing.accepted, self.standing.sealed
        if not self.standing.has_sums or MIN_DELTA in sums or MAX_DELTA in sums:
            return 0
        return self.standing.accepted - self.standing.sealed - self.pending


def take_tally(buffer: Buffer, epochs: Mapping[int, str]) -> dict[int, Tally]:
    """The tally of each shard under its epoch. Left out are those with too much pending for one script, or with likes
    that come in too fast, and those where Redis answers with an error.
    """
    found: dict[int, Tally] = {}
    todo = [epoch_keys(buffer.namespace, shard, epoch) for shard, epoch in epochs.items()]
    for _ in range(ATTEMPTS):
        pending = buffer.link.send([command("LRANGE", each.pending, 0, ENTRIES, shard=each.shard) for each in todo])
        short = [(keys, some) for keys, some in zip(todo, pending, strict=True) if _is_short(some)]
        todo = []
        replies = buffer.link.send([tally(keys, members) for keys, members in short]) if short else []
        for (keys, members), reply in zip(short, replies, strict=True):
            if reply is None:
                todo.append(keys)
            elif not isinstance(reply, LikesError):
                standing, deltas = reply
                pending_delta = sum(dict(zip(members, deltas, strict=True)).values())
                found[keys.shard] = Tally(standing, pending_delta)
        if not todo:
            break
    return found


class Weighed(NamedTuple):
    """What is pending against what should be. missing: negative for what is too much; 0 if they may agree.

    is_sure: they were read at one moment, or nothing changed meanwhile.
    """

    missing: int
    is_sure: bool


def weigh(buffer: Buffer, shard: int, epoch: str) -> Weighed:
    """Compare the sums of a shard with all that is pending, however much it is. Where likes come in meanwhile, what was
    accepted before and after are the bounds of what may be pending.
    """
    if tallied := take_tally(buffer, {shard: epoch}).get(shard):
        return Weighed(tallied.missing, is_sure=True)
    weighed = Weighed(0, is_sure=False)
    for _ in range(ATTEMPTS):
        stock = take_stock(buffer, shard, epoch, ())
        before, after = stock.standing, read_standing_of(buffer, shard, epoch)
        if not (before.has_sums and after.has_sums):
            return Weighed(0, is_sure=False)
        least, most = sorted((before.accepted - before.sealed, after.accepted - after.sealed))
        missing = least - stock.pending if stock.pending < least else min(most - stock.pending, 0)
        weighed = Weighed(missing, stock.is_still)
        if stock.is_still or not missing:
            break
    return weighed


def _is_short(entries: list[Member] | LikesError) -> bool:
    return not isinstance(entries, LikesError) and len(entries) <= ENTRIES


def put_back_deltas(buffer: Buffer, shard: int, epoch: str) -> int:
    """Push deltas that have no entry among the pending ones there; returns how many. It goes through all keys."""
    deltas = find_deltas(buffer, shard, epoch)
    without = set(deltas) - read_entries(buffer, shard, epoch)
    return put_among_pending(buffer, shard, epoch, sorted(without))


def count_as_sealed(buffer: Buffer, shard: int, epoch: str, *, before: int, now: int) -> None:
    """Let the sums say that `now` is written off in all, if it was `before`; harmless when repeated."""
    keys, owner = epoch_keys(buffer.namespace, shard, epoch), buffer.ownership.database
    ask(buffer.link, [write_off(keys, before=before, now=now, owner=owner)])
