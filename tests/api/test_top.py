"""The most liked items, as the database has them, without storming it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter
from likes.api.ranking import Ranking
from likes.errors import DatabaseUnavailable, InvalidInput
from likes.sql.tables import totals
from tests.running_api import RunningApi
from tests.shell import Shell

NO_REDIS = "redis://127.0.0.1:1"


def fill(engine: Engine, **held: int) -> None:
    rows = [{"counter": "likes", "item": item, "total": held[item], "updated_at": datetime.now(UTC)} for item in held]
    with engine.begin() as connection:
        connection.execute(totals.insert(), rows)


def test_the_largest_totals_over_http(shared_api: RunningApi, shared_shell: Shell) -> None:
    likes = [{"item": item, "count": count} for item, count in (("a", 1), ("b", 3), ("c", 2), ("d", -1))]
    assert shared_api.client.post("/v1/likes", json={"likes": likes}).status_code == 202
    assert shared_shell("flush").code == 0
    top = shared_api.client.get("/v1/top").json()["items"]
    assert [(each["item"], each["total"]) for each in top] == [("b", 3), ("c", 2), ("a", 1), ("d", -1)]
    assert set(top[0]) == {"item", "counter", "total", "updated_at"}
    assert top[0]["updated_at"].endswith("Z")
    assert [each["item"] for each in shared_api.client.get("/v1/top?limit=2").json()["items"]] == ["b", "c"]
    assert shared_api.client.get("/v1/top?counter=views").json() == {"items": []}


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1.0", "ten", "", "%D9%A1", "1e2", "9" * 5000])
def test_a_limit_that_is_none(shared_api: RunningApi, limit: str) -> None:
    answer = shared_api.client.get(f"/v1/top?limit={limit}")
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid-input")
    assert "1 to 1000" in answer.json()["detail"]


def test_the_library_reads_them_without_redis(engine: Engine, migrated_url: str) -> None:
    fill(engine, a=1, b=3, c=2)
    with LikeCounter(redis_url=NO_REDIS, database_url=migrated_url) as likes:
        assert [(total.item, total.total) for total in likes.top(2)] == [("b", 3), ("c", 2)]
        assert likes.top(counter="views") == []

    async def read() -> list[str]:
        async with AsyncLikeCounter(redis_url=NO_REDIS, database_url=migrated_url) as likes:
            return [total.item for total in await likes.top(2)]

    assert asyncio.run(read()) == ["b", "c"]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": True}, {"limit": 10**6}, {"counter": "a b"}, {"timeout": 0}])
def test_the_library_names_what_is_wrong(wrong: dict[str, object]) -> None:
    with (
        LikeCounter(redis_url=NO_REDIS, database_url="sqlite:///nowhere/likes.db") as likes,
        pytest.raises(InvalidInput),
    ):
        likes.top(**wrong)


def test_a_database_that_is_away() -> None:
    away = "postgresql://127.0.0.1:1/likes"
    with LikeCounter(redis_url=NO_REDIS, database_url=away) as likes, pytest.raises(DatabaseUnavailable):
        likes.top()


class Counted:
    """A counter whose database is asked so many times, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers = asyncio.Event()

    async def top(self, limit: int, *, counter: str, timeout: float) -> list[str]:
        self.asked.append(limit)
        await self.answers.wait()
        return [f"{counter} {i}" for i in range(limit)]


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("likes.api.ranking.time.monotonic", lambda: now[0])
    return now


def test_a_hundred_who_ask_at_once_are_one_question(moments: list[float]) -> None:
    async def ask() -> list[int]:
        likes = Counted()
        ranking = Ranking(likes, 1.0)
        asking = [asyncio.create_task(ranking.top("likes", 10)) for _ in range(100)]
        await asyncio.sleep(0)
        likes.answers.set()
        for answer in await asyncio.gather(*asking):
            assert len(answer) == 10
        assert len(await ranking.top("likes", 3)) == 3
        assert len(await ranking.top("likes", 20)) == 20  # more than is kept
        moments[0] += 5.1
        await ranking.top("likes", 5)
        return likes.asked

    assert asyncio.run(ask()) == [10, 20, 5]
