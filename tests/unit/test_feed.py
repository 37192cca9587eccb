"""A feed reads each value once a tick for all who watch it, and holds nothing for who does not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import ExitStack

import pytest

from likes.api.feed import Feed, Watch
from likes.api.problems import Problem

TICK = 0.005
PATIENCE_SECONDS = 10


class Numbers:
    """What is read: the number of each key, and each read so far."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.reads: list[list[str]] = []
        self.error: Exception | None = None

    async def read(self, wanted: Collection[str]) -> Mapping[str, int]:
        self.reads.append(sorted(wanted))
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return {key: self.now.get(key, 0) for key in wanted}

    def feed(self, tick: float = TICK, streams: int = 100, keys: int = 100) -> Feed[str, int]:
        return Feed(self.read, tick=tick, most_streams=streams, most_keys=keys)


async def news(watch: Watch[str, int]) -> dict[str, int]:
    return await watch.changes(PATIENCE_SECONDS)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


def test_first_comes_everything_then_what_changed(numbers):
    async def scene():
        with numbers.feed().watching(["a", "b"]) as watch:
            assert await news(watch) == {"a": 0, "b": 0}
            numbers.now["b"] = 5
            assert await news(watch) == {"b": 5}
            assert watch.known == {"a": 0, "b": 5}

    asyncio.run(scene())


def test_each_is_read_once_a_tick_however_many_watch(numbers):
    async def scene():
        feed = numbers.feed()
        with ExitStack() as stack:
            watches = [stack.enter_context(feed.watching(["a", f"b{i % 3}"])) for i in range(50)]
            await asyncio.gather(*map(news, watches))
            numbers.now["a"] = 1
            assert await asyncio.gather(*map(news, watches)) == [{"a": 1}] * 50
            assert {tuple(read) for read in numbers.reads} == {("a", "b0", "b1", "b2")}

    asyncio.run(scene())


def test_one_that_comes_later_gets_what_is_known_and_only_the_rest_is_read(numbers):
    async def scene():
        feed = numbers.feed(tick=60)
        with feed.watching(["a"]) as first:
            await news(first)
            with feed.watching(["a", "b"]) as second:
                assert await news(second) == {"a": 0, "b": 0}
        assert numbers.reads == [["a"], ["b"]]

    asyncio.run(scene())


def test_who_is_slow_skips_what_was_in_between(numbers):
    async def scene():
        feed = numbers.feed()
        with feed.watching(["a"]) as slow, feed.watching(["a"]) as quick:
            await asyncio.gather(news(slow), news(quick))
            for number in (1, 2, 3):
                numbers.now["a"] = number
                assert await news(quick) == {"a": number}
            assert await news(slow) == {"a": 3}

    asyncio.run(scene())


def test_what_changed_and_changed_back_is_no_news(numbers):
    async def scene():
        feed = numbers.feed()
        with feed.watching(["a"]) as slow, feed.watching(["a"]) as quick:
            await asyncio.gather(news(slow), news(quick))
            for number in (1, 0):
                numbers.now["a"] = number
                await news(quick)
            assert await slow.changes(0) == {}

    asyncio.run(scene())


def test_nothing_is_read_while_nobody_watches(numbers):
    async def scene():
        feed = numbers.feed()
        with feed.watching(["a"]) as watch:
            await news(watch)
        await asyncio.wait([feed._reading])
        read = len(numbers.reads)
        assert (feed._watches, feed._watchers, feed._values) == (set(), {}, {})
        numbers.now["a"] = 7
        with feed.watching(["a"]) as watch:
            assert await news(watch) == {"a": 7}
        assert len(numbers.reads) == read + 1

    asyncio.run(scene())


@pytest.mark.parametrize(("streams", "keys"), [(2, 100), (100, 3)])
def test_too_much_is_a_problem_that_passes(numbers, streams, keys):
    async def scene():
        feed = numbers.feed(streams=streams, keys=keys)
        with feed.watching(["a"]):
            with feed.watching(["a", "b"]):
                with pytest.raises(Problem) as raised, feed.watching(["a", "c", "d"]):
                    pass
                assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "10"})
            with feed.watching(["a", "c", "d"][:keys]) as watch:
                assert await news(watch)

    asyncio.run(scene())


def test_at_the_end_all_watches_end_and_later_ones_too(numbers):
    async def scene():
        feed = numbers.feed()
        with feed.watching(["a"]) as watch:
            await news(watch)
            waiting = asyncio.create_task(news(watch))
            await asyncio.sleep(0)
            await feed.close()
            assert (await waiting, watch.is_over) == ({}, True)
            with feed.watching(["a"]) as late:
                assert (await news(late), late.is_over) == ({}, True)

    asyncio.run(scene())


def test_an_error_of_our_own_ends_the_streams_and_the_next_one_reads_again(numbers, caplog):
    async def scene():
        feed = numbers.feed()
        with feed.watching(["a"]) as watch:
            numbers.error = ValueError("a mistake")
            assert (await news(watch), watch.is_over) == ({}, True)
            numbers.error = None
            with feed.watching(["a"]) as again:
                assert await news(again) == {"a": 0}

    asyncio.run(scene())
    assert "a mistake" in caplog.text
