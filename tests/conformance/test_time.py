"""One time-out bounds a call, whatever it waits for: a connection, an answer, the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Engine, text

from likes import AsyncLikeCounter, DatabaseUnavailable, InvalidInput, LikeCounter, OutcomeUnknown, RedisUnavailable
from likes.buffer.links.lender import MOST, _Line
from likes.deadline import Deadline
from tests.proxy import Proxy
from tests.rig import Rig
from tests.servers import RedisServer
from tests.waiting import wait_until

A_HUNDRED_AND_ONE = 150  # and more
SLACK_SECONDS = 2.5  # of a machine that is busy with other tests; without its time-out a call takes five and more


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield rig


@pytest.fixture
def frozen(own_valkey: Callable[..., RedisServer], sqlite_engine: Engine) -> Iterator[Freezing]:
    """A Redis that neither answers nor breaks off."""
    server = own_valkey()
    with Rig(server.url, sqlite_engine, shards=2) as rig:
        yield Freezing(server, rig)
        server.resume()


class Freezing:
    """A server that is frozen, and the counters that knew it before."""

    def __init__(self, server: RedisServer, rig: Rig) -> None:
        self.server = server
        self.places = {"redis_url": server.url, "database_url": rig.places.database, "shards": 2}

    def run(self, work: Callable[[Any], Any], **options: Any) -> None:
        """`work` with a counter, which has been used before the server was frozen."""
        with LikeCounter(**self.places, **options) as likes:
            likes.like("video:1")
            likes.total("video:1")
            self.server.pause()
            work(likes)
            self.server.resume()

    def run_async(self, work: Callable[[Any], Coroutine[Any, Any, None]], **options: Any) -> None:
        """The same for asyncio."""

        async def main() -> None:
            async with AsyncLikeCounter(**self.places, **options) as likes:
                await likes.like("video:1")
                await likes.total("video:1")
                self.server.pause()
                await work(likes)
                self.server.resume()

        asyncio.run(main())


@contextmanager
def takes(seconds: float) -> Iterator[None]:
    """The block takes about as long."""
    began = monotonic()
    yield
    assert seconds * 0.9 <= monotonic() - began < seconds + SLACK_SECONDS


CALLS: dict[str, tuple[Callable[..., Any], type[Exception]]] = {
    "like": (lambda likes, **timeout: likes.like("video:1", **timeout), OutcomeUnknown),
    "unlike": (lambda likes, **timeout: likes.unlike("video:1", **timeout), OutcomeUnknown),
    "add": (lambda likes, **timeout: likes.add({"video:1": 1, "video:2": 1}, **timeout), OutcomeUnknown),
    "total": (lambda likes, **timeout: likes.total("video:1", **timeout), RedisUnavailable),
    "totals": (lambda likes, **timeout: likes.totals(["video:1", "video:2"], **timeout), RedisUnavailable),
    "pending": (lambda likes, **timeout: likes.pending("video:1", **timeout), RedisUnavailable),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_frozen_redis_holds_a_call_no_longer_than_its_time_out(frozen: Freezing, name: str) -> None:
    call, error = CALLS[name]

    def work(likes: LikeCounter) -> None:
        with pytest.raises(error, match="did not answer"), takes(1):
            call(likes)
        with pytest.raises(error, match="did not answer"), takes(0.2):
            call(likes, timeout=0.2)

    frozen.run(work, redis_timeout=1)


@pytest.mark.parametrize("name", CALLS)
def test_a_frozen_redis_holds_a_task_no_longer_than_its_time_out(frozen: Freezing, name: str) -> None:
    call, error = CALLS[name]

    async def work(likes: AsyncLikeCounter) -> None:
        with takes(1):
            ended = await asyncio.gather(
                call(likes), *(call(likes, timeout=0.2) for _ in range(3)), return_exceptions=True
            )
        assert all(isinstance(each, error) for each in ended), ended

    frozen.run_async(work, redis_timeout=1)


def test_calls_of_one_turn_have_a_time_out_each(frozen: Freezing) -> None:
    async def work(likes: AsyncLikeCounter) -> None:
        patient = asyncio.ensure_future(likes.like("video:1"))
        with pytest.raises(OutcomeUnknown), takes(0.2):
            await likes.like("video:1", timeout=0.2)
        assert not patient.done()
        frozen.server.resume()
        await patient

    frozen.run_async(work, redis_timeout=20)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1", True, 10**6])
def test_a_wrong_time_out_is_refused(rig: Rig, seconds: Any) -> None:
    for call, _ in CALLS.values():
        with pytest.raises(InvalidInput, match="timeout is .*allowed: 0.001 to 86400 seconds"):
            call(rig.likes, timeout=seconds)
    assert rig.redis.keys() == []


def test_the_first_try_leaves_time_for_another(rig: Rig) -> None:
    """The connection has become mute; a new one is not."""
    with (
        Proxy(str(rig.places.redis)) as proxy,
        LikeCounter(redis_url=proxy.url, database_url=rig.places.database, shards=2, redis_timeout=2) as likes,
    ):
        likes.like("video:1")
        proxy.forget_connections()
        with takes(1):
            assert likes.like("video:1") == 2
        proxy.forget_connections()
        with takes(1):
            assert likes.total("video:1") == 2


def test_the_first_try_of_a_task_leaves_time_for_another(rig: Rig) -> None:
    async def main() -> None:
        places = {"redis_url": proxy.url, "database_url": rig.places.database, "shards": 2}
        async with AsyncLikeCounter(**places, redis_timeout=2) as likes:
            await likes.like("video:1")
            proxy.forget_connections()
            with takes(1):
                assert await likes.like("video:1") == 2
            proxy.forget_connections()
            with takes(1):
                assert await likes.total("video:1") == 2

    with Proxy(str(rig.places.redis)) as proxy:
        asyncio.run(main())


# The database.


@pytest.fixture
def locked(valkey_url: str, postgres_url: str) -> Iterator[dict[str, Any]]:
    """Where the counters of a database are whose table of totals somebody else has locked."""
    from likes.sql.engine import open_engine, writing
    from likes.sql.schema import migrate

    engine = open_engine(postgres_url, timeout=30)
    migrate(engine)
    places = {"redis_url": valkey_url, "database_url": postgres_url, "shards": 2}
    with LikeCounter(**places) as likes:
        likes.like("video:1")
    with writing(engine) as connection:
        connection.execute(text("LOCK TABLE likes_totals"))
        yield places
    engine.dispose()


def test_the_time_out_of_a_total_includes_the_database(locked: dict[str, Any]) -> None:
    with LikeCounter(**locked, database_timeout=5, redis_timeout=1) as likes:
        with pytest.raises(DatabaseUnavailable, match="likes are still accepted"), takes(1):
            likes.total("video:1")
        with ThreadPoolExecutor(20) as pool, takes(0.3):  # more than it has connections
            waiting = [pool.submit(likes.total, "video:1", timeout=0.3) for _ in range(20)]
            assert {type(each.exception()) for each in waiting} == {DatabaseUnavailable}
        assert likes.like("video:1") == 2


def test_the_time_out_of_a_task_that_reads_includes_the_database(locked: dict[str, Any]) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(**locked, database_timeout=5) as likes:
            with takes(2):
                waiting = [likes.total("video:1", timeout=2) for _ in range(20)]
                ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(each) for each in ended} == {DatabaseUnavailable}
            assert await likes.like("video:1") == 2

    asyncio.run(main())


# More calls at once than there are connections.


def test_more_threads_than_connections_wait_for_one(rig: Rig) -> None:
    likes = LikeCounter(redis_url=rig.places.redis, database_url=rig.places.database, shards=2, redis_timeout=30)
    likes.like("video:1")
    rig.redis.client_pause(1000, all=True)
    with likes, ThreadPoolExecutor(2 * A_HUNDRED_AND_ONE) as pool:
        liking = [pool.submit(likes.like, "video:1") for _ in range(A_HUNDRED_AND_ONE)]
        reading = [pool.submit(likes.total, "video:1") for _ in range(A_HUNDRED_AND_ONE)]
        for each in liking + reading:
            each.result()
        assert likes.total("video:1") == A_HUNDRED_AND_ONE + 1


def test_more_tasks_than_connections_wait_for_one(rig: Rig) -> None:
    async def main() -> None:
        places = {"redis_url": rig.places.redis, "database_url": rig.places.database, "shards": 2}
        async with AsyncLikeCounter(**places, redis_timeout=30) as likes:
            await likes.like("video:1")
            rig.redis.client_pause(1000, all=True)
            await asyncio.gather(*(likes.total("video:1") for _ in range(A_HUNDRED_AND_ONE)), likes.like("video:1"))
            assert await likes.total("video:1") == 2

    asyncio.run(main())
    assert len(rig.redis.client_list()) < 2 * MOST


def test_a_connection_is_waited_for_no_longer_than_the_time_out(frozen: Freezing) -> None:
    def work(likes: LikeCounter) -> None:
        with ThreadPoolExecutor(MOST) as pool:
            stuck = [pool.submit(likes.pending, "video:1", timeout=8) for _ in range(MOST)]
            wait_until(lambda: likes._opened.get().link._lender._line._free == 0)
            with pytest.raises(RedisUnavailable, match="no connection to it was free in time"), takes(0.3):
                likes.like("video:1", timeout=0.3)  # not sent, and so not counted
            frozen.server.resume()
            assert [each.result() for each in stuck] == [1] * MOST

    frozen.run(work)


def test_a_task_waits_for_a_connection_no_longer_than_its_time_out(frozen: Freezing) -> None:
    async def work(likes: AsyncLikeCounter) -> None:
        stuck = [asyncio.ensure_future(likes.pending("video:1", timeout=8)) for _ in range(MOST)]
        await asyncio.wait(stuck, timeout=0.1)
        with pytest.raises(RedisUnavailable, match="no connection to Redis was free in time"), takes(0.3):
            await likes.like("video:1", timeout=0.3)
        frozen.server.resume()
        assert await asyncio.gather(*stuck) == [1] * MOST

    frozen.run_async(work)


def test_who_asks_first_is_let_in_first() -> None:
    line = _Line(1)
    line.enter(Deadline(10))
    came: list[int] = []

    def wait(number: int) -> None:
        line.enter(Deadline(10))
        came.append(number)
        line.leave()

    with ThreadPoolExecutor(5) as pool:
        for number in range(5):
            pool.submit(wait, number)
            wait_until(lambda number=number: len(line._waiting) == number + 1)
        line.leave()
        line.enter(Deadline(10))  # again, and so after all others
        assert came == [0, 1, 2, 3, 4]
        line.leave()


def test_who_gives_up_takes_no_place() -> None:
    line = _Line(1)
    line.enter(Deadline(10))
    with pytest.raises(TimeoutError):
        line.enter(Deadline(0.01))
    line.leave()
    line.enter(Deadline(0.01))
