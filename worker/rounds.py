"""The flushes of one worker: each takes the shards that no other worker is flushing, and tells what it moved."""

from __future__ import annotations

import time
from contextlib import suppress

from likes.batch import Batch
from likes.buffer.backlog import Backlog
from likes.errors import LikesError
from likes.sql.engine import reading
from likes.sql.ledger import Applied
from likes.sql.reports import incidents_after, newest_incidents
from likes.sql.schema import require_head
from worker import events
from worker.flush import Flushed, Flusher
from worker.housekeeping import Housekeeping
from worker.lease import Leases


class Rounds:
    """Flushes with leases. Not for several threads."""

    def __init__(self, flusher: Flusher, leases: Leases, housekeeping: Housekeeping) -> None:
        flusher.after_batch = self._after_batch
        self._flusher = flusher
        self._leases = leases
        self._housekeeping = housekeeping
        self._shards: list[int] = []
        self._backlog: Backlog | None = None
        self._told_incident = 0
        self._done: list[Flushed] = []

    def pending_items(self) -> int:
        """How much is pending; 0 before the first flush. Raises Unavailable."""
        return self._backlog.items() if self._backlog else 0

    def flush(self) -> bool:
        """Flush the shards that are free; True if others were not. Raises SchemaOutdated, and as `Flusher.flush`."""
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
        """Flush all shards, whoever is flushing them."""
        self._prepare()
        self._flush(self._shards)

    def _prepare(self) -> None:
        ledger = self._flusher.ledger
        if not self._shards:
            require_head(ledger.engine)
            with reading(ledger.engine) as connection:
                self._told_incident = max((i.id for i in newest_incidents(connection, ledger.namespace, 1)), default=0)
        shards = self._flusher.shards_in_use()
        if shards != self._shards:
            self._shards = shards
            self._backlog = Backlog(self._flusher.buffer.link, ledger.namespace, shards)

    def _flush(self, shards: list[int]) -> None:
        if not shards:
            return
        began = time.monotonic()
        try:
            self._flusher.flush(shards)
        finally:
            self._tell(time.monotonic() - began)
        self._tell_incidents()

    def _after_batch(self, batch: Batch, applied: Applied) -> None:
        self._done.append(Flushed(1, *applied))
        if applied.dead_letters:
            events.dead_letters(batch.shard, batch.id.seq, applied.dead_letters)
        self._leases.keep()

    def _tell(self, seconds: float) -> None:
        done, self._done = self._done, []
        if done:
            events.flushed(Flushed(*map(sum, zip(*done, strict=True))), seconds)

    def _tell_incidents(self) -> None:
        ledger = self._flusher.ledger
        with reading(ledger.engine) as connection:
            incidents = incidents_after(connection, ledger.namespace, self._told_incident)
        for incident in incidents:
            events.incident(incident)
            self._told_incident = incident.id
