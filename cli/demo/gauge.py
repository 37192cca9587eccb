"""Where the likes are at this moment: pending and in flight in Redis, or in the database."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple, Self

from likes.batch import Batch, BatchId
from likes.buffer.inventory import read_in_flight
from likes.buffer.standing import Standing
from likes.connect import Places
from likes.sql.books import sums
from likes.sql.history import count_batches
from likes.sql.ledger import Ledger

PREFIX, SHARDS = "likes", 16  # the defaults: nothing else lives in the demo's servers


class Figures(NamedTuple):
    """Likes, and the number of batches applied."""

    posted: int = 0
    database: int = 0
    in_flight: int = 0
    pending: int = 0
    batches: int = 0


class InFlight(NamedTuple):
    """A batch handed off and not acknowledged; `applied`: the database has it already."""

    batch: Batch
    applied: bool


class Gauge:
    """Reads both servers of the demo."""

    def __init__(self, places: Places) -> None:
        self.engine = places.open_database()
        self._ledger = Ledger(self.engine, PREFIX, worker="")
        self._open = ExitStack()
        self._buffer = self._open.enter_context(places.open_buffer(PREFIX))
        self._epochs: dict[int, str | None] = dict.fromkeys(range(SHARDS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.engine.dispose()

    def figures(self) -> Figures:
        """How many likes are where. What is being applied just now counts as in flight."""
        database = sums(self.engine).totals  # before Redis, so that nothing is in the database and not yet sealed
        applied = count_batches(self.engine, PREFIX)
        standings = self._look()
        accepted = sum(standing.accepted for standing in standings)
        sealed = sum(standing.sealed for standing in standings)
        return Figures(accepted, database, sealed - database, accepted - sealed, applied)

    def is_claimed(self) -> bool:
        """True once a worker has looked after this database."""
        return bool(self._ledger.cursors())

    def any_in_flight(self) -> bool:
        """Whether any batch is in flight."""
        return bool(self._ids_in_flight())

    def in_flight(self) -> list[InFlight]:
        """The batches in flight."""
        batches = [read_in_flight(self._buffer, batch) for batch in self._ids_in_flight()]
        return [InFlight(batch, self._ledger.has(batch.id)) for batch in batches if batch]

    def _ids_in_flight(self) -> list[BatchId]:
        return [batch for standing in self._look() for batch in standing.in_flight]

    def _look(self) -> list[Standing]:
        """The shards under the epochs Redis points at."""
        views = self._buffer.look(self._epochs)
        self._epochs = {shard: view.current or None for shard, view in views.items()}
        return [view.epochs[view.current] for view in views.values() if view.current]
