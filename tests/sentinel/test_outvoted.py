"""Sentinels that name another master than the others, or say nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from likes.buffer.calls import command
from likes.buffer.links.sentinels import WORD_SECONDS
from likes.connect import Places
from likes.deadline import Deadline
from tests.running_servers import running
from tests.sentinels import PATIENCE, SERVICE, Node, SentinelServer, Watched
from tests.servers import RedisServer


@pytest.fixture
def stranger(own_valkey: Callable[..., RedisServer]) -> Iterator[Node]:
    """A master of somebody else's."""
    with closing(Node(own_valkey())) as stranger:
        yield stranger


@pytest.fixture
def liar(stranger: Node) -> Iterator[Node]:
    """A Sentinel that watches the stranger, under the name of ours."""
    monitor = f"sentinel monitor {SERVICE} 127.0.0.1 {stranger.server.port} 1"
    with closing(Node(SentinelServer(stranger.server.binary, monitor))) as liar:
        liar.server.start()
        yield liar


def test_one_that_names_a_stranger_is_outvoted(watched: Watched, stranger: Node, liar: Node) -> None:
    first, second, _ = watched.sentinels
    url = watched.url_of([liar, first, second])

    async def main() -> int:
        async with AsyncLikeCounter(redis_url=url, shards=1) as likes:
            return await likes.like("a")

    for sentinels in ([liar, first, second], [first, liar, second], [first, second, liar]):
        with LikeCounter(redis_url=watched.url_of(sentinels), shards=1) as likes:
            likes.like("a")
    assert asyncio.run(main()) == 4
    assert stranger("DBSIZE") == 0


def test_where_they_are_divided_nobody_is_believed(watched: Watched, stranger: Node, liar: Node) -> None:
    first = watched.sentinels[0]
    with (
        LikeCounter(redis_url=watched.url_of([first, liar]), redis_timeout=1) as likes,
        pytest.raises(RedisUnavailable, match="no 2 of 2 name one master") as refused,
    ):
        likes.like("a")
    for said in (f"{first.address} names {watched.master().address}", f"{liar.address} names {stranger.address}"):
        assert said in str(refused.value)
    assert stranger("DBSIZE") == 0
    assert watched.master()("DBSIZE") == 0


def test_whom_they_name_has_to_say_so_itself() -> None:
    """They are behind: a replica would answer what is read, and has long been told something else."""
    with running(lambda: Watched(servers=2, sentinels=1)) as watched:
        named, other = watched.servers
        other("REPLICAOF", "NO", "ONE")
        named("REPLICAOF", "127.0.0.1", other.server.port)
        places = Places(watched.url, None, None, redis_timeout=5, database_timeout=5)
        reading = command("GET", b"{likes:0}:epoch", shard=0)
        with closing(places.open_link()) as link:
            link.send([reading], Deadline(1))

        async def main() -> None:
            link = places.open_async_link()
            await link.send([reading], Deadline(1))
            await link.close()

        asyncio.run(main())
        assert "cmdstat_role" in named("INFO", "commandstats").decode()
        assert "cmdstat_get" not in named("INFO", "commandstats").decode()


def test_one_that_is_frozen_keeps_nobody(watched: Watched) -> None:
    watched.sentinels[0].server.pause()
    with LikeCounter(redis_url=watched.url, shards=1) as likes:
        assert likes.like("a", timeout=PATIENCE) == 1

    async def main() -> int:
        async with AsyncLikeCounter(redis_url=watched.url, shards=1) as likes:
            return await likes.like("a", timeout=PATIENCE)

    assert asyncio.run(main()) == 2


def kill(sentinel: Node) -> None:
    sentinel.server.kill()


def freeze(sentinel: Node) -> None:
    sentinel.server.pause()


@pytest.mark.parametrize("end", [kill, freeze])
def test_without_any_the_connections_that_are_open_go_on(watched: Watched, end: Callable[[Node], None]) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(redis_url=watched.url, shards=1) as waiting:
            with LikeCounter(redis_url=watched.url, shards=1) as likes:
                likes.like("a")
                await waiting.like("a")
                for sentinel in watched.sentinels:
                    end(sentinel)
                number, until = 2, time.monotonic() + 2 * WORD_SECONDS
                while time.monotonic() < until:  # so that they are asked again
                    assert likes.like("a", timeout=PATIENCE) == number + 1
                    assert await waiting.like("a", timeout=PATIENCE) == number + 2
                    number += 2

    asyncio.run(main())
    with LikeCounter(redis_url=watched.url, redis_timeout=1) as new, pytest.raises(RedisUnavailable):
        new.like("a")
