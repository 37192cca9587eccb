"""Where sessions may be kept, side by side: what a request costs that reads one, and one that changes a field.

    python -m tests.bench.sessions

In the process (sticky), copied to every process, in a row of PostgreSQL, as a blob in Redis, and as here.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import psycopg
import redis

from likes.async_session_store import AsyncSessionStore
from likes.connect import Places
from likes.sessions.session import Life
from tests.bench.stand import Stand, seconds_of

ROUNDS = 2000
OTHERS = 3  # processes a copy is sent to
FIELDS = {"cart": [{"item": "book", "count": 2}], "theme": "dark", "csrf": "x" * 32}
Each = tuple[Callable[[], object], Callable[[], object]]  # a request that reads, one that changes


def in_the_process() -> Each:
    """Sticky sessions: a dict; it is gone with its process."""
    sessions: dict[str, dict[str, Any]] = {"token": dict(FIELDS)}
    return lambda: sessions["token"], lambda: sessions["token"].update(theme="light")


def copied(pipes: list[Connection]) -> Each:
    """Every change is sent to every other process, and waited for."""
    session = dict(FIELDS)

    def change() -> None:
        session["theme"] = "light"
        for pipe in pipes:
            pipe.send_bytes(json.dumps(session).encode())
        for pipe in pipes:
            pipe.recv_bytes()

    return lambda: session, change


def take_copies(pipe: Connection) -> None:
    """What each of the other processes does."""
    sessions = {}
    while written := pipe.recv_bytes():
        sessions["token"] = json.loads(written)
        pipe.send_bytes(b"ok")


def in_a_database(connection: psycopg.Connection) -> Each:
    """A row; every request says when it came, as sliding needs it."""
    connection.execute("CREATE TABLE visits (id text PRIMARY KEY, fields jsonb, hits bigint, last_seen timestamptz)")
    connection.execute("INSERT INTO visits VALUES ('token', %s, 0, now())", [json.dumps(FIELDS)])
    hit = "UPDATE visits SET hits = hits + 1, last_seen = now(){} WHERE id = 'token' RETURNING fields"
    change = hit.format(', fields = fields || \'{"theme": "light"}\'')
    return lambda: connection.execute(hit.format("")).fetchone(), lambda: connection.execute(change).fetchone()


def as_a_blob(client: Any) -> Each:
    """Read whole and written back whole, with its time to live: what was changed in between is undone."""
    client.set("visit", json.dumps(FIELDS), ex=1800)

    def read() -> Any:
        session = json.loads(client.get("visit"))
        client.expire("visit", 1800)
        return session

    def change() -> None:
        client.set("visit", json.dumps({**json.loads(client.get("visit")), "theme": "light"}), ex=1800)

    return read, change


def as_here(store: AsyncSessionStore, runner: asyncio.Runner) -> Each:
    """A hash, a field each."""

    async def begin() -> str:
        return (await store.begin("mary", FIELDS))[0]

    token = runner.run(begin())

    async def many(request: Callable[[], Any]) -> None:
        for _ in range(ROUNDS):
            await request()

    return (
        lambda: runner.run(many(lambda: store.touch(token))),
        lambda: runner.run(many(lambda: store.change(token, {"theme": "light"}))),
    )


def tell(name: str, each: Each, *, rounds: int = ROUNDS, at_once: bool = False) -> None:
    """Print what a request costs in microseconds, the best of three."""
    costs = []
    for request in each:
        work = request if at_once else lambda request=request: [request() for _ in range(rounds)]  # type: ignore[misc]
        costs.append(min(seconds_of(work) for _ in range(3)) / rounds * 1e6)
    print(f"{name:45} {costs[0]:8.1f} {costs[1]:8.1f}")


def main() -> None:
    """Measure all of them on servers of this run's own."""
    pairs = [multiprocessing.Pipe() for _ in range(OTHERS)]
    others = [multiprocessing.Process(target=take_copies, args=(theirs,), daemon=True) for _, theirs in pairs]
    for other in others:
        other.start()
    with Stand(0, 1) as stand:
        print(f"{'µs a request':45} {'read':>8} {'change':>8}")
        tell("in the process (sticky)", in_the_process())
        tell(f"copied to {OTHERS} other processes", copied([ours for ours, _ in pairs]))
        with psycopg.connect(stand.postgres.url, autocommit=True) as connection:
            tell("a row of PostgreSQL, fsync on", in_a_database(connection), rounds=500)
        with redis.Redis.from_url(stand.redis.url) as client, asyncio.Runner() as runner:
            tell("a blob in Redis", as_a_blob(client))
            places = Places(stand.redis.url, None, None, redis_timeout=5, database_timeout=5)
            store = AsyncSessionStore(places, "likes", Life(1800, 86_400))
            tell("a hash in Redis, as here", as_here(store, runner), at_once=True)
            print(*memory(client, store, runner), sep="\n")
            runner.run(store.close())
    for ours, _ in pairs:
        ours.send_bytes(b"")


def memory(client: Any, store: AsyncSessionStore, runner: asyncio.Runner) -> list[str]:
    """What a session takes in Redis, as a hash with what leads to it, and as a blob."""

    async def begin_many() -> None:
        for number in range(ROUNDS):
            await store.begin(f"user{number}", FIELDS)

    used = [client.info("memory")["used_memory"]]
    runner.run(begin_many())
    used.append(client.info("memory")["used_memory"])
    for number in range(ROUNDS):
        client.set(f"blob:{number:064}", json.dumps(FIELDS), ex=1800)
    used.append(client.info("memory")["used_memory"])
    hashed, blob = ((later - before) / ROUNDS for before, later in pairwise(used))
    script = client.info("commandstats")["cmdstat_evalsha"]
    return [
        f"bytes of Redis a session: {hashed:.0f} as here, {blob:.0f} as a blob",
        f"µs of Redis a script call: {script['usec_per_call']}",
    ]


if __name__ == "__main__":
    main()
