"""`/metrics` of the API: what it tells, of one process and of several, and with servers away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis

from likes.metrics.board import VARIABLE, Board
from likes.metrics.families import OF_THE_API, SHARED
from tests.running_api import RunningApi
from tests.scrapes import scrape
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

LIKE = "/v1/items/{item}/likes"
DURATION = "likes_http_request_duration_seconds"


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str, sqlite_url: str) -> Shell:
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    assert shell("migrate").code == 0
    return shell


def test_requests_are_told_by_route_method_and_status(likes: Shell) -> None:
    with RunningApi(likes) as api:
        for item in ("a", "b%2Fc", "d"):
            api.client.post(f"/v1/items/{item}/likes")
        api.client.post("/v1/items/%ff/likes")
        api.client.get("/v1/items/a/nothing/here")
        api.client.request("PURGE", "/v1/items/a/likes")
        seen = scrape(api.address)
    assert seen(f"{DURATION}_count", route=LIKE, method="POST", status="202") == 3
    assert seen(f"{DURATION}_count", route=LIKE, method="POST", status="400") == 1
    assert seen(f"{DURATION}_count", route="unmatched", method="GET", status="404") == 1
    assert seen.sum(f"{DURATION}_count", method="other") == 1
    assert seen(f"{DURATION}_bucket", route=LIKE, method="POST", status="202", le="+Inf") == 3
    assert 0 < (seen(f"{DURATION}_sum", route=LIKE, method="POST", status="202") or 0) < 10
    assert seen("likes_http_requests_in_flight") == 1  # the scrape itself
    assert seen("likes_accepted_total") == 3


def test_nothing_anybody_may_make_up_is_a_label(likes: Shell) -> None:
    with RunningApi(likes) as api:
        for i in range(50):
            api.client.post(f"/v1/items/secret{i}/likes")
            api.client.get(f"/made/up/{i}")
            api.client.request(("PURGE", "PROPFIND", "LOCK")[i % 3], "/v1/items/secret")
        series = len(scrape(api.address).samples)
        for i in range(50, 100):
            api.client.post(f"/v1/items/secret{i}/likes")
            api.client.get(f"/made/up/{i}")
            api.client.request(("PURGE", "PROPFIND", "LOCK")[i % 3], "/v1/items/secret")
        seen = scrape(api.address)
    assert "secret" not in seen.text
    assert "up/" not in seen.text
    assert "PURGE" not in seen.text
    assert len(seen.samples) - series <= 16  # those of the first scrape


def test_how_things_stand_is_read_from_redis_and_sql(likes: Shell) -> None:
    with RunningApi(likes) as api:
        before = scrape(api.address)
        assert (before("likes_pending_items"), before("likes_last_flush_success_timestamp_seconds")) == (0, 0)
        likes("post", "video:1", "-n", "3")
        likes("post", "video:2")
        wait_until(lambda: scrape(api.address)("likes_pending_items") == 2)  # a look is five seconds old at most
        assert (scrape(api.address)("likes_oldest_pending_age_seconds") or 0) > 0
        began = time.time()
        assert likes("flush").code == 0
        seen = wait_until(lambda: (it := scrape(api.address))("likes_pending_items") == 0 and it)
    assert seen("likes_oldest_pending_age_seconds") == 0
    assert (seen("likes_last_flush_success_timestamp_seconds") or 0) == pytest.approx(began, abs=5)
    assert (seen("likes_up", server="redis"), seen("likes_up", server="database")) == (1, 1)
    assert (seen("likes_dead_letters"), seen("likes_incidents_open"), seen("likes_workers")) == (0, 0, 0)
    assert seen("likes_flush_interval_seconds") == 300
    assert (seen("likes_redis_memory_used_bytes") or 0) > 100_000


def test_every_figure_of_the_api_is_exposed_from_its_start(likes: Shell) -> None:
    with RunningApi(likes) as api:
        scrape(api.address)
        names = scrape(api.address).names
    exposed = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in names}
    labelled = {"likes_refused_total", "likes_incidents_total"}  # once there was one
    assert {family.name for family in (*OF_THE_API, *SHARED)} - labelled <= exposed


def test_a_server_away_fails_no_scrape_and_holds_none(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], own_postgres: PostgreSQL
) -> None:
    redis, database = own_valkey(), own_postgres
    likes = Shell(tmp_path, redis_url=redis.url, database_url=database.create("likes"))
    assert likes("migrate").code == 0
    with RunningApi(likes) as api:
        api.client.post("/v1/items/a/likes")
        assert scrape(api.address)("likes_pending_items") == 1
        for away, back, name, others in (
            (database.stop, database.start, "database", "likes_pending_items"),
            (redis.pause, redis.resume, "redis", "likes_dead_letters"),
        ):
            away()
            longest = 0.0

            def up(name: str = name) -> float | None:
                nonlocal longest
                began = time.monotonic()
                seen = scrape(api.address)("likes_up", server=name)
                longest = max(longest, time.monotonic() - began)
                return seen

            wait_until(lambda: up() == 0, timeout=30)
            assert longest < 4.5, "a call that waits for a server takes five and more"
            assert scrape(api.address)(others) is not None
            back()
            wait_until(lambda: up() == 1, timeout=30)


def test_a_storm_of_scrapes_asks_the_servers_once(likes: Shell, valkey_url: str) -> None:
    with RunningApi(likes) as api, Redis.from_url(valkey_url) as redis:
        scrape(api.address)
        before = redis.info("stats")["total_commands_processed"]
        for _ in range(200):
            scrape(api.address)
        asked = redis.info("stats")["total_commands_processed"] - before
    assert asked < 2000  # a look costs a few hundred: so many looks in so many seconds, not one a scrape


@pytest.fixture
def three(likes: Shell) -> Iterator[tuple[Board, list[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]]:
    """Three processes of one server, each on a port of its own, so that it is known which one answers."""
    board = Board.create()
    with ExitStack() as ended:

        def start() -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "likes", "serve"],
                stderr=subprocess.PIPE,
                cwd=likes.folder,
                env={**likes.environment(http_port=0), VARIABLE: str(board.file)},
                pass_fds=[board.file],
            )
            assert process.stderr
            ended.callback(process.stderr.close)
            ended.callback(process.wait)
            ended.callback(process.kill)
            return process

        yield board, [start() for _ in range(3)], start
    os.close(board.file)


def address(process: subprocess.Popen[bytes]) -> str:
    """Where it serves, as it says in its first line."""
    assert process.stderr
    return process.stderr.readline().decode().split()[-1]


def test_counters_of_three_processes_add_up_whichever_answers_and_outlive_them(three) -> None:
    _, processes, start = three
    addresses = [address(process) for process in processes]
    for number, each in enumerate(addresses):
        for i in range(number + 1):
            assert httpx.post(f"{each}/v1/items/a{i}/likes").status_code == 202

    def told(each: str) -> tuple[float | None, float | None]:
        seen = scrape(each)
        return seen("likes_accepted_total"), seen(f"{DURATION}_count", route=LIKE, method="POST", status="202")

    for each in addresses:
        wait_until(lambda each=each: told(each) == (6, 6))
    wait_until(lambda: scrape(addresses[0])("likes_accepted_total") == 6)
    processes[2].send_signal(signal.SIGKILL)
    processes[2].wait()
    processes[1].send_signal(signal.SIGTERM)
    processes[1].wait()
    assert told(addresses[0]) == (6, 6)
    replaced = [address(process) for process in (start(), start())]
    httpx.post(f"{replaced[0]}/v1/items/b/likes")
    for each in (addresses[0], *replaced):
        wait_until(lambda each=each: told(each) == (7, 7))
