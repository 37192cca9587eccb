"""Producers: they number the calls that add, so that Redis recognises one that is sent again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from likes.per_process import PerProcess

MEMORY_SECONDS = 3600.0  # a producer silent for longer is forgotten by Redis


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
