"""An idempotency key counts once, whichever process it is repeated on; and what keeping keys costs Redis."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter
from likes.buffer import scripts
from likes.buffer.generations import KEYS_A_BUCKET, Generations
from likes.buffer.links.link import ask
from likes.errors import EntryRefused, InvalidInput, KeyReused, RedisFull, RedisRefused, Resharding
from likes.posting.batch_once import once_key
from tests.conformance.test_buffer import Shard, members
from tests.rig import Rig
from tests.scenes import ONE_BUCKET, keep, once, one_bucket

HOUR = 3_600_000
BYTES_A_KEY = 32  # what the docs promise


@pytest.fixture
def shard(redis_url: str) -> Iterator[Shard]:
    shard = Shard(redis_url)
    shard.begin()
    shard.claim()
    one_bucket(shard)
    yield shard
    shard.close()


def test_a_key_that_is_no_bytes_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is bytes, not str; a text has to be encoded"):
        once_key("key")  # type: ignore[arg-type]


# The script.


def test_a_key_adds_once_and_keeps_what_it_answered(shard: Shard) -> None:
    assert once(shard, {"a": 5}).pending == (6,)
    shard.add({"a": 1}, sequence=3)
    again = once(shard, {"a": 5}, sequence=4)
    assert isinstance(again, scripts.Kept) and again.pending == (6,)
    assert shard.redis.get(shard.delta("a")) == "7"


def test_what_an_entry_was_refused_for_is_kept_where_others_counted(shard: Shard) -> None:
    first = once(shard, {"a": 5, "list": 1})
    assert first.refused.keys() == {1}
    again = once(shard, {"a": 5, "list": 1}, sequence=3)
    assert isinstance(again, scripts.Kept) and (again.refused, again.pending) == (first.refused, ())


def test_a_lone_entry_that_was_refused_may_be_tried_again(shard: Shard) -> None:
    for _ in range(2):  # the reply was lost, and it was sent again
        assert once(shard, {"list": 1}).refused
    shard.redis.delete(shard.delta("list"))
    assert once(shard, {"list": 1}, sequence=3).pending == (1,)


@pytest.mark.parametrize("pending", [-(2**63), -1, 2**53 + 1, 2**63 - 1])
def test_a_pending_delta_of_any_size_is_kept(shard: Shard, pending: int) -> None:
    shard.redis.set(shard.delta("a"), pending - 1 if pending > 0 else pending + 1)
    delta = 1 if pending > 0 else -1
    assert once(shard, {"a": delta}).pending == (pending,)
    assert once(shard, {"a": delta}, sequence=3).pending == (pending,)


def test_while_the_number_of_shards_is_changed_what_is_known_is_answered_and_nothing_else_kept(shard: Shard) -> None:
    once(shard, {"a": 5})
    shard.redis.set(shard.keys.resharding, 4)
    before = shard.everything()
    assert once(shard, {"a": 5}, sequence=3).pending == (6,)
    for act in (
        lambda: once(shard, {"b": 1}, sequence=3),
        lambda: keep(shard),
        lambda: shard.add({"a": 1}, sequence=3),
    ):
        with pytest.raises(Resharding):
            act()
    assert shard.add({"a": 5}, sequence=2).pending == (6,), "a call that is sent again is answered as before"
    assert shard.everything() == before


def test_what_comes_after_a_later_call_of_its_producer_keeps_no_key(shard: Shard) -> None:
    """Its caller gave up, and was told to send it again under the key: that must count."""
    once(shard, {"a": 5}, sequence=3)
    before = shard.everything()
    with pytest.raises(RedisRefused, match="not counted"):
        once(shard, {"b": 1}, sequence=2)
    assert shard.everything() == before
    assert once(shard, {"b": 1}, sequence=4).pending == (3,)


def test_under_another_epoch_nothing_is_done(shard: Shard) -> None:
    shard.begin("next", old="e")
    before = shard.everything()
    assert (once(shard, {"a": 1}).epoch, once(shard, {"a": 1}).done) == ("next", False)
    assert shard.call(scripts.turn_once(shard.keys, ONE_BUCKET)).epoch == "next"
    assert shard.everything() == before


def test_where_the_generations_are_others_nothing_is_done_but_to_name_them(shard: Shard) -> None:
    before = shard.everything()
    other = once(shard, {"a": 1}, generations=Generations("1:1:0 2:4:0"))
    assert isinstance(other, scripts.Turned) and other.generations.text == ONE_BUCKET.text
    assert shard.everything() == before


def test_a_key_is_found_in_every_generation_that_is_not_over(shard: Shard) -> None:
    once(shard, {"a": 1})
    later = Generations("1:1:0 2:4:0 3:16:0")
    shard.redis.set(shard.keys.once, later.text)
    assert isinstance(once(shard, {"a": 1}, sequence=3, generations=later), scripts.Kept)
    over = Generations("-1:1:0 2:4:0 3:16:0")
    shard.redis.set(shard.keys.once, over.text)
    assert once(shard, {"a": 1}, sequence=4, generations=over).pending == (3,)


def test_a_full_bucket_has_the_next_generation_begin(shard: Shard) -> None:
    bucket = shard.keys.once_bucket(1, 0)
    shard.redis.hset(bucket, mapping={str(n): "x" for n in range(KEYS_A_BUCKET)})
    full = once(shard, {"a": 1})
    assert isinstance(full, scripts.Turned) and full.full
    turned = shard.call(scripts.turn_once(shard.keys, full.generations, full=True)).generations
    assert [(each.number, each.buckets) for each in turned.live] == [(1, 1), (2, 4)]
    assert once(shard, {"a": 1}, generations=turned).pending == (2,)


def ages(shard: Shard, *generations: tuple[int, int, float]) -> Generations:
    """Have a shard's generations be these: (number, buckets, hours ago)."""
    seconds, _ = shard.redis.time()
    text = " ".join(f"{n}:{buckets}:{seconds * 1000 - hours * HOUR:.0f}" for n, buckets, hours in generations)
    shard.redis.set(shard.keys.once, text)
    return Generations(text)


def turn(shard: Shard, generations: Generations, **options: Any) -> Generations:
    turned: scripts.Turned = shard.call(scripts.turn_once(shard.keys, generations, **options))
    return turned.generations


def delete(shard: Shard, generations: Generations, first: int = 0) -> Generations:
    turned: scripts.Turned = shard.call(scripts.delete_buckets(shard.keys, generations, first))
    return turned.generations


def shape(generations: Generations) -> str:
    return re.sub(r":\d+(?= |$)", "", generations.text)


def test_a_generation_is_over_once_its_successor_is_a_day_old(shard: Shard) -> None:
    assert shape(turn(shard, ages(shard, (1, 1, 30), (2, 1, 23.9)))) == "1:1 2:1 3:1"
    over = turn(shard, ages(shard, (1, 1, 30), (2, 1, 24.1), (3, 1, 11)))
    assert shape(over) == "-1:1 2:1 3:1"
    assert shape(delete(shard, over, 1)) == "2:1 3:1"


def test_buckets_are_deleted_only_while_nobody_looks_into_them(shard: Shard) -> None:
    """Who learned that a generation is over may tell a Redis that went back by a day meanwhile."""
    over = ages(shard, (1, 1, 30), (2, 1, 25))
    over = turn(shard, over)
    assert [each.number for each in over.over] == [1]
    went_back = ages(shard, (1, 1, 1))
    assert once(shard, {"a": 5}, generations=went_back).pending == (6,)
    assert delete(shard, over).text == went_back.text
    assert isinstance(once(shard, {"a": 5}, sequence=3, generations=went_back), scripts.Kept)


def test_a_generation_of_many_buckets_is_forgotten_with_the_last_ones(shard: Shard) -> None:
    over = turn(shard, ages(shard, (1, 100, 30), (2, 1, 25), (3, 1, 1)))
    for number in range(100):
        shard.redis.hset(shard.keys.once_bucket(1, number), "k", "x")
    for first, left in ((0, 36), (64, 0)):
        assert delete(shard, over, first).text == over.text
        assert len([*shard.redis.scan_iter("*:once:1:*")]) == left
    assert shape(delete(shard, over, 128)) == "2:1 3:1"


def test_a_generation_has_a_successor_after_half_a_day_with_buckets_for_what_there_was(shard: Shard) -> None:
    assert shape(turn(shard, ages(shard, (7, 64, 11.9)))) == "7:64"
    for number in range(64):
        shard.redis.hset(shard.keys.once_bucket(7, number), mapping={str(n): "x" for n in range(50)})
    assert shape(turn(shard, ages(shard, (7, 64, 12)))) == "7:64 8:64"
    for number in range(64):
        shard.redis.delete(shard.keys.once_bucket(7, number))
        shard.redis.hset(shard.keys.once_bucket(7, number), mapping={str(n): "x" for n in range(10)})
    assert shape(turn(shard, ages(shard, (7, 64, 12)))) == "7:64 8:16"


def test_a_full_redis_keeps_no_key_and_counts_nothing(shard: Shard) -> None:
    shard.redis.config_set("maxmemory", 1)
    try:
        for call in (lambda: once(shard, {"a": 1}), lambda: keep(shard)):
            with pytest.raises(RedisFull):
                call()
    finally:
        shard.redis.config_set("maxmemory", 0)
    assert once(shard, {"a": 1}).pending == (2,)


def test_another_type_at_a_bucket_is_named(shard: Shard) -> None:
    shard.redis.set(shard.keys.once_bucket(1, 0), "x")
    with pytest.raises(Exception, match=r"\{likes:3\}:e:once:1:0 holds another type than ours; delete it"):
        once(shard, {"a": 1})


def fill(shard: Shard, keys: int) -> None:
    """Like under so many keys, as processes do: where a bucket is full, the next generation begins."""
    generations, left = ONE_BUCKET, [once_key(b"%d" % n, n) for n in range(keys)]
    adding = scripts.add(shard.keys, producer="p", sequence=1, entries=[(members("a")[0], 1)], wants_pending=True)
    while left:
        calls = [scripts.add_once(shard.keys, key, generations, adding, keeps_pending=True) for key in left[:500]]
        replies = ask(shard.link, calls)
        missed = [key for key, reply in zip(left, replies, strict=False) if isinstance(reply, scripts.Turned)]
        left = missed + left[500:]
        if missed:
            generations = turn(shard, generations, full=True)


@pytest.mark.parametrize("keys", [32_000, 36_000, 100_000])
def test_a_key_takes_little_of_redis(shard: Shard, keys: int) -> None:
    """Also just after there were not enough buckets, when those of the next generation hold few keys each."""
    fill(shard, keys)
    held = [*shard.redis.scan_iter("*:once*", count=1000)]
    assert {shard.redis.object("encoding", key) for key in held if ":once:" in key} <= {"listpack", "ziplist"}
    bytes_a_key = sum(shard.redis.memory_usage(key, samples=0) for key in held) / keys
    print(f"{keys} idempotency keys: {bytes_a_key:.1f} bytes each, {len(held)} Redis keys")
    assert bytes_a_key <= BYTES_A_KEY


# Counters.


Open = Callable[[], Any]


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=4) as rig:
        yield rig


@asynccontextmanager
async def process(rig: Rig) -> AsyncIterator[AsyncLikeCounter]:
    """A counter as another process has one: it knows nothing yet."""
    async with AsyncLikeCounter(
        redis_url=rig.places.redis, database_url=rig.places.database, shards=rig.shards
    ) as likes:
        yield likes


def test_a_repeat_on_another_process_counts_nothing(rig: Rig) -> None:
    async def main() -> None:
        async with process(rig) as one, process(rig) as other:
            assert await one.like_once("a", 3, key=b"k") == 3
            assert await other.like("a") == 4
            assert await other.like_once("a", 3, key=b"k") == 3
            assert await other.like_once("a", 3, key=b"other") == 7

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"a": 7}


def test_of_many_at_once_under_one_key_one_counts(rig: Rig) -> None:
    async def main() -> None:
        async with process(rig) as one, process(rig) as other:
            calls = [each.like_once("a", key=b"k") for each in (one, other) for _ in range(50)]
            assert set(await asyncio.gather(*calls)) == {1}

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"a": 1}


def test_a_process_that_knew_an_epoch_given_up_goes_on_with_the_current_one(rig: Rig) -> None:
    async def main() -> None:
        async with process(rig) as likes:
            await likes.add_once([("a", 1, "likes")], key=b"batch")  # does not ask under which numbers keys were used
            rig.flush()
            rig.redis.flushall()
            rig.flush()  # begins a fresh epoch
            assert await likes.like_once("a", 3, key=b"k") == 3

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"a": 4}


def test_a_key_is_of_one_use(rig: Rig) -> None:
    async def main() -> None:
        async with process(rig) as likes:
            await likes.like_once("a", 3, key=b"k")
            for count, counter in ((2, "likes"), (3, "views")):
                with pytest.raises(KeyReused):
                    await likes.like_once("a", count, key=b"k", counter=counter)
            await likes.add_once([("a", 1, "likes"), ("b", 1, "likes")], key=b"batch")
            with pytest.raises(KeyReused):
                await likes.add_once([("c", 1, "likes")], key=b"batch")

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"a": 4, "b": 1}


def test_a_batch_adds_once_and_its_repeats_lack_what_is_pending(rig: Rig) -> None:
    entries = [(f"item:{n % 600}", n % 5 - 2, "likes") for n in range(1000)]
    expected = {f"item:{n}": sum(count for item, count, _ in entries if item == f"item:{n}") for n in range(600)}

    async def main() -> None:
        async with process(rig) as one, process(rig) as other:
            assert await one.add_once(entries, key=b"k") == [expected[item] for item, _, _ in entries]
            assert await other.add_once(entries, key=b"k") == [None] * 1000

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {item: total for item, total in expected.items() if total}


def test_entries_of_a_batch_that_are_refused_say_why_each_time(rig: Rig) -> None:
    rig.likes.like("bad")
    rig.redis.set(next(key for key in rig.redis.scan_iter() if key.endswith(b":bad")), 2**63 - 1)
    entries = [("good", 1, "likes"), ("bad", 1, "likes"), ("bad", 2, "likes")]

    async def main() -> None:
        async with process(rig) as one, process(rig) as other:
            for likes, good in ((one, 1), (other, None)):
                first, *refused = await likes.add_once(entries, key=b"k")
                assert first == good
                assert [type(each) for each in refused] == [EntryRefused, EntryRefused]
                assert "flush first" in str(refused[0])

    asyncio.run(main())


def test_a_key_is_known_for_a_day_and_forgotten_with_its_bucket(rig: Rig) -> None:
    def grows_older(hours: float) -> None:
        for key in rig.redis.scan_iter("*:once"):
            text = rig.redis.get(key).decode()
            rig.redis.set(key, re.sub(r"\d{9,}", lambda began: f"{int(began[0]) - hours * HOUR:.0f}", text))

    async def likes(key: bytes) -> int:
        async with process(rig) as likes:
            for _ in range(4):  # it is told of the generations, has one begin, deletes another's buckets, forgets it
                counted = await likes.like_once("a", key=key)
            return counted

    assert asyncio.run(likes(b"first")) == 1
    grows_older(12)
    assert asyncio.run(likes(b"has a generation begin")) == 2
    assert asyncio.run(likes(b"second")) == 3
    grows_older(23.9)
    assert asyncio.run(likes(b"first")) == 1
    grows_older(0.2)
    assert asyncio.run(likes(b"second")) == 3
    assert asyncio.run(likes(b"first")) == 4
    held = {key.decode().rpartition("once:")[2] for key in rig.redis.scan_iter("*:once:*")}
    assert held == {"2:0", "3:0"}


def test_what_an_epoch_kept_is_dropped_with_it(rig: Rig) -> None:
    async def main() -> None:
        async with process(rig) as likes:
            await asyncio.gather(*(likes.like_once(f"{n}", key=b"%d" % n) for n in range(2000)))

    rig.flush()
    asyncio.run(main())
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)  # so that its epochs are retired and dropped
    rig.flush()
    assert set(rig.kinds()) == {"redis_went_back", "set_aside"}
    assert [*rig.redis.scan_iter("*:once*")] == []
