"""All there is to do works over TLS: threads, children, event loops, commands, a worker, a cluster, an ACL file."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, NoRedisCluster, RedisClusterNode
from likes.sql.urls import url_of
from tests.certificates import Certificates
from tests.conftest import DECLARED_KEYS
from tests.docs.users import NAMES, rules_of
from tests.docs.whole_way import go_the_whole_way
from tests.running_api import RunningApi
from tests.running_servers import running
from tests.shell import Shell
from tests.snippets import DOCS, block
from tests.tls_servers import TlsCluster, TlsRedis
from tests.waiting import wait_until
from tests.warm import CHECKOUT

ITEMS = {f"video:{number}": number % 7 + 1 for number in range(200)}


def connections_made(server: TlsRedis) -> int:
    """How many there have been, this one too."""
    with redis.Redis(**server.client_options) as client:
        return int(client.info("stats")["total_connections_received"])


def test_threads_share_connections_that_are_kept(tls_redis: TlsRedis) -> None:
    with LikeCounter(redis_url=tls_redis.url, redis_timeout=30) as likes:
        likes.like("a")
        before = connections_made(tls_redis)
        for _ in range(20):
            likes.like("a")
        assert connections_made(tls_redis) == before + 1
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(likes.like, ["a"] * 100))
        assert likes.pending("a") == 121


def test_an_event_loop_keeps_its_connection(tls_redis: TlsRedis) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(redis_url=tls_redis.url, redis_timeout=30) as likes:
            await likes.like("a")
            before = await asyncio.to_thread(connections_made, tls_redis)
            for _ in range(20):
                await likes.like("a")
            assert await asyncio.to_thread(connections_made, tls_redis) == before + 1
            await asyncio.gather(*(likes.like("a") for _ in range(100)))
            assert await likes.pending("a") == 121

    asyncio.run(main())


def test_one_event_loop_after_the_other(tls_redis: TlsRedis) -> None:
    likes = AsyncLikeCounter(redis_url=tls_redis.url, redis_timeout=30)
    assert [asyncio.run(likes.like("a")) for _ in range(5)] == [1, 2, 3, 4, 5]
    gc.collect()  # which would tell of what was left open


A_PARENT = """
import os, sys
from likes import LikeCounter

likes = LikeCounter(redis_url=sys.argv[1], redis_timeout=30)
likes.like("a")
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            for _ in range(5):
                likes.like("a")
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
    likes.like("a")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert likes.like("a") == 1 + 3 + 3 * 5 + 1
"""


def test_a_child_and_its_parent_go_on_likewise(tls_redis: TlsRedis) -> None:
    """Over one connection, either would break the other's encryption."""
    subprocess.run([sys.executable, "-c", A_PARENT, tls_redis.url], cwd=CHECKOUT, check=True, timeout=90)


def test_the_users_in_the_docs_go_the_whole_way(
    certificates: Certificates, sqlite_engine: Engine, tmp_path: Path
) -> None:
    users = [f"user {name} {' '.join(rules_of(name))}" for name in NAMES]
    (tmp_path / "users.acl").write_text("\n".join(["user default on nopass ~* &* +@all", *users, ""]))
    server = TlsRedis(certificates, "--aclfile", str(tmp_path / "users.acl"))
    files = {f"/etc/likes/{name}": certificates[name] for name in ("authority.pem", "client.pem", "client.key")}
    (said,) = block(DOCS / "deploying.md", "text", "LIKES_REDIS_URL=rediss://").split()

    def url_for(name: str) -> str:
        """As the page has it, with this server and these files."""
        url = (
            said.partition("=")[2]
            .replace("likes_worker", name)
            .replace("redis.example:6380", f"127.0.0.1:{server.port}")
        )
        for there, here in files.items():
            url = url.replace(there, here)
        return url

    try:
        server.start()
        go_the_whole_way(url_for, sqlite_engine, tmp_path)
    finally:
        server.remove()


@pytest.mark.parametrize("server", ["tls_redis", "cluster"])
def test_the_api_and_its_worker_serve_over_it(
    server: str, request: pytest.FixtureRequest, sqlite_engine: Engine, tmp_path: Path
) -> None:
    url = request.getfixturevalue(server).url
    shell = Shell(tmp_path, redis_url=url, database_url=url_of(sqlite_engine), prefix="served", redis_timeout=30)
    with RunningApi(shell, "--with-worker", flush_at_items=len(ITEMS)) as api:
        assert api.client.post("/v1/items/video:1/likes").json()["delta"] == 1
        likes = [{"item": item, "count": count} for item, count in ITEMS.items()]
        assert api.client.post("/v1/likes", json={"likes": likes}).status_code == 202
        assert api.client.get("/readyz").status_code == 200
        wait_until(lambda: api.client.get("/v1/items/video:1").json()["database"] == ITEMS["video:1"] + 1)
    assert shell("audit", "--json").json["ok"]


# A cluster.


@pytest.fixture(scope="module")
def cluster(certificates: Certificates) -> Iterator[TlsCluster]:
    with running(lambda: TlsCluster(certificates)) as cluster:
        yield cluster


def test_a_cluster_counts_over_tls(cluster: TlsCluster, sqlite_engine: Engine, tmp_path: Path) -> None:
    database = url_of(sqlite_engine)
    with LikeCounter(redis_url=cluster.url, database_url=database, redis_timeout=30) as likes:
        likes.add(ITEMS)
        assert likes.totals(ITEMS) == ITEMS
    asyncio.run(likes_by_asyncio(cluster, database))
    shell = Shell(tmp_path, redis_url=cluster.url, database_url=database, redis_timeout=30)
    assert shell("flush", "--json").json["items"] == len(ITEMS)
    assert shell("get", "video:1", "--json").json[0]["total"] == 2 * ITEMS["video:1"]
    assert shell("audit", "--json").json["ok"]
    checked = shell("check", "--json").json
    assert checked["ok"]
    (which,) = [each["found"] for each in checked["findings"] if each["name"] == "redis mode"]
    assert which == "a Redis Cluster that takes writes (each of 3 nodes)"
    assert not [key for key in cluster.all_keys() if not DECLARED_KEYS.fullmatch(key)]


async def likes_by_asyncio(cluster: TlsCluster, database: str) -> None:
    async with AsyncLikeCounter(redis_url=cluster.url, database_url=database, redis_timeout=30) as likes:
        await likes.add(ITEMS)
        assert await likes.totals(ITEMS) == {item: 2 * count for item, count in ITEMS.items()}


def test_what_is_wrong_with_a_node_names_how_to_talk_to_it(cluster: TlsCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    node("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        findings = Shell(tmp_path, redis_url=cluster.url)("check", "--json").json["findings"]
    finally:
        node("CONFIG", "SET", "maxmemory-policy", "noeviction")
    (fix,) = [each["fix"] for each in findings if each["name"] == "eviction"]
    assert fix == f"redis-cli --tls -h 127.0.0.1 -p {node.server.port} CONFIG SET maxmemory-policy noeviction"


def test_a_url_of_the_other_kind_is_refused_with_the_right_one(cluster: TlsCluster, tls_redis: TlsRedis) -> None:
    with LikeCounter(redis_url=cluster.nodes[0].server.url) as likes:
        right = f"rediss+cluster://127.0.0.1:{cluster.nodes[0].server.port}"
        with pytest.raises(RedisClusterNode, match=f"name the cluster: {right.replace('+', '[+]')}"):
            likes.like("a")
    single = tls_redis.url.replace("rediss:", "rediss+cluster:")
    right = f"name rediss://127.0.0.1:{tls_redis.port}/0"
    with LikeCounter(redis_url=single) as likes, pytest.raises(NoRedisCluster, match=right):
        likes.like("a")
