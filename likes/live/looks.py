"""Looks at what Redis holds of some shards at one moment, and at what is in the batches in flight then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from likes.buffer.calls import Call
from likes.buffer.keys import epoch_keys, number_of_shards, shard_keys
from likes.buffer.scripts import Caching, Fill, Look, add_to_stats, begin_epoch, look
from likes.deadline import Deadline
from likes.errors import LikesError, another_number
from likes.live.asking import ask
from likes.live.caching import CacheCounts
from likes.live.in_flight import SeenBatches
from likes.live.read import TRIES, Read
from likes.member import Member
from likes.posting.steps import Steps

EPOCHS_LEARNED = 5  # of a shard in one look; they change when Redis is emptied or replaced

Members = Mapping[int, Collection[Member]]


class Seen(NamedTuple):
    """What one look saw of a shard, and what is in the batches in flight, by their number. is_whole: none was gone."""

    now: Look
    in_flight: Mapping[int, Mapping[Member, int]]
    is_whole: bool


class Looks:
    """Looks at one Redis; knows the epochs it met, and the batches. For any number of threads and event loops.

    counts: told to Redis on the way.
    """

    def __init__(self, namespace: str, shards: int, counts: CacheCounts) -> None:
        self._namespace = namespace
        self._shards = shards
        self._counts = counts
        self._epochs: dict[int, str] = {}
        self._batches = SeenBatches()

    def known(self, shard: int) -> str | None:
        """The epoch of a shard as it was seen last, "" where there was none; None if it was not looked at."""
        return self._epochs.get(shard)

    def see(
        self,
        read: Read,
        members: Members,
        deadline: Deadline,
        caching: Caching | None,
        fill: Callable[[int, str], Fill | None] = lambda _shard, _epoch: None,
    ) -> Steps[dict[int, Seen]]:
        """Look, and fetch what is in flight; a shard is left out that has an error, or a batch that is gone by then."""
        looks = yield from self.look(members, deadline, caching, fill)
        flying = [batch for now in looks.values() if isinstance(now, Look) for batch in now.in_flight]
        batches = yield from self._batches.fetch(self._namespace, flying, deadline)
        seen: dict[int, Seen] = {}
        for shard, now in looks.items():
            contents = [] if isinstance(now, LikesError) else [batches[batch] for batch in now.in_flight]
            error = next((each for each in [now, *contents] if isinstance(each, LikesError)), None)
            if error is not None:
                read.failed(shard, error)
            elif isinstance(now, Look) and (None not in contents or read.looks_in_vain(shard) > TRIES):
                deltas = {batch.seq: each for batch, each in zip(now.in_flight, contents, strict=True)}
                here = {seq: each for seq, each in deltas.items() if isinstance(each, Mapping)}
                seen[shard] = Seen(now, here, is_whole=len(here) == len(deltas))
        return seen

    def look(
        self,
        members: Members,
        deadline: Deadline,
        caching: Caching | None = None,
        fill: Callable[[int, str], Fill | None] = lambda _shard, _epoch: None,
    ) -> Steps[dict[int, Look | LikesError]]:
        """What Redis holds of each shard now, under the epoch that is current.

        A shard without an epoch is nothing to go by: shard 0 tells whether likes are held in another number of shards.
        """
        found: dict[int, Look | LikesError] = {}
        for _ in range(EPOCHS_LEARNED):
            left = [shard for shard in members if shard not in found]
            keys = [epoch_keys(self._namespace, shard, self._epochs.get(shard, "")) for shard in left]
            calls = [
                look(each, [*members[each.shard]], caching if each.epoch else None, fill(each.shard, each.epoch))
                for each in keys
            ]
            roots = [shard_keys(self._namespace, 0)] if any(not each.epoch for each in keys) else []
            asked: list[Call[Any]] = [*calls, *(begin_epoch(root, old="", fresh="") for root in roots), *self._stats()]
            replies = yield from ask(asked, deadline, [*keys, *roots])
            root = replies[-1] if roots else ""
            for shard, now in zip(left, replies, strict=False):
                if isinstance(now, Look) and (wrong := self._wrong(now.current or root)):
                    found[shard] = wrong
                    continue
                if isinstance(now, Look):
                    self._epochs[shard] = now.current
                if isinstance(now, LikesError) or now.is_known:
                    found[shard] = now
            if len(found) == len(members):
                return found
        changing = LikesError("the live total could not be read: Redis is replaced again and again")
        return {shard: found.get(shard, changing) for shard in members}

    def _wrong(self, epoch: str | LikesError) -> LikesError | None:
        """Why nothing can be read: it is an epoch of another number of shards, or was not to be had."""
        if isinstance(epoch, LikesError):
            return epoch
        number = number_of_shards(epoch)
        return None if number in (None, self._shards) else another_number(number, self._shards)

    def _stats(self) -> list[Call[int]]:
        return add_to_stats(self._namespace, self._counts.due())
