"""A connection that was closed while nobody used it is replaced before it is used: nothing fails or is sent twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter
from likes.buffer.links import lender, loop_lender
from likes.sql.urls import url_of
from tests.proxy import Proxy
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.waiting import wait_until


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield rig
        rig.redis.config_set("timeout", 0)


def kill_all(rig: Rig) -> None:
    """As an operator does."""
    for client in rig.redis.client_list():
        if client["name"] != "test":
            rig.redis.client_kill_filter(_id=client["id"])


def wait_for_the_server(rig: Rig) -> None:
    """Until it has closed all by itself that are idle for a second."""
    rig.redis.config_set("timeout", 1)
    wait_until(lambda: [client["name"] for client in rig.redis.client_list()] == ["test"], timeout=30)
    rig.redis.config_set("timeout", 0)


CLOSES = pytest.mark.parametrize("close", [kill_all, wait_for_the_server], ids=["CLIENT KILL", "timeout"])


def scripts_run(rig: Rig) -> int:
    return int(rig.redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


@CLOSES
def test_a_counter_replaces_what_was_closed(rig: Rig, close: Callable[[Rig], None]) -> None:
    rig.redis.client_setname("test")
    rig.likes.like("video:1")
    rig.likes.total("video:1")
    close(rig)
    before = scripts_run(rig)
    assert rig.likes.like("video:1") == 2
    assert scripts_run(rig) - before == 1  # which was sent once
    close(rig)
    assert rig.likes.total("video:1") == 2
    close(rig)
    rig.likes.add({"video:1": 1, "video:2": 1})
    close(rig)
    assert rig.likes.pending("video:1") == 3


@CLOSES
def test_a_counter_for_asyncio_replaces_what_was_closed(rig: Rig, close: Callable[[Rig], None]) -> None:
    rig.redis.client_setname("test")

    async def main() -> None:
        places = rig.places
        async with AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=2) as likes:
            await likes.like("video:1")
            await asyncio.to_thread(close, rig)
            before = scripts_run(rig)
            assert await likes.like("video:1") == 2
            assert scripts_run(rig) - before == 1
            await asyncio.to_thread(close, rig)
            assert await likes.total("video:1") == 2
            await asyncio.gather(*(likes.total("video:1") for _ in range(5)))  # several connections
            await asyncio.to_thread(close, rig)
            await asyncio.gather(*(likes.total("video:1") for _ in range(5)))

    asyncio.run(main())


@CLOSES
def test_a_flush_replaces_what_was_closed(rig: Rig, close: Callable[[Rig], None]) -> None:
    rig.redis.client_setname("test")
    for number in range(1, 4):
        rig.likes.like("video:1")
        rig.flush()
        assert rig.totals() == {"video:1": number}
        close(rig)
    rig.flush()


def test_the_last_flush_replaces_what_was_closed(rig: Rig, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=rig.places.redis, database_url=url_of(rig.engine), shards=2)
    rig.redis.client_setname("test")
    rig.likes.like("video:1")
    with RunningWorker(shell, interval=300) as worker:
        worker.wait_for("flushed")
        rig.likes.like("video:1")
        worker.send(signal.SIGSTOP)  # it looks every second: what it has under way now is answered, and then it is idle
        kill_all(rig)
        worker.send(signal.SIGTERM)
        assert worker.stop(signal.SIGCONT) == 0
        bad = [line for line in worker.lines if '"level": "error"' in line or '"level": "warning"' in line]
        assert [line for line in bad if '"event": "finding"' not in line] == []
    assert rig.totals() == {"video:1": 2}


def test_a_counter_that_is_closed_while_threads_use_it_goes_on(rig: Rig) -> None:
    likes = rig.likes

    def work(_: int) -> None:
        for _ in range(50):
            likes.like("video:1")
            likes.total("video:1")

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, number) for number in range(4)]
        while not all(each.done() for each in working):
            likes.close()
        for each in working:
            each.result()
    rig.flush()
    assert rig.totals() == {"video:1": 200}


# A firewall that says nothing.


def test_a_connection_that_was_idle_for_long_is_not_trusted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(str(rig.places.redis)) as proxy:
        places = {"redis_url": proxy.url, "database_url": rig.places.database, "shards": 2, "redis_timeout": 60}

        async def main() -> None:
            async with AsyncLikeCounter(**places) as likes:
                for number in range(2, 5):
                    assert await likes.like("video:1") == number
                    assert await likes.total("video:1") == number
                    proxy.forget_connections()

        began = monotonic()
        with LikeCounter(**places) as likes:
            likes.like("video:1")
            proxy.forget_connections()
            for module in (lender, loop_lender):
                monkeypatch.setattr(module, "IDLE_SECONDS", 0)
            assert likes.total("video:1") == 1
        asyncio.run(main())
        assert monotonic() - began < 15  # half a time-out is 30


def test_a_mute_connection_takes_the_other_idle_ones_with_it(rig: Rig) -> None:
    """Else each of them would cost another half of a time-out. Nothing but a second try helps the first one."""
    with Proxy(str(rig.places.redis)) as proxy:
        places = {"redis_url": proxy.url, "database_url": rig.places.database, "shards": 2, "redis_timeout": 2}

        with LikeCounter(**places) as likes, ThreadPoolExecutor(10) as pool:
            rig.redis.client_pause(200, all=True)
            list(pool.map(likes.pending, ["video:2"] * 10))
            proxy.forget_connections()
            assert likes.like("video:2") == 1

        async def main() -> None:
            async with AsyncLikeCounter(**places) as likes:
                await asyncio.gather(*(likes.pending("video:1") for _ in range(10)))
                proxy.forget_connections()
                assert await likes.like("video:1") == 1
                assert await likes.total("video:1") == 1

        asyncio.run(main())
