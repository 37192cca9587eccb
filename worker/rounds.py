"""The flushes of one worker: each takes the shards that no other worker is flushing, and tells what it moved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from likes.batch import Batch
from likes.buffer.backlog import Backlog
from likes.buffer.leases import Leases
from likes.counted import Counted
from likes.errors import LikesError
from likes.sql.reports import incidents_after, last_incident
from likes.sql.schema import require_head
from worker import events
from worker.flush import Flush, Flusher
from worker.housekeeping import Housekeeping


class Rounds:
    """Flushes under leases. For one thread."""

    def __init__(self, flusher: Flusher, leases: Leases, housekeeping: Housekeeping) -> None:
        flusher.on_counted = self._on_counted
        self._flusher = flusher
        self._ledger = flusher.ledger
        self._leases = leases
        self._housekeeping = housekeeping
        self._shards: list[int] = []
        self._backlog: Backlog | None = None
        self._told_incident = 0

    def pending_items(self) -> int:
        """How much is pending; 0 before the first flush. Raises Unavailable."""
        return self._backlog.items() if self._backlog else 0

    def flush(self) -> bool:
        """Flush the shards that are free; True if some were not. Raises SchemaOutdated, and as `Flusher.flush`."""
        self._prepare()
        shards = self._leases.take(self._shards)
        try:
            self._flush(shards)
        finally:
            with suppress(LikesError):  # they run out by themselves
                self._leases.give_back()
        self._housekeeping.tidy(self._shards)
        return len(shards) < len(self._shards)

    def flush_everything(self) -> None:
        """Flush all shards, whoever else is flushing them."""
        self._prepare()
        self._flush(self._shards)

    def _prepare(self) -> None:
        if not self._shards:
            require_head(self._ledger.engine)
            self._told_incident = last_incident(self._ledger.engine, self._ledger.namespace)
        shards = self._flusher.shards_in_use()
        self._flusher.claim(shards)  # before a lease is taken from whomever it belongs to
        if shards != self._shards:
            self._shards = shards
            self._backlog = Backlog(self._flusher.buffer, shards)

    def _flush(self, shards: list[int]) -> None:
        if not shards:
            return
        began = time.monotonic()
        flush = Flush(self._flusher)
        try:
            flush.run(shards)
        finally:
            if flush.counted.batches:
                events.flushed(flush.counted, time.monotonic() - began)
        self._tell_incidents()

    def _on_counted(self, batches: Sequence[Batch], counted: Counted) -> None:
        if counted.dead_letters:
            events.dead_letters(batches[-1].id, counted.dead_letters)
        with suppress(LikesError):  # they only save work
            self._leases.keep()

    def _tell_incidents(self) -> None:
        for incident in incidents_after(self._ledger.engine, self._ledger.namespace, self._told_incident):
            events.incident(incident)
            self._told_incident = incident.id
