"""How an application calls the library, checked by mypy and never run."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio
from sqlalchemy import create_engine

from likes import AsyncLikeCounter, LikeCounter, LikesError, LiveTotal, OutcomeUnknown, Settings, Total


def synchronous() -> None:
    likes = LikeCounter(redis_url="redis://localhost", database_url="sqlite:////likes.db", shards=8)
    pending: int = likes.like("video:42", 3, counter="views")
    likes.add({"video:42": pending})
    total: int = likes.total("video:42")
    totals: dict[str, int] = likes.totals(["video:42"])
    live: dict[str, LiveTotal] = likes.live(["video:42"], timeout=1)
    top: list[Total] = likes.top(10, counter="views")
    likes.like("video:42", timeout=0.2)
    with LikeCounter.from_settings(Settings.load(prefix="other")) as other:
        other.unlike("video:42")
    print(total, totals, live, top)


def with_servers_of_its_own() -> None:
    engine = create_engine("postgresql+psycopg://localhost/shop")
    LikeCounter(redis=redis.Redis(), engine=engine, redis_timeout=1)
    LikeCounter(redis=redis.ConnectionPool(), data_dir=Path("data"))
    AsyncLikeCounter(redis=redis.asyncio.Redis(), engine=engine)
    AsyncLikeCounter(redis=redis.asyncio.ConnectionPool())
    LikeCounter(redis=redis.asyncio.Redis())  # type: ignore[arg-type]  # refused: a client for asyncio
    AsyncLikeCounter(redis=redis.Redis())  # type: ignore[arg-type]  # refused: a client for threads


async def asynchronous() -> None:
    async with AsyncLikeCounter.from_settings() as likes:
        try:
            await likes.like("video:42")
        except OutcomeUnknown as error:
            unknown: dict[str, int] = error.unknown
            print(unknown)
        total: int = await likes.total("video:42", timeout=0.2)
        outcomes: list[int | LikesError] = await likes.like_each([("video:42", 1, "likes")])
        top: list[Total] = await likes.top()
        print(total, outcomes, top)
