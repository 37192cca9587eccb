"""A Redis on a unix socket: database, user and password of its URL hold, and a path that is too long is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from likes import AsyncLikeCounter, InvalidInput, LikeCounter, RedisRefused
from likes.sql.urls import url_of
from tests.docs.users import rules_of
from tests.docs.whole_way import go_the_whole_way
from tests.servers import RedisServer
from tests.shell import Shell

LONGEST = 103 if sys.platform == "darwin" else 107


@pytest.fixture
def server(own_valkey: Callable[..., RedisServer]) -> RedisServer:
    """With a socket in its folder, and the users in the docs, who may choose another database."""
    server = own_valkey("--unixsocket", "socket")
    with redis.Redis.from_url(server.url) as admin:
        for name in ("likes_app", "likes_api", "likes_worker"):
            admin.execute_command("ACL", "SETUSER", name, "reset", *rules_of(name), "+select")
    return server


def url_at(server: RedisServer, name: str, password: str = "change-me") -> str:
    return f"unix://{name}:{password}@{server.folder}/socket?db=3"


def test_the_whole_way_goes_over_it(server: RedisServer, sqlite_engine: Engine, tmp_path: Path) -> None:
    shell = go_the_whole_way(lambda name: url_at(server, name), sqlite_engine, tmp_path)
    assert shell("check").code == 0
    with redis.Redis.from_url(server.url) as admin:
        assert admin.info("keyspace").keys() == {"db3"}


def test_a_wrong_password_is_refused_and_not_shown(server: RedisServer, sqlite_engine: Engine, tmp_path: Path) -> None:
    wrong = url_at(server, "likes_worker", "a-secret")
    with LikeCounter(redis_url=wrong) as likes, pytest.raises(RedisRefused, match=f"Redis at {server.folder}/socket"):
        likes.like("a")
    for words in (["post", "a"], ["check"], ["flush"]):
        ran = Shell(tmp_path, redis_url=wrong, database_url=url_of(sqlite_engine))(*words)
        assert ran.code == 1
        assert "a-secret" not in ran.out + ran.err and "Traceback" not in ran.err


def test_a_path_as_long_as_can_be_will_do(own_valkey: Callable[..., RedisServer], server: RedisServer) -> None:
    folder = server.folder  # which has a short name
    socket = folder / ("s" * (LONGEST - len(str(folder)) - 1))
    own_valkey("--unixsocket", str(socket))
    with LikeCounter(redis_url=f"unix://{socket}") as likes:
        assert likes.like("a") == 1

    async def main() -> int:
        async with AsyncLikeCounter(redis_url=f"unix://{socket}") as likes:
            return await likes.like("a")

    assert asyncio.run(main()) == 2


def test_a_longer_one_is_refused_with_its_length(tmp_path: Path) -> None:
    for path, length in (("/" + "s" * LONGEST, LONGEST + 1), ("/" + "é" * 60, 121), ("/" + "%C3%A9" * 60, 121)):
        said = f"the path of its socket has {length} bytes; allowed: at most {LONGEST}"
        with pytest.raises(InvalidInput, match=said):
            LikeCounter(redis_url=f"unix://{path}?db=0")
        ran = Shell(tmp_path, redis_url=f"unix://{path}?db=0")("post", "a")
        assert ran.code == 2
        assert said in " ".join(ran.err.split())
