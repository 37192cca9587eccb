"""All that one server does, a Redis Cluster does, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, KeyReused, LikeCounter, NoRedisCluster
from likes.buffer.backlog import Backlog
from likes.sql.urls import url_of
from tests.clusters import Cluster
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.session_rig import SessionRig
from tests.shell import Shell
from tests.waiting import wait_until

NewRig = Callable[..., Rig]
ITEMS = {f"video:{number}": number % 7 + 1 for number in range(400)}


def test_likes_are_counted_flushed_and_read(new_rig: NewRig) -> None:
    rig = new_rig(shards=16, batch_items=10)
    rig.likes.add(ITEMS)
    rig.likes.unlike("video:5", 2)
    expected = {**ITEMS, "video:5": ITEMS["video:5"] - 2}
    assert rig.likes.totals(ITEMS) == expected
    assert rig.flush().items == len(ITEMS)
    assert rig.totals() == expected
    rig.likes.add(ITEMS)
    twice = {item: total + ITEMS[item] for item, total in expected.items()}
    assert rig.likes.totals(ITEMS) == twice
    rig.flush()
    assert rig.likes.totals(ITEMS) == rig.totals() == twice
    assert rig.incidents() == []


def test_each_node_tells_what_piles_up_there(new_rig: NewRig) -> None:
    rig = new_rig(shards=16)
    rig.likes.add(ITEMS)
    backlog = Backlog(rig.worker.buffer, range(16))
    assert sum(load.items for load in backlog.loads()) == 0, "it knows no epochs yet"
    loads = backlog.loads()
    assert (len(loads), sum(load.items for load in loads)) == (3, len(ITEMS))
    assert all(load.items and load.memory and not load.limit for load in loads)


def test_a_node_without_likes_is_covered_with_the_others(new_rig: NewRig) -> None:
    rig = new_rig(shards=16)
    rig.likes.like("a")
    rig.flush()
    covered = rig.covered_to()
    rig.flush()
    assert rig.covered_to() > covered


def test_so_they_are_by_asyncio(cluster: Cluster, new_rig: NewRig, sqlite_engine: Engine) -> None:
    rig, counts = new_rig(shards=16), [*ITEMS.values()]

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=cluster.url, database_url=url_of(sqlite_engine)) as likes:
            assert await asyncio.gather(*(likes.like(item, count) for item, count in ITEMS.items())) == counts
            await likes.add(ITEMS)
            assert await likes.totals(ITEMS) == {item: 2 * count for item, count in ITEMS.items()}
            assert [await likes.like_once("once", 3, key=b"k") for _ in range(2)] == [3, 3]
            entries = [(item, count, "likes") for item, count in ITEMS.items()]
            first = await likes.add_once(entries, key=b"many")
            assert first == [3 * count for count in counts]
            assert await likes.add_once(entries, key=b"many") == [None] * len(entries)
            with pytest.raises(KeyReused):
                await likes.add_once(entries[:3], key=b"many")

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {**{item: 3 * count for item, count in ITEMS.items()}, "once": 3}


def test_sessions_live_and_end_on_it(cluster: Cluster, sqlite_engine: Engine) -> None:
    with SessionRig(cluster.url, sqlite_engine, shards=16) as rig:
        tokens = {user: rig.begin(user, cart=[user], keep=("cart",)) for user in ("ann", "bob", "cid", "dee")}
        for user, token in tokens.items():
            rig.change(token, theme="dark")
            session = rig.touch(token)
            assert session and session.values == {"cart": [user], "theme": "dark"}
        visitor = rig.begin(cart=["book"], keep=("cart",))
        assert rig.log_in(visitor, "ann")
        assert rig.touch(visitor) is None
        assert len(rig.threads.of_user("ann")) == 2
        rig.run(rig.store.end(tokens["bob"]))
        assert rig.touch(tokens["bob"]) is None
        rig.sweeper.run()


def test_the_commands_work_on_it(cluster: Cluster, sqlite_engine: Engine, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=cluster.url, database_url=url_of(sqlite_engine))
    lines = "".join(f"{item}\n" for item in ITEMS)
    assert shell("post", "--file", "-", "--json", stdin=lines.encode()).json["accepted"] == len(ITEMS)
    assert shell("status", "--json").json["pending_items"] == len(ITEMS)
    assert shell("flush", "--json").json["delta"] == len(ITEMS)
    assert shell("audit", "--json").json["ok"]
    assert shell("cache", "warm", "--json").json == {"items": len(ITEMS)}
    assert shell("cache", "stats", "--json").json["entries"] == len(ITEMS)
    assert shell("get", "video:1", "--json").json[0]["total"] == 1
    assert shell("cache", "clear", "--json").json == {"dropped": len(ITEMS)}
    for node in cluster.masters():
        node("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        checked = shell("check", "--json").json
    finally:
        for node in cluster.masters():
            node("CONFIG", "SET", "maxmemory-policy", "noeviction")
    errors = {each["fix"] for each in checked["findings"] if each["level"] == "error"}
    assert errors == {
        f"redis-cli -h 127.0.0.1 -p {node.server.port} CONFIG SET maxmemory-policy noeviction"
        for node in cluster.masters()
    }
    assert shell("check", "--json").json["ok"]


def test_the_api_and_a_worker_serve_it(cluster: Cluster, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=cluster.url, interval=0.2, rate_limit="1000/m")
    with RunningApi(shell) as api, RunningWorker(shell):
        entries = [{"item": item, "count": count} for item, count in ITEMS.items()]
        headers = {"Idempotency-Key": "k"}
        for _ in range(2):
            assert api.client.post("/v1/likes", json={"likes": entries}, headers=headers).status_code == 202
        assert api.client.post("/v1/items/video:1/likes").json()["item"] == "video:1"
        begun = api.client.post("/v1/sessions", json={"user": "ann"}).json()
        bearer = {"Authorization": f"Bearer {begun['token']}"}
        assert api.client.get("/v1/session", headers=bearer).json()["user"] == "ann"
        wait_until(lambda: api.client.get("/readyz").json()["status"] == "ready", 30)

        def is_flushed() -> bool:
            found = api.client.get("/v1/items/video:1").json()
            assert found["total"] == ITEMS["video:1"] + 1
            return bool(found["database"] == found["total"])

        wait_until(is_flushed, 30)
        assert "likes_redis_memory_used_bytes" in api.client.get("/metrics").text


# Wrong URLs.


def test_a_cluster_url_that_leads_to_a_single_server_is_refused(valkey_url: str, tmp_path: Path) -> None:
    url = valkey_url.replace("redis://", "redis+cluster://")
    with LikeCounter(redis_url=url) as likes, pytest.raises(NoRedisCluster, match=f"name {valkey_url}"):
        likes.like("a")
    shell = Shell(tmp_path, redis_url=url, interval=1)
    assert shell("post", "a").code == 1
    checked = shell("check", "--json").json
    assert [each["name"] for each in checked["findings"] if each["level"] == "error"] == ["redis mode"]
    with RunningWorker(shell) as worker:
        assert worker.wait() == 1
        assert valkey_url in worker.lines[-1]
