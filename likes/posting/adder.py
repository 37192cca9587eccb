"""Adding deltas exactly once over a connection that loses replies.

A producer numbers its calls. A call that was not answered is sent again under the same producer, sequence and epoch:
Redis remembers the last sequence of each producer and does nothing the second time. If another epoch is current by
then, Redis was replaced, and nobody can tell whether the first send counted: the outcome is unknown, and said to be so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.keys import EpochKeys, epoch_keys, fresh_epoch, number_of_shards, shard_keys
from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import add, begin_epoch
from likes.deadline import Deadline
from likes.errors import LikesError, RedisUnavailable, Resharding, another_number
from likes.member import Entry
from likes.posting.blame import blame
from likes.posting.part import Part
from likes.posting.producer import Producer
from likes.posting.steps import Pause, Send, Steps

ENTRIES_A_CALL = 250  # keeps the time one script holds Redis at about a millisecond
UNSENT_PATIENCE_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.5

Tell = Callable[[Sequence[Part]], None]

# Counts the time a machine is suspended, which the monotonic clock of Linux does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_now() -> float:
    """Seconds on a clock that never goes back."""
    return time.clock_gettime(_CLOCK)


class Adder:
    """Adds entries to the shards of one Redis, so many as its epochs must say."""

    def __init__(self, namespace: str, shards: int) -> None:
        self.namespace = namespace
        self.shards = shards
        self._epochs: dict[int, str] = {}

    def add(
        self,
        producer: Producer,
        entries: Mapping[int, Sequence[Entry]],
        *,
        wants_pending: bool,
        timeout: float,
        tell: Tell = lambda _settled: None,
    ) -> Steps[list[Part]]:
        """Add the entries of each shard; returns a Part for each call, which says what became of it.

        `timeout`: for how many seconds an answer is waited for, whatever was sent again meanwhile. `tell`: called with
        parts that are settled while others have to wait.
        """
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
                yield from self._settle(producer, together, wants_pending, timeout, tell)
            parts += together
        return parts

    def _settle(
        self,
        producer: Producer,
        parts: list[Part],
        wants_pending: bool,
        timeout: float,
        tell: Tell = lambda _settled: None,
    ) -> Steps[None]:
        heard_at, pause = seconds_now(), FIRST_PAUSE_SECONDS
        while parts:
            sent_at = seconds_now()
            left = timeout - (sent_at - heard_at)
            first = not any(part.error for part in parts)
            deadline = Deadline(left, first=first, renewed=len(parts) > 1, hurried=len(parts) > 1)
            yield from self._learn_epochs(parts, deadline)
            sent_at = seconds_now()
            parts = [part for part in parts if not part.is_too_old(sent_at)]
            if ready := [part for part in parts if part.epoch and not part.settled]:
                replies = yield Send([self._call(producer, part, wants_pending, sent_at) for part in ready], deadline)
                replies = yield from blame(replies, lambda i: self._keys(ready[i]), deadline)
                for part, reply in zip(ready, replies, strict=True):
                    part.hear(reply, sent_at)
                    if part.added:
                        self._acknowledged(producer, part, sent_at)
                    self._heed(part)
            settled = [part for part in parts if part.settled]
            if settled:
                heard_at = seconds_now()
            parts = [part for part in parts if not part.settled]
            if settled and parts:
                tell(settled)
            if any(part.error for part in parts):
                waited = seconds_now() - heard_at
                if waited > timeout or (not first and _are_not_worth_waiting(parts, waited, pause, timeout)):
                    return
                yield Pause(min(pause, max(timeout - waited, 0)))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _acknowledged(self, producer: Producer, part: Part, sent_at: float) -> None:
        producer.hear(part.shard, part.epoch, part.sequence, part.sent_at or sent_at)

    def _call(self, producer: Producer, part: Part, wants_pending: bool, now: float) -> Call[Any]:
        return add(
            self._keys(part),
            producer=producer.id,
            sequence=part.sequence,
            entries=part.entries,
            wants_pending=wants_pending,
            acknowledged=producer.acknowledged(part.shard, part.epoch, now),
            sent_before=part.sent_at is not None,
        )

    def _keys(self, part: Part) -> EpochKeys:
        return epoch_keys(self.namespace, part.shard, part.epoch)

    def _learn_epochs(self, parts: Sequence[Part], deadline: Deadline) -> Steps[None]:
        """Give each part an epoch, beginning one where there is none yet; where that fails, the part hears of it.

        Before any other shard 0 has one: there clients meet that hold likes in different numbers of shards.
        """
        for part in parts:
            part.epoch = part.epoch or self._epochs.get(part.shard, "")
        lacking = dict.fromkeys(part.shard for part in parts if not part.epoch)
        if not lacking:
            return
        began = seconds_now()
        found = yield from self._epochs_of({shard: "" if shard else self._fresh() for shard in lacking}, deadline)
        if unborn := [shard for shard in lacking if found[shard] == ""]:
            roots = yield from self._epochs_of({0: self._fresh()}, deadline)
            if isinstance(root := self._right(roots[0]), LikesError):
                found |= dict.fromkeys(unborn, root)
            else:
                found |= yield from self._epochs_of({shard: self._fresh() for shard in unborn}, deadline)
        for part in parts:
            if part.shard in lacking:
                reply = self._right(found[part.shard])
                if isinstance(reply, LikesError):
                    part.hear(NotSent(str(reply)) if isinstance(reply, Unanswered) else reply, began)
                else:
                    part.epoch = reply

    def _epochs_of(self, fresh: Mapping[int, str], deadline: Deadline) -> Steps[dict[int, str | LikesError]]:
        """The epoch of each shard, the `fresh` one where there was none and that is not ""; "" for none."""
        keys = [shard_keys(self.namespace, shard) for shard in fresh]
        calls = [begin_epoch(each, old="", fresh=fresh[each.shard]) for each in keys]
        replies: list[Any] = yield Send(calls, deadline)
        replies = yield from blame(replies, keys.__getitem__, deadline)
        return dict(zip(fresh, replies, strict=True))

    def _fresh(self) -> str:
        return fresh_epoch(self.shards)

    def _right(self, epoch: str | LikesError) -> str | LikesError:
        """The epoch, or the error where it is one of another number of shards."""
        number = None if isinstance(epoch, LikesError) else number_of_shards(epoch)
        return epoch if number in (None, self.shards) else another_number(number, self.shards)

    def _heed(self, part: Part) -> None:
        """Remember the epoch that a part has now; if it is one of another number of shards, the part hears of it."""
        if part.epoch == self._epochs.get(part.shard):
            return
        if isinstance(wrong := self._right(part.epoch), LikesError):
            self._epochs.pop(part.shard, None)
            part.epoch = ""
            part.hear(wrong, seconds_now())
        else:
            self._epochs[part.shard] = part.epoch


def _are_not_worth_waiting(parts: Sequence[Part], waited: float, pause: float, timeout: float) -> bool:
    if any(part.unknown for part in parts):
        return False
    if any(isinstance(part.error, Resharding) for part in parts):
        return waited + pause > timeout * 0.8  # what is sent at the last moment is not answered, and then unknown
    return waited > UNSENT_PATIENCE_SECONDS
