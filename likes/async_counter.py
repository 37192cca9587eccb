"""AsyncLikeCounter: LikeCounter for asyncio. All likes of one turn of the event loop go out in one round trip."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from likes import by_shard
from likes.counting import Counting
from likes.deadline import Deadline
from likes.errors import InvalidInput, LikesError
from likes.handed_in import AsyncClient
from likes.items import DEFAULT_COUNTER, check_count, check_counter, check_limit
from likes.limiting.limiter import RateLimiter
from likes.live.total import LiveTotal
from likes.member import Member, Placed
from likes.opened_for_loops import OpenedForLoops
from likes.posting import batch_once
from likes.posting.answers import Answers
from likes.posting.loop_turn import Caller
from likes.posting.once import Wanted
from likes.posting.outcome import Sent, entries_of, raise_unless_counted
from likes.posting.steps import Steps, wait_for_async

if TYPE_CHECKING:
    from likes.sql.totals import Total

T = TypeVar("T")

ENTRIES_A_PART = 1000  # whatever their counts, and however often an item recurs, its sum stays small enough


class AsyncLikeCounter(Counting[AsyncClient, OpenedForLoops]):
    """Counts likes in Redis, each exactly once, for a worker to move into SQL; and reads totals live. For asyncio.

    Make one for a process, when the application starts, and share it: what the tasks of an event loop count in one turn
    of it goes out together. It connects when first used. Any number of loops may use it, one after the other or each in
    a thread of its own, also in a forked child: each has connections of its own, which asyncio.run closes with it. SQL
    is read in threads. `await` its `close` where the application stops, or use it in an `async with`.

    Items, counters and time-outs are those of LikeCounter, and each method raises what its namesake there does.
    """

    ASYNCHRONOUS = True

    async def like(
        self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> int:
        """Count `count` more likes of an item: a whole number within ±2^31; a negative one counts down.

        Returns the item's pending delta after that, which includes what other tasks counted in the same turn.
        Cancelling a task that waits here does not take its likes back.
        """
        shard, member = by_shard.place_of(item, counter, self.shards)
        turns = self._opened.get().turns.get()
        return await turns.like(shard, member, check_count(count), self._seconds(timeout))

    def put(self, caller: Caller, item: str, count: int, *, counter: str = DEFAULT_COUNTER) -> None:
        """As `like`, for a server's own loop: needs no task, as `caller` is told the pending delta or the error.

        Raises InvalidInput.
        """
        shard, member = by_shard.place_of(item, counter, self.shards)
        self._opened.get().turns.get().put(caller, shard, member, check_count(count), self._timeout)

    async def unlike(
        self, item: str, count: int = 1, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> int:
        """Count `count` fewer likes of an item; otherwise as `like`."""
        return await self.like(item, -check_count(count), counter=counter, timeout=timeout)

    async def add(
        self, deltas: Mapping[str, int], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> None:
        """Count many items at once: item -> count, each as in `like`."""
        entries = by_shard.entries(deltas, counter, self.shards)
        answers = await self._opened.get().turns.get().add(entries, self._seconds(timeout))
        if error := answers.error_of(entry for some in entries.values() for entry in some):
            raise error

    async def like_once(
        self, item: str, count: int = 1, *, key: bytes, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> int:
        """As `like`, but once for each `key`, which is any bytes: a repeat within 24 hours, by whichever process, adds
        nothing and returns the pending delta that the first one did.

        Raises KeyReused for a key that was used of this item for another count or counter.
        """
        entries = by_shard.one_entry(item, count, counter, self.shards)
        ((shard, (entry,)),) = entries.items()
        place = partial(by_shard.shard_under, item)
        wanted = Wanted(shard, batch_once.once_key(key, entry), [entry], alone=True, place=place)
        (part,) = await self._opened.get().once.get().add([wanted], self._seconds(timeout))
        raise_unless_counted([*entries_of([part])])
        return part.pending(0)

    async def add_once(
        self, entries: Sequence[tuple[str, int, str]], *, key: bytes, timeout: float | None = None
    ) -> list[int | LikesError | None]:
        """Count each entry, (item, count, counter), once for each `key`, as `like_once` does.

        Returns for each its pending delta, which includes the others of its item; or None where an earlier call counted
        it; or why it was not counted, or may have been: OutcomeUnknown. Raises KeyReused for a key that was used before
        for other entries.
        """
        placed = [by_shard.placed(*entry, self.shards) for entry in entries]
        once = batch_once.once_key(key, [each.entry for each in placed])
        turns, seconds = self._opened.get().once.get(), self._seconds(timeout)
        (home,) = await turns.add([batch_once.home(once, self.shards)], seconds)
        raise_unless_counted([Sent(*entry, home, 0) for _, entry in placed])
        return batch_once.results(placed, await turns.add(batch_once.parts(once, placed), seconds))

    def rate_limiter(self, requests: int, seconds: float) -> RateLimiter:
        """Lets each client pass `requests` times in `seconds`, together with those of other processes. Of one loop."""
        return RateLimiter(requests, seconds, namespace=self.prefix, shards=self.shards, run=self._run)

    async def like_each(
        self, entries: Iterable[tuple[str, int, str]], *, timeout: float | None = None
    ) -> list[int | LikesError]:
        """Count many entries, each (item, count, counter), in as many round trips as one `add`; an item may recur.

        Returns for each what `like` returns, or the error that it raises: none hides what became of the others.
        """
        turns, seconds = self._opened.get().turns.get(), self._seconds(timeout)
        placed = by_shard.placed_each([*entries], self.shards)
        parts = [placed[start : start + ENTRIES_A_PART] for start in range(0, len(placed), ENTRIES_A_PART)]
        begun = [turns.add(by_shard.grouped(part), seconds) for part in parts]
        return [
            outcome for part, answers in zip(parts, begun, strict=True) for outcome in await _outcomes(part, answers)
        ]

    async def total(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The live total of an item: what is in the database, in flight and pending; 0 if nobody ever liked it."""
        return (await self.live([item], counter=counter, timeout=timeout))[item].total

    async def totals(
        self, items: Iterable[str], *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> dict[str, int]:
        """Item -> its live total, in the order given; 500 of them are read together, in a few round trips."""
        return {item: live.total for item, live in (await self.live(items, counter=counter, timeout=timeout)).items()}

    async def live(
        self,
        items: Iterable[str],
        *,
        counter: str = DEFAULT_COUNTER,
        timeout: float | None = None,
        or_database: bool = False,
    ) -> dict[str, LiveTotal]:
        """Item -> its live total with its parts; each was true at some moment during the call.

        or_database: where Redis is away, what the database holds is returned, marked as not exact, instead of an error.
        """
        wanted = by_shard.several(items)
        seconds, reads = self._seconds(timeout), self._opened.get().reads.get()
        found: dict[Member, LiveTotal | LikesError] = {}
        for members in by_shard.members(wanted, counter, self.shards):
            found |= await reads.live(members, seconds, or_database=or_database)
        return by_shard.all_found(by_shard.by_item(wanted, counter, found))

    async def top(
        self, limit: int = 10, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None
    ) -> list[Total]:
        """The `limit` items, 1 to 100,000, with the largest totals in the database, largest first."""
        wanted = check_counter(counter), check_limit(limit)
        return await wait_for_async(self._opened.get().top(*wanted), Deadline(self._seconds(timeout)))

    async def pending(self, item: str, *, counter: str = DEFAULT_COUNTER, timeout: float | None = None) -> int:
        """The pending delta of an item: counted in Redis and not handed off yet; it may be negative."""
        (members,) = by_shard.members([item], counter, self.shards)
        steps = self._opened.get().reader.pending(members, Deadline(self._seconds(timeout)))
        return by_shard.by_item([item], counter, await self._run(steps))[item]

    async def close(self) -> None:
        """Wait until what this event loop is sending is answered, then close its connections and those to the database
        but for an engine handed in; the next call opens new ones.
        """
        await self._opened.get().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _nothing_open(self) -> OpenedForLoops:
        link, database = self._redis.open_async_link, self._database
        return OpenedForLoops(link, database, self.prefix, self._rules, adder=self._adder, producers=self._producers)

    async def _run(self, steps: Steps[T]) -> T:
        return await self._opened.get().run(steps)


async def _outcomes(placed: Iterable[Placed | InvalidInput], begun: Awaitable[Answers]) -> Iterable[int | LikesError]:
    """For each entry its pending delta, or why it was not counted, or may have been."""
    try:
        answers = await begun
    except LikesError as error:
        return [each if isinstance(each, InvalidInput) else error for each in placed]
    return [each if isinstance(each, InvalidInput) else answers.outcome_of(each.entry) for each in placed]
