"""Counting, from the first like to a total in SQL. Read it from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, EntryRefused, InvalidInput, LikeCounter
from likes.sql.urls import url_of
from tests.rig import Rig


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """A Redis, a database, a counter `rig.likes` for them, and `rig.flush()`: the worker's work of five minutes."""
    with Rig(valkey_url, engine, shards=4) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig) -> LikeCounter:
    return rig.likes


def test_a_like_is_one_more(likes: LikeCounter) -> None:
    assert likes.like("video:42") == 1  # what is pending for it now
    assert likes.like("video:42") == 2
    assert likes.total("video:42") == 2


def test_an_unlike_is_one_fewer(likes: LikeCounter) -> None:
    likes.like("video:42", 5)
    likes.unlike("video:42")
    likes.unlike("video:42", 2)
    assert likes.total("video:42") == 2


def test_many_likes_take_one_round_trip(likes: LikeCounter) -> None:
    likes.add({"video:42": 3, "video:7": 10, "video:1": -1})
    assert likes.totals(["video:42", "video:7", "video:1", "video:none"]) == {
        "video:42": 3,
        "video:7": 10,
        "video:1": -1,
        "video:none": 0,
    }


def test_one_item_has_as_many_counters_as_you_like(likes: LikeCounter) -> None:
    likes.like("video:42")
    likes.like("video:42", 100, counter="views")
    assert (likes.total("video:42"), likes.total("video:42", counter="views")) == (1, 100)


def test_nothing_is_in_the_database_before_a_flush(rig: Rig) -> None:
    rig.likes.add({"video:42": 3, "video:7": 10})
    assert rig.totals() == {}
    flushed = rig.flush()
    assert (flushed.items, flushed.delta) == (2, 13)
    assert rig.totals() == {"video:42": 3, "video:7": 10}


def test_a_live_total_is_the_same_before_and_after_a_flush(rig: Rig) -> None:
    rig.likes.like("video:42", 3)
    rig.flush()
    rig.likes.like("video:42", 2)
    live = rig.likes.live(["video:42"])["video:42"]
    assert (live.total, live.database, live.in_flight, live.pending) == (5, 3, 0, 2)
    rig.flush()
    live = rig.likes.live(["video:42"])["video:42"]
    assert (live.total, live.database, live.in_flight, live.pending) == (5, 5, 0, 0)


def test_flushing_again_changes_nothing(rig: Rig) -> None:
    rig.likes.like("video:42")
    rig.flush()
    assert rig.flush() == (0, 0, 0, 0)
    assert rig.totals() == {"video:42": 1}


def test_likes_that_cancel_out_leave_a_total_alone(rig: Rig) -> None:
    rig.likes.like("video:42")
    rig.likes.unlike("video:42")
    rig.flush()
    assert rig.likes.total("video:42") == 0
    assert rig.totals() == {}


@pytest.mark.parametrize(
    ("item", "count", "why"),
    [
        ("", 1, "item is empty"),
        ("x" * 256, 1, "256 bytes; 255 are allowed"),
        ("line\nbreak", 1, "control character"),
        ("\ud800", 1, "lone surrogate"),
        (42, 1, "is not text"),
        ("video:42", 1.5, "not a whole number"),
        ("video:42", True, "not a whole number"),
        ("video:42", "3", "not a whole number"),
        ("video:42", 2**31 + 1, "not within"),
    ],
)
def test_bad_input_is_refused_before_anything_is_counted(rig: Rig, item: str, count: int, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        rig.likes.like(item, count)
    with pytest.raises(InvalidInput, match=why):
        rig.likes.add({"good": 1, item: count})
    assert rig.redis.keys() == []


def test_an_entry_that_redis_refuses_is_named_and_the_others_count(rig: Rig) -> None:
    rig.likes.add({"video:42": 1, "video:7": 1})
    (key,) = rig.redis.keys("*:delta:likes:video:42")
    rig.redis.set(key, 2**63 - 1)  # as full as a counter can be
    with pytest.raises(
        EntryRefused, match="'video:42' was not counted: its pending delta would leave 64 bits"
    ) as caught:
        rig.likes.add({"video:42": 1, "video:7": 1})
    assert caught.value.accepted == {"video:7": 1}
    assert rig.likes.total("video:7") == 2


def test_the_same_for_asyncio(rig: Rig) -> None:
    import asyncio

    async def main() -> None:
        likes = AsyncLikeCounter(redis_url=rig.places.redis, database_url=url_of(rig.engine), shards=4)
        async with likes:
            await asyncio.gather(*(likes.like("video:42") for _ in range(100)))  # one call to Redis, not a hundred
            await likes.unlike("video:42")
            await likes.add({"video:42": 1, "video:7": 3})
            assert await likes.totals(["video:42", "video:7"]) == {"video:42": 100, "video:7": 3}

    asyncio.run(main())
