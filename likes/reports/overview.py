"""All that a page shows of a counter, read about once a second while somebody looks.

With one server away it is what the other tells, and of the one that is away what it told last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from likes.buffer.buffer import Buffer
from likes.buffer.cache import CacheFound, read_found
from likes.errors import LikesError, Unavailable
from likes.items import DEFAULT_COUNTER
from likes.reports.flushes import Flush, flushes_in
from likes.reports.shards import ShardStatus
from likes.reports.status import Status, read_status
from likes.sql.history import newest_batches
from likes.sql.ledger import Ledger
from likes.sql.letters import Letter, Wanted, letters
from likes.sql.sizes import Size, size_of
from likes.sql.totals import Total, largest_totals

BATCHES, FLUSHES, TOP, LETTERS = 500, 8, 10, 5
SAMPLES = 120
LONGEST_GAP_SECONDS = 10.0  # nobody looked meanwhile: what was counted then is no rate of now
SHARE = 0.05  # of the time, at most, is spent on one of the reads that grow with the tables

T = TypeVar("T")


class Sample(NamedTuple):
    """Likes a second, over the second or so before `at`; negative where more were taken back."""

    at: datetime
    rate: float


@dataclass(frozen=True, slots=True)
class Overview:
    """One moment. failed: what keeps it from being read, other than a server that is away.

    cache: None while Redis is away.
    size, top, flushes, dead_letters are of `database_at`; None before the database has told them.
    """

    at: datetime
    status: Status | None
    failed: str | None
    samples: Sequence[Sample]
    cache: CacheFound | None
    database_at: datetime | None
    size: Size | None
    top: Sequence[Total] | None
    flushes: Sequence[Flush] | None
    dead_letters: Sequence[Letter] | None


class _Paced(Generic[T]):
    """What `read` returned last; read again when as much time has passed as it is worth."""

    def __init__(self, read: Callable[[], T]) -> None:
        self.value: T | None = None
        self._read = read
        self._due = 0.0

    def refresh(self) -> None:
        began = time.monotonic()
        if began >= self._due:
            self.value = self._read()
            self._due = time.monotonic() + (time.monotonic() - began) / SHARE


class Rates:
    """Likes a second, from the sums of what each shard has accepted."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._seen: Mapping[int, tuple[str | None, int | None]] = {}
        self._at = 0.0

    def note(self, shards: Sequence[ShardStatus], at: datetime, seconds: float) -> None:
        """seconds: by a clock that nobody sets."""
        now = {shard.shard: (shard.epoch, shard.accepted) for shard in shards}
        elapsed, before = seconds - self._at, self._seen
        self._seen, self._at = now, seconds
        if not 0 < elapsed <= LONGEST_GAP_SECONDS:
            self.samples.clear()
            return
        counted = sum(
            accepted - (then[1] or 0)
            for shard, (epoch, accepted) in now.items()
            if (then := before.get(shard)) and accepted is not None and then[0] in (None, epoch) and then[1] is not None
        )
        self.samples.append(Sample(at, counted / elapsed))


class OverviewReader:
    """Reads it, one call after the other."""

    def __init__(self, buffer: Buffer, ledger: Ledger, shards: int) -> None:
        self._buffer = buffer
        self._ledger = ledger
        self._shards = shards
        self._status: Status | None = None
        self._rates = Rates()
        self._database_at: datetime | None = None
        engine, namespace = ledger.engine, ledger.namespace
        self._size = _Paced(lambda: size_of(engine))
        self._top = _Paced(lambda: largest_totals(engine, DEFAULT_COUNTER, TOP))
        self._flushes = _Paced(lambda: flushes_in(newest_batches(engine, namespace, BATCHES))[:FLUSHES])
        self._letters = _Paced(lambda: [*islice(letters(engine, namespace, Wanted()), LETTERS)])

    def read(self) -> Overview:
        """How things stand now. Raises nothing that is about the servers."""
        failed = cache = None
        try:
            self._status = read_status(self._buffer, self._ledger, self._shards, self._status)
            if not self._status.redis_trouble:
                self._rates.note(self._status.shards, datetime.now(UTC), time.monotonic())
                cache = self._ask_cache()
            if not self._status.database_trouble:
                self._ask_database()
        except LikesError as error:
            failed = str(error)
        return Overview(
            at=datetime.now(UTC),
            status=None if failed else self._status,
            failed=failed,
            samples=tuple(self._rates.samples),
            cache=cache,
            database_at=self._database_at,
            size=self._size.value,
            top=self._top.value,
            flushes=self._flushes.value,
            dead_letters=self._letters.value,
        )

    def _ask_cache(self) -> CacheFound | None:
        try:
            return read_found(self._buffer)
        except LikesError:  # gone by now, or damaged: all else is shown
            return None

    def _ask_database(self) -> None:
        try:
            for asked in (self._size, self._top, self._flushes, self._letters):
                asked.refresh()
            self._database_at = datetime.now(UTC)
        except Unavailable:  # it has just gone; the next status tells of it
            return
