"""Adding deltas exactly once over a connection that loses replies.

A producer numbers its calls. A call that was not answered is sent again under the same producer, sequence and epoch:
Redis remembers the last sequence of each producer and does nothing the second time. If another epoch is current by
then, Redis was replaced, and whether the first one counted cannot be known: the outcome is unknown, and said to be.
"""

from __future__ import annotations

import os
import secrets
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from likes.buffer.keys import epoch_keys, fresh_epoch, shard_keys
from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import Added, Call, add, begin_epoch
from likes.errors import LikesError, RedisUnavailable
from likes.posting.steps import Pause, Send, Steps

ENTRIES_A_CALL = 250  # keeps the time one script holds Redis at about a millisecond
MEMORY_SECONDS = 3600.0  # a producer silent for longer is forgotten by Redis
UNSENT_PATIENCE_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.5

Entry = tuple[bytes, int]  # member, delta

# Counts the time a machine is suspended, which the monotonic clock of Linux does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_now() -> float:
    """Seconds on a clock that never goes back."""
    return time.clock_gettime(_CLOCK)


class Producer:
    """One writer, with at most one unanswered call a shard."""

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(12)
        self.sequence = 0

    def number(self) -> int:
        """The sequence of its next call."""
        self.sequence += 1
        return self.sequence


class Producers:
    """Lends a producer to each call under way, so that calls in parallel never share one."""

    def __init__(self) -> None:
        self._idle: list[Producer] = []
        _ALL.add(self)

    @contextmanager
    def one(self) -> Iterator[Producer]:
        """A producer nobody else uses meanwhile."""
        try:
            producer = self._idle.pop()
        except IndexError:
            producer = Producer()
        try:
            yield producer
        finally:
            self._idle.append(producer)

    def forget(self) -> None:
        """Let go of all idle producers."""
        self._idle = []


_ALL: weakref.WeakSet[Producers] = weakref.WeakSet()


def _forget_after_fork() -> None:
    # A child with its parent's producers would number its likes as the parent does, and Redis would take them for
    # resends.
    for producers in _ALL:
        producers.forget()


os.register_at_fork(after_in_child=_forget_after_fork)


class Part:
    """The entries of an add that go to one shard in one call, and what became of them."""

    def __init__(self, shard: int, sequence: int, entries: Sequence[Entry]) -> None:
        self.shard = shard
        self.sequence = sequence
        self.entries = entries
        self.epoch = ""
        self.sent_at: float | None = None  # when it first went out without an answer
        self.added: Added | None = None
        self.error: LikesError | None = None
        self.settled = False

    @property
    def unknown(self) -> bool:
        """True if it may have been counted or not."""
        return self.added is None and self.sent_at is not None

    def pending(self, index: int) -> int:
        """The pending delta of an entry after it was added."""
        return self.added.pending[index] if self.added else 0

    def is_too_old(self, now: float) -> bool:
        """True once Redis may have forgotten its producer, so that it must not be sent again."""
        return self.sent_at is not None and now - self.sent_at > MEMORY_SECONDS / 2

    def hear(self, reply: Added | LikesError, sent_at: float) -> None:
        """Take the reply to the last time it was sent."""
        if isinstance(reply, Added):
            if reply.done:
                self.added, self.settled = reply, True
            elif self.sent_at is not None:
                self.error, self.settled = Unanswered("Redis was replaced before it answered"), True
            else:
                self.epoch = reply.epoch
            return
        self.error = reply
        if isinstance(reply, Unanswered) and self.sent_at is None:
            self.sent_at = sent_at
        self.settled = not isinstance(reply, RedisUnavailable) and not self.unknown


class Adder:
    """Adds entries to the shards of one Redis. `patience`: seconds to go on sending what is not answered."""

    def __init__(self, prefix: str, patience: float) -> None:
        self.prefix = prefix
        self.patience = patience
        self._epochs: dict[int, str] = {}

    def add(
        self, producer: Producer, entries: Mapping[int, Sequence[Entry]], *, wants_pending: bool
    ) -> Steps[list[Part]]:
        """Add the entries of each shard; a Part for each call, settled."""
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
            trouble = yield from self._learn_epochs(parts)
            if trouble is None:
                sent_at = seconds_now()
                parts = [part for part in parts if not part.is_too_old(sent_at)]
                replies = yield Send([self._call(producer, part, wants_pending) for part in parts])
                for part, reply in zip(parts, replies, strict=True):
                    part.hear(reply, sent_at)
                    self._epochs[part.shard] = part.epoch
            else:
                for part in parts:
                    part.hear(trouble, began)
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
            epoch_keys(self.prefix, part.shard, part.epoch),
            epoch=part.epoch,
            producer=producer.id,
            sequence=part.sequence,
            entries=part.entries,
            wants_pending=wants_pending,
        )

    def _learn_epochs(self, parts: Sequence[Part]) -> Steps[LikesError | None]:
        """Give each part an epoch, beginning one where there is none yet; the trouble, if that failed."""
        for part in parts:
            part.epoch = part.epoch or self._epochs.get(part.shard, "")
        lacking = [part for part in parts if not part.epoch]
        if lacking:
            begin = [begin_epoch(shard_keys(self.prefix, part.shard), old="", fresh=fresh_epoch()) for part in lacking]
            replies: list[Any] = yield Send(begin)
            for part, reply in zip(lacking, replies, strict=True):
                if isinstance(reply, LikesError):
                    return NotSent(str(reply)) if isinstance(reply, Unanswered) else reply
                part.epoch = reply
        return None
