"""The flushes of one worker: each takes the shards that no other worker is flushing, and tells what it moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from likes.batch import Batch
from likes.buffer.backlog import Backlog, Load
from likes.buffer.leases import Leases
from likes.counted import Counted
from likes.errors import LikesError, RedisRefused, ShardMoving
from likes.sql.letters import last_letter, letters_after
from likes.sql.reports import incidents_after, last_incident
from likes.sql.schema import require_head
from worker import events
from worker.figures import Figures
from worker.flush import Flush, Flusher
from worker.housekeeping import Housekeeping
from worker.notices import Notices
from worker.pulse import Pulse

OTHERS_SECONDS = 600.0  # how often it looks for shards of clients with other settings: it asks for each there may be
LETTERS_TOLD = 20  # after a flush; where an epoch is set aside there may be a hundred thousand


class Rounds:
    """Flushes under leases. For one thread. have_worked: once a flush counted something, or had nothing to count."""

    def __init__(
        self,
        flusher: Flusher,
        leases: Leases,
        housekeeping: Housekeeping,
        pulse: Pulse,
        figures: Figures | None = None,
        notices: Notices | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        flusher.on_counted = self._on_counted
        self._flusher = flusher
        self._ledger = flusher.ledger
        self._leases = leases
        self._housekeeping = housekeeping
        self._pulse = pulse
        self._figures = figures or Figures()
        self._notices = notices
        self._clock = clock
        self._look_for_others_at = 0.0
        self._shards: list[int] = []
        self._backlog: Backlog | None = None
        self._told_incident = self._told_letter = 0
        self.have_worked = False
        self._moving = False
        self._told_letter = 0

    def loads(self) -> list[Load]:
        """How much each server holds; nothing before the first flush. Raises LikesError."""
        return self._backlog.loads() if self._backlog else []

    def flush(self) -> bool:
        """Flush the shards that are free; True if some were not, or are being moved.

        Raises SchemaOutdated, and as `Flusher.flush`.
        """
        self._prepare()
        self._flusher.claim(self._shards)  # before a lease is taken from whomever it belongs to
        shards = self._leases.take(self._shards)
        kept_back: RedisRefused | ShardMoving | None = None
        try:
            self._flush(shards)
        except (RedisRefused, ShardMoving) as error:  # in some of the shards: all else goes on
            kept_back = error
        finally:
            with suppress(LikesError):  # they run out by themselves
                self._leases.give_back()
        self._housekeeping.tidy(self._shards)
        if isinstance(kept_back, RedisRefused):
            raise kept_back
        return self._is_moving(kept_back) or len(shards) < len(self._shards)

    def flush_everything(self) -> None:
        """Flush all shards, whoever else is flushing them."""
        self._look_for_others_at = self._clock()
        self._prepare()
        self._flush(self._shards)

    def left(self) -> tuple[int, int] | None:
        """How many items are pending and how many batches in flight; None if Redis does not tell."""
        try:
            views = self._flusher.buffer.look(dict.fromkeys(self._shards or range(self._flusher.shards))).values()
        except LikesError:
            return None
        epochs = [epoch for view in views for epoch in view.epochs.values()]
        return sum(epoch.pending for epoch in epochs), sum(len(epoch.in_flight) for epoch in epochs)

    def _prepare(self) -> None:
        if not self._shards:
            require_head(self._ledger.engine)
            self._told_incident = last_incident(self._ledger.engine, self._ledger.namespace)
            self._told_letter = last_letter(self._ledger.engine, self._ledger.namespace)
        elif self._clock() < self._look_for_others_at:
            return
        shards = self._flusher.shards_in_use()
        self._look_for_others_at = self._clock() + OTHERS_SECONDS
        if shards != self._shards:
            self._shards = shards
            self._backlog = Backlog(self._flusher.buffer, shards)

    def _flush(self, shards: list[int]) -> None:
        if not shards:
            return
        began = time.monotonic()
        flush = Flush(self._flusher)
        kept_back: RedisRefused | ShardMoving | None = None
        try:
            flush.run(shards)
            self.have_worked = True
        except (RedisRefused, ShardMoving) as error:  # in some of the shards: what came of the others is told
            kept_back = error
        finally:
            seconds = time.monotonic() - began
            self._figures.flush_took(seconds, flush.counted)
            if flush.counted.batches:
                events.flushed(flush.counted, seconds)
        self._tell_letters()
        self._tell_incidents()
        if self._notices:
            self._notices.look()
        if kept_back:
            raise kept_back

    def _is_moving(self, moving: ShardMoving | None) -> bool:
        if moving and not self._moving:
            events.moving(moving)
        self._moving = moving is not None
        return self._moving

    def _on_counted(self, batches: Sequence[Batch], counted: Counted) -> None:
        self.have_worked = True
        with suppress(LikesError):  # they only save work
            self._leases.keep()
        self._pulse.counted()

    def _tell_incidents(self) -> None:
        for incident in incidents_after(self._ledger.engine, self._ledger.namespace, self._told_incident):
            events.incident(incident)
            self._told_incident = incident.id

    def _tell_letters(self) -> None:
        engine, namespace = self._ledger.engine, self._ledger.namespace
        first, more, self._told_letter = letters_after(engine, namespace, self._told_letter, LETTERS_TOLD)
        for letter in first:
            events.dead_letter(letter)
        if more:
            events.more_dead_letters(more)
