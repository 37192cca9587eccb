"""Processes that read live totals, and say which items they asked the database for: each statement is counted that goes
to the driver with the item among its parameters. The same processes have a look-aside cache as people write it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio
from sqlalchemy import Engine, event, text

from likes import AsyncLikeCounter
from likes.live import caching, reading
from likes.sql.engine import open_engine

READERS = 50


@dataclass(frozen=True)
class Read:
    """What the tasks of one process read. totals: of each item, every total that was told; asked: how many statements
    asked the database for each item; statements: how many of these there were; took: seconds.
    """

    totals: dict[str, list[int]]
    asked: dict[str, int]
    statements: int
    took: float


class ReadingProcess:
    """A process that reads once it is connected, with an AsyncLikeCounter."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def connect(self, redis_url: str, database_url: str, *, lease: float = caching.LEASE_SECONDS, **rules: Any) -> None:
        """Let it read there from now on. lease: how long its fill leases last, in seconds."""
        self._order({"redis_url": redis_url, "database_url": database_url, "lease": lease, "rules": rules})
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def begin(self, items: Sequence[str], *, naive: bool = False, seconds: float = 0) -> None:
        """Let 50 tasks read all of `items` at once; again and again for so many `seconds`."""
        self._order({"items": items, "naive": naive, "seconds": seconds})

    def end(self) -> Read:
        """What they read."""
        assert self.process.stdout
        return Read(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()

    def _order(self, order: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()


def all_read(processes: Sequence[ReadingProcess], items: Sequence[str], **options: Any) -> list[Read]:
    """What they read who began together."""
    for process in processes:
        process.begin(items, **options)
    return [process.end() for process in processes]


# The process itself.

Ask = Callable[[Sequence[str]], Awaitable[dict[str, int]]]


class Statements:
    """Counts what goes to the database."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.number = 0
        event.listen(Engine, "before_cursor_execute", self.note)

    def note(self, _connection: Any, _cursor: Any, _statement: str, parameters: Any, *_: Any) -> None:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        items = {value for value in values if isinstance(value, str) and value.startswith("video:")}
        self.asked.update(items)
        self.number += bool(items)


def naive_cache(redis_url: str, engine: Engine) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """GET; a miss asks the database, and SET with EX keeps what it says."""
    client = redis.asyncio.Redis.from_url(redis_url, max_connections=1000)

    def total_of(item: str) -> int:
        with engine.connect() as connection:
            statement = text("SELECT total FROM likes_totals WHERE counter = 'likes' AND item = :item")
            return int(connection.execute(statement, {"item": item}).scalar() or 0)

    async def totals(items: Sequence[str]) -> dict[str, int]:
        found = {}
        for item in items:
            cached = await client.get(f"naive:{item}")
            if cached is not None:
                found[item] = int(cached)
                continue
            found[item] = await asyncio.to_thread(total_of, item)
            await client.set(f"naive:{item}", found[item], ex=3600)
        return found

    return totals, client.aclose


async def read(ask: Ask, statements: Statements, items: Sequence[str], seconds: float) -> Read:
    statements.asked.clear()
    statements.number = 0
    told: dict[str, set[int]] = {item: set() for item in items}
    began = time.monotonic()

    async def reader() -> None:
        while True:
            for item, total in (await ask(items)).items():
                told[item].add(total)
            if time.monotonic() - began >= seconds:
                return

    await asyncio.gather(*(reader() for _ in range(READERS)))
    took = time.monotonic() - began
    return Read({item: sorted(each) for item, each in told.items()}, statements.asked, statements.number, took)


async def serve(redis_url: str, database_url: str, lease: float, rules: dict[str, Any]) -> str:
    """Connect there, and read as ordered; returns the next order to connect, or nothing at the end."""
    for module in (caching, reading):
        module.__dict__["LEASE_SECONDS"] = lease
    statements = Statements()
    engine = open_engine(database_url, timeout=10)
    naive, close_naive = naive_cache(redis_url, engine)
    async with AsyncLikeCounter(redis_url=redis_url, database_url=database_url, **rules) as likes:
        await likes.total("nothing")
        say("ready")
        while "items" in (line := await asyncio.to_thread(sys.stdin.readline)):
            order = json.loads(line)
            ask = naive if order["naive"] else likes.totals
            done = await read(ask, statements, order["items"], order["seconds"])
            say(json.dumps(done.__dict__))
    await close_naive()
    engine.dispose()
    event.remove(Engine, "before_cursor_execute", statements.note)
    return line


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    order = sys.stdin.readline()
    while order:
        order = asyncio.run(serve(**json.loads(order)))
