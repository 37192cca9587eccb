"""Servers, proxies and users that know or allow less: gone without what only incidents need, else refused in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter
from likes.errors import RedisClusterNode, RedisUnavailable
from likes.reports.audit import audit
from likes.reports.status import read_status
from likes.sql.urls import url_of
from tests.proxy import Proxy
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import RedisServer, free_port
from tests.shell import Shell
from tests.waiting import wait_until


def no_evalsha(proxy: Proxy) -> None:
    proxy.refuse("EVALSHA")


def no_evalsha_by_rights(proxy: Proxy) -> None:
    proxy.refuse("EVALSHA", "NOPERM this user has no permissions to run the 'evalsha' command")


def no_script_load(proxy: Proxy) -> None:
    proxy.refuse("SCRIPT", "NOPERM this user has no permissions to run the 'script|load' command")


def no_hello(proxy: Proxy) -> None:
    proxy.refuse("HELLO")


def no_info(proxy: Proxy) -> None:
    proxy.refuse("INFO", "NOPERM this user has no permissions to run the 'info' command")


def info_with_little(proxy: Proxy) -> None:
    proxy.answer("INFO", "# Server\r\nredis_version:6.2\r\n")


def info_with_nothing(proxy: Proxy) -> None:
    proxy.answer("INFO", "")


def no_time(proxy: Proxy) -> None:
    proxy.refuse("TIME")


def no_config(proxy: Proxy) -> None:
    proxy.refuse("CONFIG")


def next_to_nothing(proxy: Proxy) -> None:
    for take_away in (no_evalsha, no_script_load, no_hello, no_info, no_time, no_config):
        take_away(proxy)


LESSER = [
    no_evalsha, no_evalsha_by_rights, no_script_load, no_hello, no_info, info_with_little,
    info_with_nothing, no_time, no_config, next_to_nothing,
]  # fmt: skip


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.mark.parametrize("take_away", LESSER)
def test_with_less_all_is_counted_and_seen(
    proxy: Proxy, take_away: Callable[[Proxy], None], sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    take_away(proxy)
    with Rig(proxy.url, sqlite_engine, shards=2, batch_items=2) as rig:
        rig.redis = None
        for item in "abcde":
            rig.likes.like(item)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                rig.flush()
                rig.likes.like("a")
                read_status(rig.worker.buffer, rig.worker.ledger, rig.shards)
        assert rig.totals() == {"a": 2, "b": 1, "c": 1, "d": 1, "e": 1}
        assert rig.likes.total("a") == 3
        assert rig.kinds() == []
        assert audit(rig.worker.buffer, rig.worker.ledger, rig.shards).ok
    told = [record.getMessage() for record in caplog.records if "does not tell" in record.getMessage()]
    lacks_ids, lacks_time = take_away in (no_info, info_with_little, info_with_nothing), take_away is no_time
    assert len(told) == (2 if take_away is next_to_nothing else lacks_ids + lacks_time)


@pytest.mark.parametrize("take_away", LESSER)
def test_with_less_a_check_says_so_and_no_more(
    proxy: Proxy, take_away: Callable[[Proxy], None], tmp_path: Path
) -> None:
    take_away(proxy)
    checked = Shell(tmp_path, redis_url=proxy.url, shards=2)("check", "--json")
    assert checked.code == 0, checked
    modes = [finding["found"] for finding in checked.json["findings"] if finding["name"] == "redis mode"]
    assert modes == ["a single server that takes writes"]


def test_async_likes_go_without_digests_too(proxy: Proxy, sqlite_engine: Engine) -> None:
    next_to_nothing(proxy)

    async def main() -> int:
        async with AsyncLikeCounter(redis_url=proxy.url, database_url=url_of(sqlite_engine)) as likes:
            await likes.like("a")
            return await likes.like("a")

    assert asyncio.run(main()) == 2


def test_a_server_without_digests_is_asked_for_them_once(proxy: Proxy) -> None:
    proxy.refuse("EVALSHA")
    with LikeCounter(redis_url=proxy.url) as likes, redis.Redis.from_url(proxy.url, protocol=2) as client:
        likes.like("a")
        client.config_resetstat()
        likes.like("a")
        assert client.info("commandstats")["cmdstat_eval"]["calls"] == 1


def test_likes_go_past_a_proxy_that_hangs_up_at_a_word_it_does_not_know(proxy: Proxy) -> None:
    proxy.hang_up_at("HELLO")
    with LikeCounter(redis_url=proxy.url) as likes:
        assert [likes.like("a") for _ in range(3)] == [1, 2, 3]


# A cluster.


@pytest.fixture
def cluster_url(own_valkey: Callable[..., RedisServer]) -> str:
    """The URL of one of two nodes, with half of the slots."""
    one, other = (own_valkey("--cluster-enabled", "yes", "--cluster-port", str(free_port())) for _ in range(2))
    with redis.Redis.from_url(one.url, protocol=2) as client, redis.Redis.from_url(other.url, protocol=2) as there:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        there.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        port = there.config_get("cluster-port")["cluster-port"]
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, port)
        wait_until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
    return one.url


def test_a_node_of_a_cluster_is_refused_before_anything_is_accepted(
    cluster_url: str, sqlite_engine: Engine, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, redis_url=cluster_url, database_url=url_of(sqlite_engine), interval=1)
    with LikeCounter(redis_url=cluster_url, database_url=url_of(sqlite_engine)) as likes:
        for call in (lambda: likes.like("a"), lambda: likes.add({f"item {n}": 1 for n in range(100)})):
            with pytest.raises(RedisClusterNode, match=r"name the cluster: redis\+cluster://127.0.0.1:"):
                call()
    posted = shell("post", "--file", "-", stdin=b"a\nb\nc\nd\n")
    assert posted.code == 1
    assert posted.out.startswith("0 lines accepted")
    assert "Redis Cluster" in posted.err
    checked = shell("check", "--json")
    assert checked.code == 1
    errors = {each["name"]: each["found"] for each in checked.json["findings"] if each["level"] == "error"}
    assert errors.keys() == {"redis mode"}
    with RunningWorker(shell) as worker:
        assert worker.wait() == 1
        assert "Redis Cluster" in worker.lines[-1]
    with redis.Redis.from_url(cluster_url) as client:
        assert client.dbsize() == 0


def test_what_a_proxy_before_a_cluster_does_not_lead_to_its_node_is_said_to_be_of_a_cluster(cluster_url: str) -> None:
    with Proxy(cluster_url) as proxy:
        proxy.refuse("HELLO")
        with LikeCounter(redis_url=proxy.url, shards=16) as likes, pytest.raises(RedisClusterNode):
            for number in range(100):
                likes.like(f"item {number}")


def test_a_server_that_is_frozen_at_the_first_word_has_counted_nothing(own_valkey: Callable[..., RedisServer]) -> None:
    server = own_valkey()
    with LikeCounter(redis_url=server.url, redis_timeout=0.3) as likes:
        server.pause()
        with pytest.raises(RedisUnavailable):
            likes.like("a")
        server.resume()
        likes.like("a")
        assert likes.pending("a") == 1
