"""One AsyncLikeCounter for any number of event loops: each has connections of its own, which are gone with it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from likes import AsyncLikeCounter
from likes.deadline import Deadline
from likes.errors import EntryRefused, InvalidInput
from likes.items import MAX_COUNT
from likes.posting.loop_turn import LoopTurn
from tests.rig import Rig
from tests.waiting import wait_until

TIMES = 10


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig) -> AsyncLikeCounter:
    """Used by one loop after the other, and never closed: so nothing may be left of it."""
    places = rig.places
    return AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=2)


@pytest.fixture
def connections(rig: Rig) -> Callable[[], int]:
    """How many connections there are that there were not when the test began."""

    def open_now() -> set[str]:
        return {client["id"] for client in rig.redis.client_list()}

    before = open_now()  # some may still be closing: those of the test before
    return lambda: len(open_now() - before)


def test_a_loop_after_the_other(rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]) -> None:
    for number in range(1, TIMES + 1):
        assert asyncio.run(likes.like("video:1")) == number
        assert asyncio.run(likes.total("video:1")) == number
        assert asyncio.run(likes.pending("video:1")) == number
    wait_until(lambda: connections() == 0)
    rig.flush()
    assert rig.totals() == {"video:1": TIMES}


def test_an_item_that_recurs_thousands_of_times_in_one_call(likes: AsyncLikeCounter) -> None:
    entries = [("video:1", MAX_COUNT - 1, "likes")] * 5000 + [("", 1, "likes"), ("video:2", 3, "likes")]
    *most, wrong, last = asyncio.run(likes.like_each(entries))
    assert (max(most), last) == (5000 * (MAX_COUNT - 1), 3)
    assert isinstance(wrong, InvalidInput)


def test_a_loop_that_is_closed_without_ceremony(
    rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]
) -> None:
    """Its transports warn of it, as those of any library do; the server sees its connections closed all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for number in range(1, TIMES + 1):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(likes.like("video:1")) == number
            loop.close()
            del loop

        def left() -> int:
            gc.collect()  # which may be due again: what ends just now is garbage only then
            return connections()

        wait_until(lambda: left() <= 1)  # that of the last loop, until there is another
        asyncio.run(likes.like("video:1"))
        wait_until(lambda: left() == 0)


def test_a_loop_in_each_thread(rig: Rig, likes: AsyncLikeCounter) -> None:
    async def work() -> None:
        for _ in range(20):
            await asyncio.gather(*(likes.like("video:1") for _ in range(5)), likes.add({"video:2": 1}))
            await likes.total("video:1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: asyncio.run(work()), range(8)))
    rig.flush()
    assert rig.totals() == {"video:1": 8 * 100, "video:2": 8 * 20}


def test_a_loop_that_ends_in_the_middle_leaves_nothing_open(
    rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]
) -> None:
    """Its tasks are cancelled; a cancelled caller does not take its like back, if it was sent."""

    async def main() -> None:
        await likes.like("video:1")
        for _ in range(3):
            task = asyncio.create_task(likes.like("video:1"))
            await asyncio.wait([task], timeout=0)
        rig.redis.client_pause(100, all=True)

    asyncio.run(main())
    assert asyncio.run(likes.like("video:1")) in {2, 3, 4, 5}
    wait_until(lambda: connections() == 0)


def test_a_counter_that_was_closed_goes_on(rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]) -> None:
    async def main() -> None:
        for number in range(1, 4):
            async with likes:
                assert await likes.like("video:1") == number
                assert await likes.total("video:1") == number
            wait_until(lambda: connections() == 0)
        assert await likes.like("video:1") == 4
        assert await likes.like("video:1") == 5
        assert connections() == 1  # kept from one like to the next
        await likes.close()

    asyncio.run(main())


def test_one_loop_that_closes_it_leaves_the_others_alone(
    rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]
) -> None:
    async def close_at_once() -> None:
        async with likes:
            await likes.like("video:1")

    async def main() -> None:
        await likes.like("video:1")
        await asyncio.to_thread(asyncio.run, close_at_once())
        await likes.like("video:1")
        assert connections() == 1
        await likes.close()

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"video:1": 3}


# Frameworks that run a loop for each request.


def test_async_views_of_flask(rig: Rig, likes: AsyncLikeCounter, connections: Callable[[], int]) -> None:
    app = Flask(__name__)

    @app.post("/<item>")
    async def like(item: str) -> dict[str, int]:
        return {"pending": await likes.like(item), "total": await likes.total(item)}

    client = app.test_client()
    for number in range(1, TIMES + 1):
        assert client.post("/video").json == {"pending": number, "total": number}
    wait_until(lambda: connections() == 0)


PROGRAM_OF_DJANGO = """
import sys
from django.conf import settings
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from likes import AsyncLikeCounter

likes = AsyncLikeCounter(redis_url=sys.argv[1], database_url=sys.argv[2], shards=2)

async def like(request, item):
    return JsonResponse({"pending": await likes.like(item), "total": await likes.total(item)})

urlpatterns = [path("<item>", like)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
import django
django.setup()
for number in range(1, 11):
    assert Client().post("/video").json() == {"pending": number, "total": number}
"""


def run(program: str, rig: Rig) -> None:
    """Run a program on this Redis and this database."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(rig.places.redis), str(rig.places.database)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_async_views_of_django(rig: Rig) -> None:
    run(PROGRAM_OF_DJANGO, rig)
    rig.flush()
    assert rig.totals() == {"video": 10}


PROGRAM_THAT_FORKS = """
import asyncio, os, sys
from likes import AsyncLikeCounter

likes = AsyncLikeCounter(redis_url=sys.argv[1], database_url=sys.argv[2], shards=2)

async def work(mine):
    for _ in range(50):
        await asyncio.gather(likes.like("video:1"), likes.like(mine))
        await likes.total("video:1")

async def main():
    await work("parent")
    child = os.fork()
    if child == 0:
        asyncio.set_event_loop(None)
        asyncio._set_running_loop(None)  # as asyncio itself does from Python 3.12 on
        asyncio.run(work("child"))
        os._exit(0)
    await work("parent")
    assert os.waitpid(child, 0)[1] == 0
    await likes.close()

asyncio.run(main())
"""


def test_a_loop_in_a_forked_child(rig: Rig) -> None:
    run(PROGRAM_THAT_FORKS, rig)
    rig.flush()
    assert rig.totals() == {"video:1": 150, "parent": 100, "child": 50}


def test_a_call_that_is_late_for_a_turn_is_not_cut_short() -> None:
    """A turn may wait for a slow Redis, and has the time of its first caller."""

    async def main() -> None:
        turn = LoopTurn(10)
        turn.is_late = True
        assert turn.takes(1)
        turn.deadline = Deadline(4)
        assert not turn.takes(1)

    asyncio.run(main())


def test_callers_of_a_turn_are_answered_each_for_itself(rig: Rig, likes: AsyncLikeCounter) -> None:
    """One is cancelled, one likes an item whose key is damaged: neither takes the others with it."""

    async def main() -> None:
        await likes.like("damaged")
        rig.redis.set(rig.redis.keys("*delta:likes:damaged")[0], "no number")
        wanted = ("cancelled", "video:1", "damaged", "video:1", "video:2")
        cancelled, *others = (asyncio.create_task(likes.like(item)) for item in wanted)
        await asyncio.sleep(0)  # each has joined the turn
        cancelled.cancel()
        first, refused, second, third = await asyncio.gather(*others, return_exceptions=True)
        assert (first, second, third) == (2, 2, 1)
        assert isinstance(refused, EntryRefused) and [*refused.refused] == ["damaged"]
        assert cancelled.cancelled()
        assert await likes.pending("cancelled") == 1
        await likes.close()

    asyncio.run(main())


# Tasks that start at once.


def eager(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """A task that runs up to where it first waits before `create_task` returns, as those of Python 3.12 may."""
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        done = loop.create_future()
        done.set_result(end.value)
        return done

    class Rest:
        """The coroutine from where it waits."""

        def __await__(self) -> Any:
            awaited = waits_for
            while True:
                try:
                    answer = yield awaited
                except BaseException as error:
                    step = lambda error=error: work.throw(error)  # noqa: E731
                else:
                    step = lambda answer=answer: work.send(answer)  # noqa: E731
                try:
                    awaited = step()
                except StopIteration as end:
                    return end.value

    async def rest() -> Any:
        return await Rest()

    return asyncio.Task(rest(), loop=loop, **options)


def test_eager_tasks(rig: Rig, likes: AsyncLikeCounter) -> None:
    async def main() -> None:
        factory: Any = getattr(asyncio, "eager_task_factory", eager)
        asyncio.get_running_loop().set_task_factory(factory)
        assert await likes.like("video:1") == 1
        assert set(await asyncio.gather(*(likes.like("video:1") for _ in range(100)))) == {101}
        await likes.add({"video:1": 9})
        await likes.add({})
        assert await likes.totals(["video:1", "video:2"]) == {"video:1": 110, "video:2": 0}
        await likes.close()

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {"video:1": 110}
