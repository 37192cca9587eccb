"""Producers: they number the calls that add, so that Redis recognises one that is sent again."""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Lends a producer to each call under way, so that calls in parallel never share one."""

    def __init__(self) -> None:
        self._idle: list[Producer] = []
        _ALL.add(self)

    @contextmanager
    def one(self) -> Iterator[Producer]:
        """A producer that nobody else uses until the block ends."""
        try:
            producer = self._idle.pop()
        except IndexError:
            producer = Producer()
        try:
            yield producer
        finally:
            self._idle.append(producer)

    def forget(self) -> None:
        """Drop all idle producers."""
        self._idle = []


_ALL: weakref.WeakSet[Producers] = weakref.WeakSet()


def _forget_after_fork() -> None:
    # A child with its parent's producers would number its likes as the parent does, and Redis would take them for
    # resends.
    for producers in _ALL:
        producers.forget()


os.register_at_fork(after_in_child=_forget_after_fork)
