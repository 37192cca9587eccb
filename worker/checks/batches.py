"""Batches in flight that only a later version can flush."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from likes.batch import BatchId
from likes.buffer.buffer import Buffer
from likes.buffer.damage import LaterBatch
from likes.buffer.inventory import read_in_flight
from likes.errors import RedisRefused
from worker.checks.finding import Finding, Level


def check_batches(buffer: Buffer, shards: Collection[int]) -> Iterator[Finding]:
    """An error if there are any: the worker that sealed them is gone, and none that is left can finish them."""
    views = buffer.look(dict.fromkeys(shards)).values()
    in_flight = [batch for view in views for epoch in view.epochs.values() for batch in epoch.in_flight]
    later = [said for batch in in_flight if (said := _is_later(buffer, batch))]
    if later:
        found = f"{len(later)} in flight of a later version, such as: {later[0]}"
        yield Finding(Level.ERROR, "batches", found, "update the worker here: pip install --upgrade likes; restart it")


def _is_later(buffer: Buffer, batch: BatchId) -> str:
    try:
        read_in_flight(buffer, batch)
    except LaterBatch as error:
        return str(error)
    except RedisRefused:  # `likes status` names what is damaged
        pass
    return ""
