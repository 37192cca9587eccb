"""A like whose reply is lost is sent again and counted once; where that cannot be known, it is said to be unknown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, EntryRefused, LikeCounter, OutcomeUnknown, RedisUnavailable
from likes.buffer.scripts import ADD, BEGIN_EPOCH
from likes.items import shard_of
from tests.proxy import Proxy
from tests.rig import Rig

SHARDS = 2
NAMES = [f"video:{n}" for n in range(20)]
FIRST, SECOND = ([name for name in NAMES if shard_of(name.encode(), SHARDS) == shard] for shard in range(SHARDS))


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=SHARDS) as rig:
        yield rig


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[Proxy]:
    with Proxy(valkey_url) as proxy:
        yield proxy


@pytest.fixture
def likes(proxy: Proxy, rig: Rig) -> Iterator[LikeCounter]:
    """A counter whose connections go through the proxy."""
    with LikeCounter(redis_url=proxy.url, database_url=str(rig.engine.url), shards=SHARDS, redis_timeout=1) as likes:
        likes.like("warm")  # the scripts are known from here on
        yield likes


@pytest.mark.parametrize("times", [1, 3])
def test_a_like_whose_reply_is_lost_counts_once(rig: Rig, likes: LikeCounter, proxy: Proxy, times: int) -> None:
    proxy.lose_reply_to(ADD.sha, times=times)
    assert likes.like("video:1", 5) == 5
    assert proxy.lost == times
    assert likes.like("video:1") == 6
    rig.flush()
    assert rig.totals()["video:1"] == 6


def test_many_likes_whose_replies_are_lost_count_once(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    proxy.lose_reply_to(ADD.sha, times=2)
    deltas = {f"item {n}": n + 1 for n in range(2500)}  # more than one call a shard
    likes.add(deltas)
    assert proxy.lost == 2
    rig.flush()
    assert {item: total for item, total in rig.totals().items() if item != "warm"} == deltas


def test_beginning_a_shard_whose_reply_is_lost_begins_it_once(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    rig.redis.flushall()
    proxy.lose_reply_to(BEGIN_EPOCH.sha)
    with LikeCounter(redis_url=proxy.url, shards=SHARDS) as newcomer:
        assert newcomer.like("video:1") == 1
    assert proxy.lost == 1
    assert len(rig.epochs(shard_of(b"video:1", SHARDS))) == 1


def test_a_like_is_sent_again_between_two_flushes(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    proxy.lose_reply_to(ADD.sha, then=rig.flush)
    likes.like("video:1", 5)
    rig.flush()
    assert rig.totals()["video:1"] == 5


def test_an_outcome_is_unknown_when_redis_was_emptied_before_the_resend(
    rig: Rig, likes: LikeCounter, proxy: Proxy
) -> None:
    proxy.lose_reply_to(ADD.sha, then=rig.redis.flushall)
    with pytest.raises(OutcomeUnknown, match="'video:1' was counted is unknown") as caught:
        likes.like("video:1", 5)
    assert (caught.value.accepted, caught.value.refused, caught.value.unknown) == ({}, {}, {"video:1": 5})
    assert likes.like("video:1") == 1  # the next one is no resend: the fresh epoch takes it
    rig.flush()
    assert rig.totals()["video:1"] == 1


def test_each_item_of_an_add_is_accounted_for(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    """Of two shards one is replaced before the resend; in the other one entry is refused."""
    accepted, refused, unknown = FIRST[0], FIRST[1], SECOND[0]
    likes.add({accepted: 1, unknown: 1})
    rig.flush()
    rig.redis.set(rig.key(f"delta:likes:{refused}", 0), "abc")
    proxy.lose_reply_to("{likes:1}:epoch", then=lambda: rig.redis.delete("{likes:1}:epoch"))
    with pytest.raises(OutcomeUnknown) as caught:
        likes.add({accepted: 10, refused: 20, unknown: 30})
    assert caught.value.accepted == {accepted: 10}
    assert caught.value.refused == {refused: "the key of its delta holds no whole number; a flush sets it aside"}
    assert caught.value.unknown == {unknown: 30}
    rig.flush()
    assert rig.totals()[accepted] == 11
    assert rig.totals()[unknown] in (1, 31)  # only nobody could know which


def test_a_refused_entry_stays_refused_when_sent_again(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    likes.like("video:1")
    key = rig.key("delta:likes:video:1", shard_of(b"video:1", SHARDS))
    rig.redis.set(key, 2**63 - 3)
    proxy.lose_reply_to(ADD.sha, then=lambda: rig.redis.set(key, 0))  # it would fit by now
    with pytest.raises(EntryRefused, match="would leave 64 bits") as caught:
        likes.add({"video:1": 5})
    assert caught.value.refused.keys() == {"video:1"}
    assert rig.redis.get(key) == b"0"


def test_a_first_send_to_an_epoch_that_is_over_is_sent_to_the_next(rig: Rig, likes: LikeCounter) -> None:
    likes.like("video:1")
    rig.redis.flushall()
    assert likes.like("video:1", 5) == 5


def test_a_redis_that_is_away_is_said_to_be_and_nothing_is_counted(own_port: int) -> None:
    with LikeCounter(redis_url=f"redis://127.0.0.1:{own_port}") as likes:
        with pytest.raises(RedisUnavailable, match=f"127.0.0.1:{own_port} cannot be reached"):
            likes.like("video:1")
        with pytest.raises(RedisUnavailable):
            likes.add({"video:1": 1, "video:2": 1})


@pytest.fixture
def own_port() -> Iterator[int]:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# Sharing.


def test_threads_share_one_counter(rig: Rig) -> None:
    def work(_: int) -> None:
        for _ in range(100):
            rig.likes.like("video:1")
            rig.likes.add({"video:1": 2, "video:2": -1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
        rig.flush()
    assert rig.totals() == {"video:1": 2400, "video:2": -800}


def test_threads_that_lose_replies_count_exactly(rig: Rig, likes: LikeCounter, proxy: Proxy) -> None:
    proxy.lose_reply_to(ADD.sha, times=12)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: likes.like(f"video:{n % 3}"), range(300)))
    assert proxy.lost == 12
    rig.flush()
    assert {item: total for item, total in rig.totals().items() if item != "warm"} == {
        "video:0": 100,
        "video:1": 100,
        "video:2": 100,
    }


def test_a_counter_used_before_a_fork_counts_in_both_processes(rig: Rig) -> None:
    program = """
import os, sys
from likes import LikeCounter
likes = LikeCounter(redis_url=sys.argv[1], database_url=sys.argv[2], shards=2)
likes.like("video:1")
assert likes.total("video:1") == 1
child = os.fork()
for number in range(100):
    likes.like("video:1")
    likes.add({"child" if child == 0 else "parent": 1})
    likes.total("video:1")
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    places = rig.places
    run = subprocess.run(
        [sys.executable, "-c", program, str(places.redis), str(places.database)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rig.flush()
    assert rig.totals() == {"video:1": 201, "child": 100, "parent": 100}


# asyncio.


def counter_for(rig: Rig, **options: object) -> AsyncLikeCounter:
    places = rig.places
    return AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=SHARDS, **options)  # type: ignore[arg-type]


def script_calls(rig: Rig) -> int:
    return int(rig.redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def test_the_likes_of_one_turn_are_one_call_a_shard(rig: Rig) -> None:
    async def main() -> None:
        async with counter_for(rig) as likes:
            await likes.add({FIRST[0]: 1, SECOND[0]: 1})
            before = script_calls(rig)
            pending = await asyncio.gather(*(likes.like(FIRST[0]) for _ in range(100)))
            assert set(pending) == {101}
            assert script_calls(rig) - before == 1
            await asyncio.gather(*(likes.like(name) for name in NAMES))
            assert script_calls(rig) - before == 3

    asyncio.run(main())
    rig.flush()
    assert sum(rig.totals().values()) == 122


def test_a_refusal_is_told_to_its_caller_only(rig: Rig) -> None:
    good, bad = FIRST[:2]

    async def main() -> None:
        async with counter_for(rig) as likes:
            await likes.like(good)
            rig.redis.set(rig.key(f"delta:likes:{bad}", 0), "abc")
            outcomes = await asyncio.gather(
                likes.like(good), likes.like(bad, 3), likes.add({good: 1, bad: 4}), return_exceptions=True
            )
        assert outcomes[0] == 3
        for outcome, accepted in ((outcomes[1], {}), (outcomes[2], {good: 1})):
            assert isinstance(outcome, EntryRefused)
            assert (outcome.accepted, outcome.refused.keys()) == (accepted, {bad})

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {good: 3}


def test_an_async_like_whose_reply_is_lost_counts_once(rig: Rig, proxy: Proxy) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(redis_url=proxy.url, shards=SHARDS, redis_timeout=1) as likes:
            await likes.like("video:1")
            proxy.lose_reply_to(ADD.sha)
            await asyncio.gather(*(likes.like("video:1") for _ in range(10)))

    asyncio.run(main())
    assert proxy.lost == 1
    rig.flush()
    assert rig.totals() == {"video:1": 11}


def test_a_caller_that_gives_up_takes_no_other_with_it(rig: Rig) -> None:
    async def main() -> None:
        async with counter_for(rig) as likes:
            await likes.like("video:1")
            tasks = [asyncio.create_task(likes.like("video:1")) for _ in range(3)]
            await asyncio.wait(tasks, timeout=0)
            tasks[0].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done[0], asyncio.CancelledError)
            assert done[1:] == [4, 4]

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"video:1": 4}


def test_a_turn_cancelled_before_it_is_sent_hangs_nobody(rig: Rig) -> None:
    async def main() -> None:
        async with counter_for(rig) as likes:
            await likes.like("video:1")
            waiting = asyncio.ensure_future(likes.like("video:1"))
            await asyncio.sleep(0)  # its turn has begun, its sending has not
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await likes.like("video:1") == 2

    asyncio.run(main())


def test_likes_wait_for_a_slow_redis_instead_of_being_refused(rig: Rig) -> None:
    """More turns than a pool has connections go by while it does not answer."""

    async def main() -> None:
        async with counter_for(rig) as likes:
            await likes.like("video:1")
            rig.redis.client_pause(1000, all=True)
            waiting = []
            for _ in range(500):
                waiting.append(asyncio.ensure_future(likes.like("video:1")))
                await asyncio.sleep(0)
            await asyncio.gather(*waiting)

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"video:1": 501}
