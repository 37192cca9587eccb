"""LIKES_RATE_LIMIT over real sockets: who has asked too often lately has to wait, whichever process is asked."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.running_api import RunningApi
from tests.servers import RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

ITEM = "/v1/items/a/likes"


@pytest.fixture
def shell(tmp_path: Path, valkey_url: str, sqlite_url: str) -> Shell:
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    assert shell("migrate").code == 0
    return shell


def test_too_many_requests_are_told_when_to_come_again(shell: Shell) -> None:
    with RunningApi(shell, rate_limit="3/30s") as api:
        fine = [api.client.post(ITEM) for _ in range(3)]
        assert [each.status_code for each in fine] == [202, 202, 202]
        assert {each.headers["RateLimit-Policy"] for each in fine} == {'"default";q=3;w=30'}
        assert [each.headers["RateLimit"] for each in fine] == [
            f'"default";r={r};t={t}' for r, t in ((2, 20), (1, 10), (0, 10))
        ]
        refused = api.client.post(ITEM)
        assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")
        problem = refused.json()
        assert (problem["type"], problem["status"], problem["violated-policies"]) == (
            "quota-exceeded",
            429,
            ["default"],
        )
        assert re.fullmatch('"default";r=0;t=(9|10)', refused.headers["RateLimit"])
        assert refused.headers["RateLimit"].endswith(f"t={refused.headers['Retry-After']}")
        assert api.client.get("/v1/items/a").status_code == 429
        assert api.client.options(ITEM).status_code != 429  # a browser asks by itself


def test_who_has_waited_may_ask_again(shell: Shell) -> None:
    with RunningApi(shell, rate_limit="2/0.6s") as api:
        assert {api.client.post(ITEM).status_code for _ in range(2)} == {202}
        assert wait_until(lambda: api.client.post(ITEM).status_code == 202)


def test_without_a_limit_nothing_is_said_of_one(shell: Shell) -> None:
    with RunningApi(shell) as api:
        assert not {"ratelimit", "ratelimit-policy"} & api.client.post(ITEM).headers.keys()


async def _storm(addresses: list[str], requests: int) -> list[int]:
    """All at once, to each process as many; the status of each answer."""
    limits = httpx.Limits(max_connections=80)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        calls = [client.post(addresses[n % len(addresses)] + ITEM) for n in range(requests)]
        return [answer.status_code for answer in await asyncio.gather(*calls)]


def test_four_processes_share_a_limit(shell: Shell) -> None:
    """Together they let pass too much by what each may before Redis counts it, and never more."""
    processes, allowed, seconds = 4, 200, 3600
    untold_at_most = 1 + allowed // 50
    with ExitStack() as running:
        apis = [running.enter_context(RunningApi(shell, rate_limit=f"{allowed}/{seconds}s")) for _ in range(processes)]
        answers = asyncio.run(_storm([api.address for api in apis], 800))
        passed = answers.count(202)
        assert {*answers} == {202, 429}
        print(f"{passed} of {allowed} allowed passed, with {processes} processes")
        assert allowed <= passed <= allowed + processes * untold_at_most
        for api in apis:  # and once they have heard of each other, none does
            wait_until(lambda api=api: api.client.post(ITEM).status_code == 429)
        again = asyncio.run(_storm([api.address for api in apis], 80))
        assert set(again) == {429}


def test_without_redis_the_limiter_lets_pass_and_the_like_fails_by_itself(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    redis = own_valkey()
    shell = Shell(tmp_path, redis_url=redis.url, database_url=sqlite_url)
    assert shell("migrate").code == 0
    with RunningApi(shell, rate_limit="50/1h", redis_timeout=1) as api:
        assert api.client.post(ITEM).status_code == 202
        redis.kill()
        started = time.monotonic()
        answers = [api.client.post(ITEM) for _ in range(3)]
        assert {answer.json()["type"] for answer in answers} <= {"redis-unavailable", "outcome-unknown"}
        assert time.monotonic() - started < 3 * (1 + 1), "the limiter waits for a quarter of a second"
        redis.start()
        assert wait_until(lambda: api.client.post(ITEM).status_code == 202)
