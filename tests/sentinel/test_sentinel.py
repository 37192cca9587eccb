"""All that one server does, a master that Sentinels watch does, too."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, NoRedisSentinel, RedisRefused, RedisSentinel
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_servers import running
from tests.running_worker import RunningWorker
from tests.sentinels import SERVICE, Watched
from tests.servers import debian_redis
from tests.session_rig import SessionRig
from tests.shell import Shell
from tests.snippets import CHECKOUT, DOCS, block

NewRig = Callable[..., Rig]
PAGE = DOCS / "deploying.md"
USERS = ("likes_app", "likes_api", "likes_worker")
ITEMS = {f"video:{number}": number % 7 + 1 for number in range(200)}


def test_likes_are_counted_flushed_and_read(new_rig: NewRig) -> None:
    rig = new_rig(shards=4, batch_items=10)
    rig.likes.add(ITEMS)
    assert rig.likes.totals(ITEMS) == ITEMS
    assert rig.flush().items == len(ITEMS)
    rig.likes.add(ITEMS)
    twice = {item: 2 * count for item, count in ITEMS.items()}
    assert rig.likes.totals(ITEMS) == twice
    rig.flush()
    assert rig.likes.totals(ITEMS) == rig.totals() == twice
    assert rig.incidents() == []


def test_so_they_are_by_asyncio_and_from_any_loop(watched: Watched, new_rig: NewRig) -> None:
    rig = new_rig(shards=4)
    likes = AsyncLikeCounter(redis_url=watched.url, database_url=url_of(rig.engine), shards=4)

    async def main() -> None:
        await asyncio.gather(*(likes.like(item, count) for item, count in ITEMS.items()))
        await likes.add(ITEMS)
        assert [await likes.like_once("once", 3, key=b"k") for _ in range(2)] == [3, 3]
        await likes.close()

    asyncio.run(main())
    rig.flush()
    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {**{item: 4 * count for item, count in ITEMS.items()}, "once": 3}


def test_a_batch_is_applied_once_the_replicas_have_it(new_rig: NewRig) -> None:
    rig = new_rig(shards=4, batch_items=10, durability="replicas:2")
    rig.likes.add(ITEMS)
    assert rig.flush().items == len(ITEMS)
    assert rig.totals() == ITEMS


def test_sessions_live_and_end_on_it(watched: Watched, sqlite_engine: Engine) -> None:
    with SessionRig(watched.url, sqlite_engine, shards=4) as rig:
        token = rig.begin("ann", cart=["book"], keep=("cart",))
        session = rig.touch(token)
        assert session and session.values == {"cart": ["book"]}
        rig.run(rig.store.end(token))
        assert rig.touch(token) is None


FORKS = """
import os, sys
from likes import LikeCounter
likes = LikeCounter(redis_url=sys.argv[1], shards=4, redis_timeout=60)
likes.like("a")
child = os.fork()
if not child:
    likes.like("a", 10)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(likes.like("a"))
"""


def test_a_forked_child_counts_over_connections_of_its_own(watched: Watched) -> None:
    words = [sys.executable, "-c", FORKS, watched.url]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, timeout=90, check=False)
    assert (done.stdout, done.stderr) == (b"12\n", b"")


def test_the_commands_work_on_it(watched: Watched, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=watched.url)
    lines = "".join(f"{item}\n" for item in ITEMS)
    assert shell("post", "--file", "-", "--json", stdin=lines.encode()).json["accepted"] == len(ITEMS)
    assert shell("post", "video:1", "--json").json["pending"] == 2
    assert shell("status", "--json").json["pending_items"] == len(ITEMS)
    assert shell("flush", "--json").json["delta"] == len(ITEMS) + 1
    assert shell("get", "video:1", "--json").json[0]["total"] == 2
    assert shell("audit", "--json").json["ok"]
    checked = shell("check", "--json").json
    assert checked["ok"]
    assert {each["found"] for each in checked["findings"] if each["name"] == "redis name"} == {
        f"{SERVICE}/0@{os.uname().nodename}"
    }


# Rights.


@pytest.mark.parametrize("name", USERS)
def test_one_right_more_is_enough_on_servers_and_a_few_on_sentinels(
    watched: Watched, sqlite_engine: Engine, tmp_path: Path, name: str
) -> None:
    rules = [*block(PAGE, "text", f"user {name} ").split()[2:], "+role"]
    of_sentinels = block(PAGE, "text", "user likes_sentinel ").split()[2:]
    for server in watched.servers:
        server("ACL", "SETUSER", name, "reset", *rules)
    for sentinel in watched.sentinels:
        sentinel("ACL", "SETUSER", "likes_sentinel", "reset", *of_sentinels)
    in_docs = block(PAGE, "text", "=redis+sentinel://").strip().partition("=")[2]
    hosts = ",".join(sentinel.address for sentinel in watched.sentinels)
    url = re.sub(r"@[^/]+", f"@{hosts}", in_docs).replace("likes_worker", name)
    try:
        with LikeCounter(redis_url=url, database_url=url_of(sqlite_engine), shards=4) as likes:
            likes.add(ITEMS)
            assert likes.totals(ITEMS) == ITEMS
        if name == "likes_worker":
            shell = Shell(tmp_path, redis_url=url, database_url=url_of(sqlite_engine), shards=4)
            assert shell("flush", "--json").json["items"] == len(ITEMS)
            checked = shell("check", "--json")
            assert checked.json["ok"]
            assert "change-me" not in checked.out
        for sentinel in watched.sentinels:
            sentinel("ACL", "SETUSER", "likes_sentinel", "-sentinel|get-master-addr-by-name")
        with LikeCounter(redis_url=url, shards=4) as likes, pytest.raises(RedisRefused, match="does not allow this"):
            likes.like("a")
        for sentinel in watched.sentinels:
            sentinel("ACL", "SETUSER", "likes_sentinel", "reset", *of_sentinels)
        for server in watched.servers:
            server("ACL", "SETUSER", name, "-role")
        with LikeCounter(redis_url=url, shards=4) as likes, pytest.raises(RedisRefused, match="'role'"):
            likes.like("a")
    finally:
        for each in (*watched.sentinels, *watched.servers):
            each("ACL", "DELUSER", "likes_sentinel", *USERS)


@pytest.mark.parametrize("query", ["sentinel_password=wrong", "sentinel_username=nobody&sentinel_password=wrong"])
def test_sentinels_that_do_not_know_the_password(watched: Watched, query: str) -> None:
    url = f"{watched.url}?{query}"
    with (
        LikeCounter(redis_url=url) as likes,
        pytest.raises(RedisRefused, match="the Sentinel at .*(AUTH|invalid username)") as no,
    ):
        likes.like("a")
    assert "wrong" not in str(no.value).replace("WRONGPASS", "")


# Wrong URLs.


@pytest.mark.parametrize("database", [0, 1])
def test_the_url_of_a_sentinel_alone_is_refused(watched: Watched, tmp_path: Path, database: int) -> None:
    address = watched.sentinels[0].address
    url = f"redis://{address}/{database}"
    with (
        LikeCounter(redis_url=url) as likes,
        pytest.raises(RedisSentinel, match=rf"name what it watches: redis\+sentinel://{address}/SERVICE/0"),
    ):
        likes.like("a")
    shell = Shell(tmp_path, redis_url=url, interval=1)
    checked = shell("check", "--json").json
    assert [each["name"] for each in checked["findings"] if each["level"] == "error"] == ["redis mode"]
    with RunningWorker(shell) as worker:
        assert worker.wait() == 1
        assert "redis+sentinel://" in worker.lines[-1]


def test_sentinels_that_are_a_server_are_refused(valkey_url: str, tmp_path: Path) -> None:
    address = valkey_url.removeprefix("redis://").removesuffix("/0")
    url = f"redis+sentinel://{address}/{SERVICE}/0"
    with LikeCounter(redis_url=url) as likes, pytest.raises(NoRedisSentinel, match=f"name {valkey_url}"):
        likes.like("a")

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=url) as likes:
            with pytest.raises(NoRedisSentinel):
                await likes.like("a")

    asyncio.run(main())
    shell = Shell(tmp_path, redis_url=url)
    assert shell("post", "a").code == 1
    checked = shell("check", "--json").json
    assert [each["name"] for each in checked["findings"] if each["level"] == "error"] == ["redis mode"]


def test_what_the_sentinels_do_not_watch_is_named(watched: Watched) -> None:
    url = watched.url.replace(SERVICE, "another")
    with LikeCounter(redis_url=url) as likes, pytest.raises(RedisRefused, match="watches no another; see SENTINEL"):
        likes.like("a")


# Other servers.


def test_debian_redis_fails_over_as_well(sqlite_engine: Engine) -> None:
    with (
        running(lambda: Watched(debian_redis, servers=2)) as watched,
        Rig(watched.url, sqlite_engine, shards=2) as rig,
        watched.failing_over_quickly(),
    ):
        rig.likes.add(ITEMS)
        rig.flush()
        before = watched.master()
        before.server.kill()
        rig.likes.like("video:1", timeout=60)
        watched.wait_for_a_master(before)
        rig.flush()
        assert rig.totals()["video:1"] == ITEMS["video:1"] + 1
        assert rig.kinds() == ["redis_failed_over"]
