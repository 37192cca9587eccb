"""LikeCounter: like, unlike, add many, and read live totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from likes import by_shard
from likes.counting import Counting
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.handed_in import Client
from likes.items import DEFAULT_COUNTER, check_count, check_counter, check_limit
from likes.live.total import LiveTotal
from likes.member import Entry, Member
from likes.opened import Opened
from likes.posting.outcome import all_counted, entries_of, raise_unless_counted
from likes.posting.steps import run, wait_for

if TYPE_CHECKING:
    from likes.buffer.links.link import Link
    from likes.posting.part import Part
    from likes.sql.totals import Total


class LikeCounter(Counting[Client, "Opened[Link]"]):
    """Counts likes in Redis, each exactly once, for a worker to move into SQL; and reads totals live.

    Make one for a process, when the application starts, and share it: any number of threads may use it. It connects
    when first used, and works in a forked child, too, which gets connections of its own; only an engine handed in is
    for the application to dispose of there, as SQLAlchemy says. `close` it when the application stops, or use it as a
    context manager; nothing is lost if you do not, as every like is in Redis when its call returns.

    In every method an item is text of 1 to 255 bytes in UTF-8 without control characters, and `counter` says which
    count of it is meant: 1 to 64 of `A-Z a-z 0-9 _ . -`. `timeout`: seconds that the call may take, `redis_timeout` if
    None.
    """

    ASYNCHRONOUS = False

    def like(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """Count `count` more likes of an item: a whole number within ±2^31; a negative one counts down.

        Returns the item's pending delta after that: what Redis has counted and no worker has handed off, which is not
        the total and may be negative. Raises InvalidInput, RedisUnavailable, RedisRefused (RedisFull is one) and
        EntryRefused (such as a delta that would leave 64 bits) where nothing was counted, and OutcomeUnknown where
        nobody can tell, as Redis did not answer or was replaced.
        """
        entries = by_shard.one_entry(item, count, counter, self.shards)
        (part,) = self._add(entries, timeout, wants_pending=True)
        raise_unless_counted(list(entries_of([part])))
        return part.pending(0)

    def unlike(self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """Count `count` fewer likes of an item; otherwise as `like`."""
        return self.like(item, -check_count(count), counter=counter, timeout=timeout)

    def add(self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> None:
        """Count many items at once: item -> count, each as in `like`; about a thousand share a round trip.

        Raises InvalidInput before anything is sent; RedisUnavailable or RedisRefused (RedisFull is one) where nothing
        was counted; else AddFailed, or its EntryRefused or OutcomeUnknown, which say of each item what became of it.
        """
        entries = by_shard.entries(deltas, counter, self.shards)
        parts = self._add(entries, timeout, wants_pending=False)
        if not all_counted(parts):
            raise_unless_counted(list(entries_of(parts)))

    def total(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The live total of an item: what is in the database, in flight and pending; 0 if nobody ever liked it.

        Raises InvalidInput, RedisUnavailable, RedisRefused, DatabaseUnavailable, DatabaseRefused and SchemaOutdated.
        """
        return self.live([item], counter=counter, timeout=timeout)[item].total

    def totals(
        self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> dict[str, int]:
        """Item -> its live total, in the order given; 500 of them are read together, in a few round trips.

        Raises what `total` does.
        """
        return {item: live.total for item, live in self.live(items, counter=counter, timeout=timeout).items()}

    def live(
        self,
        items: Iterable[str],
        *,
        counter: str = DEFAULT_COUNTER,
        timeout: float | None = None,
        or_database: bool = False,
    ) -> dict[str, LiveTotal]:
        """Item -> its live total with its parts; each was true at some moment during the call.

        or_database: where Redis is away, what the database holds is returned, marked as not exact, instead of an error.
        Raises what `total` does.
        """
        wanted = by_shard.several(items)
        deadline = Deadline(self._seconds(timeout))
        opened = self._opened.get()
        found: dict[Member, LiveTotal | LikesError] = {}
        for members in by_shard.members(wanted, counter, self.shards):
            reading = opened.reader.live(members, deadline, found.__setitem__, or_database=or_database)
            run(reading, opened.open_link())
        return by_shard.all_found(by_shard.by_item(wanted, counter, found))

    def top(self, limit: int = 10, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> list[Total]:
        """The `limit` items, 1 to 100,000, with the largest totals in the database, largest first.

        Totals have no index: all of them are looked at. What is pending counts once it is flushed. Raises InvalidInput,
        DatabaseUnavailable, DatabaseRefused and SchemaOutdated.
        """
        wanted = check_counter(counter), check_limit(limit)
        return wait_for(self._opened.get().top(*wanted), Deadline(self._seconds(timeout)))

    def pending(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The pending delta of an item: counted in Redis and not handed off yet; it may be negative.

        Raises InvalidInput, RedisUnavailable and RedisRefused; the database is not asked.
        """
        (members,) = by_shard.members([item], counter, self.shards)
        opened = self._opened.get()
        steps = opened.reader.pending(members, Deadline(self._seconds(timeout)))
        return by_shard.by_item([item], counter, run(steps, opened.open_link()))[item]

    def close(self) -> None:
        """Close all connections but those of an engine handed in; the next call opens new ones."""
        opened = self._opened.get()
        if opened.link is not None:
            opened.link.close()
            opened.link = None
        opened.close_database()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _nothing_open(self) -> Opened[Link]:
        return Opened(self._redis.open_link, self._database, self.prefix, self.shards, self._rules)

    def _add(self, entries: Mapping[int, Sequence[Entry]], timeout: float | None, *, wants_pending: bool) -> list[Part]:
        seconds = self._seconds(timeout)
        with self._producers.one() as producer:
            steps = self._adder.add(producer, entries, wants_pending=wants_pending, timeout=seconds)
            return run(steps, self._opened.get().open_link())
