"""From settings to a flusher with its two servers, for what moves or inspects likes: the worker and the commands."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likes.connect import Places
from likes.sessions.session import Life
from likes.sessions.sweeping import Sweeping
from likes.sql.ledger import Ledger
from worker.flush import Flusher
from worker.housekeeping import Housekeeping
from worker.sweep import Sweep

if TYPE_CHECKING:
    from likes.config.settings import Settings


@contextmanager
def open_flusher(settings: Settings, *, any_number: bool = False) -> Iterator[Flusher]:
    """A flusher for `settings`, its `buffer` and `ledger` closed at the end of the block.

    any_number: it flushes whatever the number of shards is. Servers named by a URL are not connected to before they are
    needed.
    """
    places = Places.from_settings(settings)
    engine = places.open_database(pool_size=settings.flush_threads + 1)
    try:
        writes_through = settings.cache_on_flush == "through"
        with places.open_buffer(
            settings.prefix, settings.batch_items, writes_through=writes_through, durability=settings.durability
        ) as buffer:
            yield Flusher(
                buffer,
                Ledger(engine, settings.prefix, worker_name(), buffer.clock),
                redis_name=places.redis_name(),
                former_redis_names=places.former_redis_names(),
                shards=settings.shards,
                threads=settings.flush_threads,
                any_number=any_number,
            )
    finally:
        engine.dispose()


def housekeeping_for(flusher: Flusher, settings: Settings) -> Housekeeping:
    """What is to be tidied up after the flushes of `flusher`."""
    life = Life(settings.session_idle_seconds, settings.session_max_seconds)
    sweep = Sweep(Sweeping(flusher.buffer, life), flusher.ledger)
    return Housekeeping(flusher.buffer, flusher.ledger, sweep, settings.ledger_retention_days)


def worker_name() -> str:
    """`host:pid` of this process, as the ledger shows it."""
    return f"{socket.gethostname()[:200]}:{os.getpid()}"
