"""Likes of another prefix that nobody flushes any more: a prefix that is changed leaves behind what is pending."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from likes.buffer.heartbeat import read_workers
from likes.connect import Places
from likes.errors import LikesError
from likes.sql.health import namespaces
from likes.sql.ledger import Ledger
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.sql.cursors import Cursor

LONG = timedelta(hours=1)  # without a flush, or a worker


def check_abandoned(engine: Engine, places: Places, namespace: str) -> Iterator[Finding]:
    """A warning for each other prefix that this database knows in this Redis, where likes wait for nobody."""
    names = {places.redis_name(), *places.former_redis_names()}
    for other in sorted({*namespaces(engine)} - {namespace}):
        cursors = Ledger(engine, other, worker="").cursors()
        if not names.isdisjoint(cursor.redis_name for cursor in cursors.values()) and not _was_flushed(cursors):
            waiting = _waiting(places, other, cursors)
            if waiting:
                found = (
                    f"{waiting:,} items of the prefix {other!r} wait in this Redis, and nobody flushes them any more"
                )
                yield Finding(Level.WARNING, "other prefix", found, f"likes flush --prefix {other}")


def _was_flushed(cursors: dict[int, Cursor]) -> bool:
    flushed = [cursor.covered_by for cursor in cursors.values() if cursor.covered_by]
    return bool(flushed) and datetime.now(UTC) - max(flushed) < LONG


def _waiting(places: Places, namespace: str, cursors: dict[int, Cursor]) -> int:
    """How many items are pending or in flight there, a batch for one; 0 where a worker is alive."""
    try:
        with places.open_buffer(namespace) as buffer:
            if read_workers(buffer):
                return 0
            views = buffer.look({shard: cursor.epoch for shard, cursor in cursors.items()}).values()
    except LikesError:  # Redis has a finding of its own
        return 0
    return sum(epoch.pending + len(epoch.in_flight) for view in views for epoch in view.epochs.values())
