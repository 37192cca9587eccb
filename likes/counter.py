"""LikeCounter: like, unlike, add many, and read live totals."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self, TypeVar
from zlib import crc32

from likes.buffer.keys import PREFIX
from likes.config.urls import check_redis_url, mask
from likes.connect import Places
from likes.errors import InvalidInput
from likes.items import DEFAULT_COUNTER, MAX_SHARDS, check_count, check_counter, check_counts, encode_items, member_of
from likes.live.reading import LiveTotal, Reader, pending_deltas
from likes.posting.adder import Adder
from likes.posting.outcome import all_counted, entries_of, raise_unless_counted
from likes.posting.part import Entry
from likes.posting.producer import Producers
from likes.posting.steps import run

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.buffer.links.link import Link
    from likes.config.settings import Settings

T = TypeVar("T")

ITEMS_A_READ = 500
RESEND_TIMEOUTS = 3  # for how many time-outs an unanswered call is sent again


class Counting:
    """What LikeCounter and AsyncLikeCounter share: where the servers are, and which shard an item belongs to."""

    def __init__(
        self,
        *,
        redis_url: str | None = None,
        database_url: str | None = None,
        data_dir: Path | str | None = None,
        prefix: str = "likes",
        shards: int = 16,
        redis_timeout: float = 5.0,
        database_timeout: float = 10.0,
    ) -> None:
        """Nothing is connected before it is needed. Where a URL is missing, the embedded server in `data_dir` is used.

        `prefix` and `shards` must be those of the worker. Time-outs are in seconds.
        """
        if redis_url is not None:
            _require_usable(redis_url)
        if type(shards) is not int or not 1 <= shards <= MAX_SHARDS:
            raise InvalidInput(f"shards is {shards!r}; allowed: whole numbers, 1 to {MAX_SHARDS}")
        if not isinstance(prefix, str) or not re.fullmatch(PREFIX, prefix):
            raise InvalidInput(f"prefix is {prefix!r}; allowed: 1 to 64 of A-Z a-z 0-9 _ . : -")
        places = Places(redis_url, database_url, Path(data_dir) if data_dir else None, redis_timeout, database_timeout)
        self._set_up(places, prefix, shards)

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """A counter for `settings`; without them, for what `LIKES_*` and `.env` say. Raises SettingsError."""
        if settings is None:
            from likes.config.settings import Settings

            settings = Settings.load()
        counter = cls.__new__(cls)
        counter._set_up(Places.from_settings(settings), settings.prefix, settings.shards)  # noqa: SLF001 (its own)
        return counter

    def _set_up(self, places: Places, prefix: str, shards: int) -> None:
        self.prefix = prefix
        self.shards = shards
        self._places = places
        self._opening = Lock()
        self._engine: Engine | None = None
        self._reader: Reader | None = None
        self._producers = Producers()
        self._adder = Adder(prefix, patience=RESEND_TIMEOUTS * places.redis_timeout)

    def _open_reader(self) -> Reader:
        with self._opening:
            if self._reader is None:
                from likes.sql.totals import KnownTotals

                self._engine = self._places.open_database()
                self._reader = Reader(self.prefix, KnownTotals(self._engine, self.prefix))
            return self._reader

    def _close_database(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._reader = self._engine = None

    def _entries(self, deltas: Mapping[str, int], counter: str) -> dict[int, list[Entry]]:
        """The entries of each shard; raises InvalidInput before anything is sent."""
        prefix = check_counter(counter).encode() + b":"
        entries: dict[int, list[Entry]] = defaultdict(list)
        if not isinstance(deltas, Mapping):
            raise InvalidInput(f"add takes a mapping, item -> count, not {type(deltas).__name__}")
        checked = dict(deltas)  # another thread may change theirs meanwhile
        check_counts(checked.values())
        for item, count in zip(encode_items(checked.keys()), checked.values(), strict=True):
            entries[crc32(item) % self.shards].append((prefix + item, count))
        return entries

    def _members(self, items: Iterable[str], counter: str) -> list[dict[int, list[bytes]]]:
        """The members of each shard, as many together as one read may ask for; all checked before the first."""
        prefix = check_counter(counter).encode()
        encoded = list(dict.fromkeys(encode_items([*items])))
        reads: list[dict[int, list[bytes]]] = []
        for start in range(0, len(encoded), ITEMS_A_READ):
            members: dict[int, list[bytes]] = {}
            for item in encoded[start : start + ITEMS_A_READ]:
                members.setdefault(crc32(item) % self.shards, []).append(member_of(item, prefix))
            reads.append(members)
        return reads

    def _by_item(self, items: Iterable[str], counter: str, found: Mapping[bytes, T]) -> dict[str, T]:
        return {item: found[member_of(item.encode(), counter.encode())] for item in items}


class LikeCounter(Counting):
    """Counts likes in Redis, for a worker to move into SQL. Safe to share between threads."""

    def _set_up(self, places: Places, prefix: str, shards: int) -> None:
        super()._set_up(places, prefix, shards)
        self._link: Link | None = None

    def like(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` more; the pending delta of the item, in Redis, after it.

        Raises InvalidInput, RedisUnavailable and RedisFull (not counted), EntryRefused, OutcomeUnknown.
        """
        entries = self._entries({item: count}, counter)
        with self._producers.one() as producer:
            (part,) = run(self._adder.add(producer, entries, wants_pending=True), self._open_link())
        raise_unless_counted(list(entries_of([part])))
        return part.pending(0)

    def unlike(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER) -> int:
        """Count `count` fewer; otherwise as `like`."""
        return self.like(item, -check_count(count), counter=counter)

    def add(self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER) -> None:
        """Count many, item -> count, in one round trip; exactly once each.

        Raises InvalidInput before anything is written; AddFailed (EntryRefused, OutcomeUnknown) with what
        became of each item where not all were counted; RedisUnavailable or RedisFull where none was.
        """
        entries = self._entries(deltas, counter)
        with self._producers.one() as producer:
            parts = run(self._adder.add(producer, entries, wants_pending=False), self._open_link())
        if not all_counted(parts):
            raise_unless_counted(list(entries_of(parts)))

    def total(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The live total: in the database, in flight and pending. Raises RedisUnavailable, DatabaseUnavailable."""
        return self.live([item], counter=counter)[item].total

    def totals(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, int]:
        """The live total of each item."""
        return {item: live.total for item, live in self.live(items, counter=counter).items()}

    def live(self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER) -> dict[str, LiveTotal]:
        """The live total of each item with its parts, each true at some moment during the call."""
        wanted = list(items)
        found: dict[bytes, LiveTotal] = {}
        for members in self._members(wanted, counter):
            found |= run(self._open_reader().live(members), self._open_link())
        return self._by_item(wanted, counter, found)

    def pending(self, item: str, *, counter: str = DEFAULT_COUNTER) -> int:
        """The pending delta of an item: counted in Redis, not yet handed off."""
        (members,) = self._members([item], counter)
        steps = pending_deltas(self.prefix, members)
        return self._by_item([item], counter, run(steps, self._open_link()))[item]

    def close(self) -> None:
        """Give up all connections; they are opened again when needed."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self._close_database()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_link(self) -> Link:
        with self._opening:
            if self._link is None:
                self._link = self._places.open_link()
            return self._link


def _require_usable(redis_url: str) -> None:
    try:
        check_redis_url(redis_url)
    except ValueError as error:
        raise InvalidInput(f"Redis URL {mask(redis_url)!r}: {error}") from None
