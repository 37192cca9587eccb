"""Producers: they number the calls that add, so that Redis recognises one that is sent again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from likes.buffer.scripts import Acknowledged
from likes.per_process import PerProcess

MEMORY_SECONDS = 3600.0  # a producer silent for longer is forgotten by Redis


class Producer:
    """One writer, with at most one unanswered call a shard."""

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(12)
        self.sequence = 0
        self._acknowledged: dict[int, tuple[str, int, float]] = {}
        self._epochs_before: dict[int, set[str]] = {}

    def number(self) -> int:
        """The sequence of its next call."""
        self.sequence += 1
        return self.sequence

    def hear(self, shard: int, epoch: str, sequence: int, sent_at: float) -> None:
        """Note that a call, first sent at `sent_at`, was acknowledged."""
        before = self._acknowledged.get(shard, (epoch, 0, 0.0))[0]
        if before != epoch:
            self._epochs_before.setdefault(shard, set()).add(before)
        self._acknowledged[shard] = epoch, sequence, sent_at

    def acknowledged(self, shard: int, epoch: str, now: float) -> Acknowledged | None:
        """The last call that a shard acknowledged, if Redis must still know of it under this epoch.

        An epoch that is current again was put back with the memory of Redis: what came under the next ones is gone.
        """
        of, sequence, sent_at = self._acknowledged.get(shard, ("", 0, 0.0))
        is_due = epoch == of or epoch in self._epochs_before.get(shard, ())
        if not is_due or now - sent_at > MEMORY_SECONDS / 2:
            return None
        return Acknowledged(sequence, round((now - sent_at) * 1000))


class Producers:
    """Lends a producer to each call under way, so that calls in parallel never share one.

    A child with its parent's would number its likes as the parent does, and Redis would take them for resends.
    """

    def __init__(self) -> None:
        self._idle: PerProcess[list[Producer]] = PerProcess(list)

    @contextmanager
    def one(self) -> Iterator[Producer]:
        """A producer that nobody else uses until the block ends."""
        idle = self._idle.get()
        try:
            producer = idle.pop()
        except IndexError:
            producer = Producer()
        try:
            yield producer
        finally:
            idle.append(producer)
