"""Another number of shards on a live system: likes count once, totals stay true, whoever was told another number learns
it. `tests/crash/test_resharding.py` kills it everywhere, `tests/integration/test_resharding_live.py` has traffic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, KeyReused, LikeCounter, LikesError, OutcomeUnknown, Resharding, WrongShards
from likes.buffer.generations import KNOWN_SECONDS
from likes.buffer.resharding import forget_left
from likes.items import shard_of
from likes.reports.audit import audit
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.waiting import wait_until

ITEMS = {f"video:{number}": number % 7 + 1 for number in range(60)}
CLOSED, DRAINED = "flushing what is pending", "pointing them at epochs"


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=16) as rig:
        yield rig


@pytest.fixture
def lite(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    """On one kind of database, where it does not matter which."""
    with Rig(valkey_url, sqlite_engine, shards=16) as rig:
        yield rig


def places(rig: Rig) -> dict[str, Any]:
    return {"redis_url": rig.places.redis_url(), "database_url": url_of(rig.engine)}


@contextmanager
def client(rig: Rig, shards: int, **options: Any) -> Iterator[LikeCounter]:
    with LikeCounter(**places(rig), shards=shards, **options) as likes:
        yield likes


def times(number: int) -> dict[str, int]:
    return {item: number * count for item, count in ITEMS.items()}


def when(step: str, do: Callable[[], object]) -> Callable[[str], None]:
    """Something to do at a step of a change."""

    def tell(said: str) -> None:
        if said.startswith(step):
            do()

    return tell


def test_each_like_counts_once_and_totals_are_true_under_every_number(rig: Rig) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    rig.likes.add(ITEMS)
    for turn, (before, to) in enumerate([(16, 4), (4, 33), (33, 16)], start=2):
        assert rig.reshard(to) == before
        with client(rig, to) as likes:
            assert likes.live(ITEMS) == {
                item: total._replace(exact=True, doubt=None) for item, total in likes.live(ITEMS).items()
            }
            assert likes.totals(ITEMS) == rig.totals() == times(turn)
            likes.add(ITEMS)
            assert likes.totals(ITEMS) == times(turn + 1)
    rig.flush()
    assert rig.totals() == rig.likes.totals(ITEMS) == times(5)
    assert (rig.kinds(), rig.dead_letters()) == ([], [])
    assert {row.reason for row in rig.retired().values()} == {"the number of shards was changed"}
    with rig.new_worker(any_number=True) as worker:
        worker.flush()
    assert audit(rig.worker.buffer, rig.worker.ledger, 16).ok
    assert all(rig.epochs(shard) == {rig.epoch(shard)} for shard in range(33)), "those given up are dropped"


def test_whoever_was_told_another_number_learns_it(lite: Rig) -> None:
    lite.likes.add(ITEMS)

    async def asynchronously(shards: int) -> None:
        async with AsyncLikeCounter(**places(lite), shards=shards) as likes:
            for call in (likes.like("a"), likes.totals(["a"]), likes.like_once("a", key=b"k")):
                with pytest.raises(WrongShards, match="16 shards, and LIKES_SHARDS is 4 here: set it to 16"):
                    await call

    for few in (4, 64):
        with client(lite, few) as likes, pytest.raises(WrongShards):
            likes.like("a")
        with client(lite, few) as likes, pytest.raises(WrongShards):
            likes.totals(["a"])
    asyncio.run(asynchronously(4))
    lite.reshard(4)
    for _ in range(2):  # it knows the epoch of before, and then it does not
        with pytest.raises(WrongShards, match="holds likes in 4 shards"):
            lite.likes.add(ITEMS)
        with pytest.raises(WrongShards):
            lite.likes.totals(ITEMS)
    with pytest.raises(WrongShards):
        lite.flush()
    assert lite.totals() == ITEMS


def in_shard(shard: int, shards: int, *, of: int, not_in: int) -> str:
    """An item of a shard that lies elsewhere under another number."""
    found = (f"item {n}" for n in range(10_000))
    return next(
        item for item in found
        if shard_of(item.encode(), shards) == shard and shard_of(item.encode(), of) != not_in
    )  # fmt: skip


def test_clients_of_two_numbers_meet_in_shard_0_before_there_is_anything(lite: Rig) -> None:
    item = in_shard(9, 16, of=4, not_in=0)
    with client(lite, 4) as four:
        four.like(item)
        with pytest.raises(WrongShards):
            lite.likes.like(item)
        with pytest.raises(WrongShards):
            lite.likes.total(item)
        assert lite.epoch(9) == ""
        assert four.total(item) == 1


def test_epochs_of_an_older_version_say_nothing_and_get_a_number(lite: Rig) -> None:
    for shard in range(16):
        lite.redis.sadd(f"{{likes:{shard}}}:epochs", f"old{shard}")
        lite.redis.set(f"{{likes:{shard}}}:epoch", f"old{shard}")
    lite.likes.add(ITEMS)
    lite.flush()
    lite.likes.add(ITEMS)
    assert lite.reshard(4) == 16
    with client(lite, 4) as likes:
        assert likes.totals(ITEMS) == lite.totals() == times(2)
    assert lite.kinds() == []


def test_while_shards_are_closed_likes_wait_and_reads_go_on(lite: Rig) -> None:
    lite.likes.add(ITEMS)
    lite.flush()

    def meanwhile() -> None:
        assert lite.likes.totals(ITEMS) == ITEMS
        with client(lite, 16) as likes:
            with pytest.raises(Resharding):
                likes.like("video:1", timeout=3)
            assert likes.totals(ITEMS) == ITEMS
        errors = lite.redis.info("stats")["total_error_replies"]
        with ThreadPoolExecutor(1) as pool, client(lite, 16, redis_timeout=60) as patient:
            waits = pool.submit(patient.like, "video:1")
            wait_until(
                lambda: lite.redis.info("stats")["total_error_replies"] > errors + 12, 60
            )  # it tries for seconds
            for shard in range(16):
                lite.redis.delete(f"{{likes:{shard}}}:resharding")  # it was broken off, and undone
            assert waits.result() == 1

    with pytest.raises(LikesError, match="not as it was left"):
        lite.reshard(4, when(DRAINED, meanwhile))
    lite.reshard(16)
    assert lite.likes.total("video:1") == ITEMS["video:1"] + 1


def test_a_resend_of_what_counted_before_gets_its_answer_while_shards_are_closed(lite: Rig) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(**places(lite)) as likes:
            assert await likes.like_once("a", 3, key=b"k") == 3
            lite.redis.set(f"{{likes:{shard_of(b'a', 16)}}}:resharding", 4)
            assert await likes.like_once("a", 3, key=b"k") == 3
            with pytest.raises(Resharding):
                await likes.like_once("a", 3, key=b"other", timeout=3)

    asyncio.run(main())


def test_an_idempotency_key_counts_once_across_changes(lite: Rig) -> None:
    many = [(item, count, "likes") for item, count in ITEMS.items()]

    async def first(shards: int, item: str) -> None:
        async with AsyncLikeCounter(**places(lite), shards=shards) as likes:
            assert await likes.like_once(item, 3, key=b"k" + item.encode()) == 3
            assert await likes.add_once(many, key=b"many" + item.encode()) == [*ITEMS.values()]

    async def repeat(shards: int, item: str) -> None:
        async with AsyncLikeCounter(**places(lite), shards=shards) as likes:
            for _ in range(2):
                assert await likes.like_once(item, 3, key=b"k" + item.encode()) == 3
                with pytest.raises(OutcomeUnknown):
                    await likes.add_once(many, key=b"many" + item.encode())
            with pytest.raises(KeyReused):
                await likes.like_once(item, 4, key=b"k" + item.encode())
            with pytest.raises(KeyReused):
                await likes.add_once(many[:2], key=b"many" + item.encode())

    asyncio.run(first(16, "a"))
    lite.reshard(4)
    asyncio.run(repeat(4, "a"))
    asyncio.run(first(4, "b"))
    lite.reshard(33)
    for item in ("a", "b"):
        asyncio.run(repeat(33, item))
    lite.reshard(16)
    for item in ("a", "b"):
        asyncio.run(repeat(16, item))
    assert lite.totals() == {**times(2), "a": 3, "b": 3}


def test_keys_of_before_are_kept_for_a_day(lite: Rig) -> None:
    async def like() -> int:
        async with AsyncLikeCounter(**places(lite), shards=4) as likes:
            return await likes.like_once("a", 3, key=b"k")

    def age(seconds: float) -> None:
        for key in lite.redis.scan_iter("*}:left"):
            entries = [entry.split(b" ", 1) for entry in lite.redis.get(key).split(b"\n")]
            lite.redis.set(key, b"\n".join(b"%d %s" % (int(at) - seconds * 1000, rest) for at, rest in entries))

    lite.likes.like("a")
    lite.reshard(4)
    asyncio.run(like())
    lite.reshard(16)
    lite.reshard(4)
    lite.worker.claim(range(16))
    buckets = {*lite.redis.scan_iter("*:once:*")}
    age(KNOWN_SECONDS - 600)
    forget_left(lite.worker.buffer, range(16))
    assert {*lite.redis.scan_iter("*:once:*")} == buckets
    assert asyncio.run(like()) == 3
    age(1200)
    forget_left(lite.worker.buffer, range(16))
    assert {*lite.redis.scan_iter("*}:left")} == set()
    assert not buckets.intersection(lite.redis.scan_iter("*:once:*"))


@pytest.mark.parametrize("shard", [0, 9])
def test_a_client_of_an_older_version_keeps_the_number_and_loses_nothing(lite: Rig, shard: int) -> None:
    """It knows of no mark, and goes on posting; the shards open again if none was pointed elsewhere before."""
    lite.likes.add(ITEMS)
    item = in_shard(shard, 16, of=4, not_in=5)

    def post() -> None:
        under = f"{{likes:{shard}}}:{lite.epoch(shard)}"
        lite.redis.incrby(f"{under}:delta:likes:{item}", 5)
        lite.redis.hincrby(f"{under}:state", "accepted", 5)
        lite.redis.rpush(f"{under}:pending", f"likes:{item}")

    with pytest.raises(LikesError, match=f"shard {shard} does not become empty"):
        lite.reshard(4, when(DRAINED, post))
    marks = [lite.redis.get(key) for key in lite.redis.scan_iter("*}:resharding")]
    assert marks == [b"4" if shard else b""] * 16
    lite.reshard(16)
    lite.flush()
    expected = {**ITEMS, item: ITEMS.get(item, 0) + 5}
    assert lite.likes.totals(expected) == lite.totals() == expected
    assert (lite.kinds(), lite.dead_letters()) == ([], [])


def test_two_that_change_it_at_once_do_not_leave_it_half_done(lite: Rig) -> None:
    lite.likes.add(ITEMS)
    with pytest.raises(LikesError, match="not as it was left"):
        lite.reshard(4, when(DRAINED, lambda: lite.reshard(33)))
    with client(lite, 33) as likes:
        likes.add(ITEMS)
        assert likes.totals(ITEMS) == times(2)


def test_what_another_one_closes_meanwhile_stays_closed(lite: Rig) -> None:
    lite.likes.add(ITEMS)
    with pytest.raises(LikesError, match="shard 7 is not as it was left"):
        lite.reshard(4, when("opening", lambda: lite.redis.set("{likes:7}:resharding", 33)))
    assert lite.redis.get("{likes:7}:resharding") == b"33"
    lite.reshard(16)
    assert lite.likes.totals(ITEMS) == ITEMS


def test_what_went_back_in_sql_meanwhile_is_an_incident(lite: Rig) -> None:
    """The fresh epoch follows a place where the cursor does not stand any more."""
    lite.likes.add(ITEMS)
    lite.flush()
    copy = lite.copy_sql()
    lite.likes.like("video:1")

    def restore() -> None:
        if not lite.kinds():
            lite.restore_sql(copy)

    lite.reshard(4, when(DRAINED, restore))
    assert lite.kinds() == ["redis_replaced"]
