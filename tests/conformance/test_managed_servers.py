"""docs/servers.md: what goes on a service that refuses commands goes all the way; what cannot is named in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, NoScripts
from likes.sql.urls import url_of
from tests.docs.whole_way import go_the_whole_way
from tests.managed import SERVICES, WITHOUT_SCRIPTS, Service
from tests.proxy import Proxy
from tests.running_worker import RunningWorker
from tests.servers import RedisServer
from tests.shell import Shell

Played = Callable[[Service], Proxy]


@pytest.fixture
def played(own_valkey: Callable[..., RedisServer]) -> Iterator[Played]:
    """Begins to play a service."""
    with ExitStack() as opened:

        def play(service: Service) -> Proxy:
            proxy = opened.enter_context(Proxy(own_valkey(*service.options).url))
            service.stand_before(proxy)
            return proxy

        yield play


def test_refused_in_the_words_of_the_service(played: Played) -> None:
    for name, words in (("ElastiCache", "unknown command `config`"), ("Memorystore for Valkey", "'config'")):
        with (
            redis.Redis.from_url(played(SERVICES[name]).url, protocol=2) as client,
            pytest.raises(redis.ResponseError, match=words),
        ):
            client.execute_command("CONFIG", "GET", "maxmemory")


WARNINGS = {  # what is due on each
    "ElastiCache": {"persistence": "set appendonly yes where the service has its settings: it knows no CONFIG"},
    "Memorystore for Redis": {
        "persistence": "set appendonly yes where the service has its settings: it knows no CONFIG"
    },
    "Memorystore for Valkey": {"persistence": "make sure that appendfsync is everysec or always"},
    "Aiven": {"persistence": "make sure that appendfsync is everysec or always"},
}


@pytest.mark.parametrize("name", SERVICES)
def test_the_whole_way_goes_on_a_service(played: Played, sqlite_engine: Engine, tmp_path: Path, name: str) -> None:
    proxy = played(SERVICES[name])
    likes = go_the_whole_way(lambda _: proxy.url, sqlite_engine, tmp_path, redis_timeout=30)
    checked = likes("check", "--json")
    assert checked.code == 0, checked
    told = [each for each in checked.json["findings"] if each["level"] in ("warning", "error")]
    assert {each["name"]: each["fix"] for each in told} == WARNINGS[name]
    if "--maxmemory-policy" in SERVICES[name].options:
        (eviction,) = [each for each in checked.json["findings"] if each["name"] == "eviction"]
        assert (eviction["level"], eviction["found"]) == ("ok", "volatile-lru, 100 MiB")


def test_what_is_lost_without_info_is_told(played: Played, tmp_path: Path) -> None:
    proxy = played(Service(("INFO", "CONFIG")))
    checked = Shell(tmp_path, redis_url=proxy.url)("check", "--json")
    assert checked.code == 0
    told = {each["name"]: each["found"] for each in checked.json["findings"] if each["level"] == "warning"}
    assert told.keys() == {"eviction", "persistence", "restarts"}
    assert "no restart, no failover becomes an incident" in told["restarts"]


@pytest.mark.parametrize("name", WITHOUT_SCRIPTS)
def test_a_service_without_scripts_is_named_in_one_line_by_all(
    played: Played, sqlite_engine: Engine, tmp_path: Path, name: str
) -> None:
    proxy = played(WITHOUT_SCRIPTS[name])
    said = "runs no scripts (EVALSHA and EVAL are refused), and nothing counts exactly once without them; "
    with LikeCounter(redis_url=proxy.url) as likes, pytest.raises(NoScripts) as error:
        likes.like("a")
    assert said in str(error.value)

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=proxy.url) as likes:
            await likes.like("a")

    with pytest.raises(NoScripts):
        asyncio.run(main())
    shell = Shell(tmp_path, redis_url=proxy.url, database_url=url_of(sqlite_engine))
    for words in (["post", "a"], ["flush"]):
        ran = shell(*words)
        assert ran.code == 1
        assert said in " ".join(ran.err.split()) and "Traceback" not in ran.err
    checked = shell("check", "--json")
    assert checked.code == 1
    (wrong,) = [each for each in checked.json["findings"] if each["level"] in ("warning", "error")]
    assert (wrong["name"], wrong["level"]) == ("scripts", "error")
    assert said in wrong["found"] and "\n" not in wrong["found"]
    assert wrong["fix"] == "name one in LIKES_REDIS_URL; docs/servers.md lists many"
    with RunningWorker(shell) as worker:
        assert worker.wait() == 1
        assert said in worker.lines[-1]
