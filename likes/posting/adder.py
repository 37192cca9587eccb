"""Adding deltas exactly once over a connection that loses replies.

A producer numbers its calls. A call that was not answered is sent again under the same producer, sequence and epoch:
Redis remembers the last sequence of each producer and does nothing the second time. If another epoch is current by
then, Redis was replaced, and nobody can tell whether the first send counted: the outcome is unknown, and said to be so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.keys import EpochKeys, epoch_keys, fresh_epoch, shard_keys
from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import Added, add, begin_epoch
from likes.errors import LikesError, RedisUnavailable
from likes.member import Entry
from likes.posting.blame import blame
from likes.posting.part import Part
from likes.posting.producer import Producer
from likes.posting.steps import Pause, Send, Steps

ENTRIES_A_CALL = 250  # keeps the time one script holds Redis at about a millisecond
UNSENT_PATIENCE_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.5

# Counts the time a machine is suspended, which the monotonic clock of Linux does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_now() -> float:
    """Seconds on a clock that never goes back."""
    return time.clock_gettime(_CLOCK)


class Adder:
    """Adds entries to the shards of one Redis. `patience`: for how many seconds an unanswered call is sent again."""

    def __init__(self, namespace: str, patience: float) -> None:
        self.namespace = namespace
        self.patience = patience
        self._epochs: dict[int, str] = {}

    def add(
        self, producer: Producer, entries: Mapping[int, Sequence[Entry]], *, wants_pending: bool
    ) -> Steps[list[Part]]:
        """Add the entries of each shard; returns a Part for each call, which says what became of it."""
        chunks = [
            [Part(shard, producer.number(), some[i : i + ENTRIES_A_CALL]) for i in range(0, len(some), ENTRIES_A_CALL)]
            for shard, some in entries.items()
        ]
        parts: list[Part] = []
        for side_by_side in zip_longest(*chunks):  # one unanswered call a shard
            together = [part for part in side_by_side if part is not None]
            away = next((part.error for part in parts if isinstance(part.error, RedisUnavailable)), None)
            if away and not all(part.added for part in parts):  # the next ones would wait as long again
                for part in together:
                    part.error = away
            else:
                yield from self._settle(producer, together, wants_pending)
            parts += together
        return parts

    def _settle(self, producer: Producer, parts: list[Part], wants_pending: bool) -> Steps[None]:
        began, pause = seconds_now(), FIRST_PAUSE_SECONDS
        while parts:
            yield from self._learn_epochs(parts, began)
            sent_at = seconds_now()
            parts = [part for part in parts if not part.is_too_old(sent_at)]
            if ready := [part for part in parts if part.epoch]:
                replies = yield Send([self._call(producer, part, wants_pending) for part in ready])
                replies = yield from blame(replies, lambda i: self._keys(ready[i]))
                for part, reply in zip(ready, replies, strict=True):
                    part.hear(reply, sent_at)
                    self._epochs[part.shard] = part.epoch
            parts = [part for part in parts if not part.settled]
            if any(part.error for part in parts):
                if self._out_of_patience(parts, seconds_now() - began):
                    return
                yield Pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _out_of_patience(self, parts: Sequence[Part], waited: float) -> bool:
        may_be_counted = any(part.unknown for part in parts)
        return waited > (self.patience if may_be_counted else min(self.patience, UNSENT_PATIENCE_SECONDS))

    def _call(self, producer: Producer, part: Part, wants_pending: bool) -> Call[Added]:
        return add(
            self._keys(part),
            producer=producer.id,
            sequence=part.sequence,
            entries=part.entries,
            wants_pending=wants_pending,
        )

    def _keys(self, part: Part) -> EpochKeys:
        return epoch_keys(self.namespace, part.shard, part.epoch)

    def _learn_epochs(self, parts: Sequence[Part], began: float) -> Steps[None]:
        """Give each part an epoch, beginning one where there is none yet; where that fails, the part hears of it."""
        for part in parts:
            part.epoch = part.epoch or self._epochs.get(part.shard, "")
        lacking = [part for part in parts if not part.epoch]
        if lacking:
            keys = [shard_keys(self.namespace, part.shard) for part in lacking]
            replies: list[Any] = yield Send([begin_epoch(each, old="", fresh=fresh_epoch()) for each in keys])
            replies = yield from blame(replies, keys.__getitem__)
            for part, reply in zip(lacking, replies, strict=True):
                if isinstance(reply, LikesError):
                    part.hear(NotSent(str(reply)) if isinstance(reply, Unanswered) else reply, began)
                else:
                    part.epoch = reply
