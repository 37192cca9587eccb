"""Where everything is measured: Redis with its append-only file and PostgreSQL with fsync, both for this run alone."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import redis

from likes import LikeCounter, Settings
from likes.sql.engine import open_engine
from likes.sql.schema import migrate
from tests.bench.traffic import batches
from tests.servers import PostgreSQL, RedisServer, valkey
from tests.waiting import wait_until
from worker.assembly import open_flusher
from worker.flush import Flusher

WARM_UP = {f"warm-up:{i}": 1 for i in range(1000)}  # enough for every shard


class Stand:
    """The servers, and how much is measured on them.

    items: pending in the ordinary case; largest: pending where growth and memory are looked at beyond that, if at all.
    server: another redis-server or valkey-server than the one of the wheel.
    """

    def __init__(self, items: int, rounds: int, *, largest: int | None = None, server: Path | None = None) -> None:
        self.items = items
        self.rounds = rounds
        self.largest = largest
        # A rewrite of the append-only file would run beside one side of a comparison and not beside the other.
        no_rewrite = ("--auto-aof-rewrite-percentage", "0")
        self.redis = (RedisServer(str(server), *no_rewrite) if server else valkey(*no_rewrite)).start()
        self.postgres = PostgreSQL(durable=True).start()
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")  # for the same reason
            connection.execute("SELECT pg_reload_conf()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.remove()
        self.postgres.remove()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty, migrated database."""
        name = f"bench_{uuid.uuid4().hex}"
        engine = open_engine(self.postgres.create(name), timeout=30)
        migrate(engine)
        engine.dispose()
        yield self.postgres.url_of(name)
        self.postgres.drop(name)

    @contextmanager
    def flusher(self, database: str) -> Iterator[Flusher]:
        """A worker's flusher with the default settings, warm, between an empty Redis and an empty `database`."""
        self.empty_redis()
        settings = Settings.load(redis_url=self.redis.url, database_url=database)
        with open_flusher(settings) as flusher:
            self.post(WARM_UP.items())
            flusher.flush()
            yield flusher

    def empty_redis(self) -> None:
        """Begin anew, with an empty append-only file too."""
        with self.client() as client:
            client.flushall()
            client.bgrewriteaof()
            wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], timeout=60)

    def post(self, deltas: Iterable[tuple[str, int]]) -> None:
        """Make them pending, and give the servers a moment's rest from what went before."""
        with self.counter() as likes:
            for batch in batches(iter(deltas), 10_000):
                likes.add(batch)
        self.checkpoint()

    def checkpoint(self) -> None:
        """After it every first change of a page is written out whole, whoever is measured next."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def client(self) -> Any:
        """A redis-py client as it comes."""
        return redis.Redis.from_url(self.redis.url)

    def counter(self) -> LikeCounter:
        """A LikeCounter."""
        return LikeCounter(redis_url=self.redis.url)

    def machine(self) -> dict[str, object]:
        """What the figures were measured on."""
        with self.client() as client, psycopg.connect(self.postgres.url) as connection:
            server, memory = client.info("server"), client.info("memory")
            postgres = connection.execute("SHOW server_version").fetchone()
        return {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
            "Python": platform.python_version(),
            server.get("server_name", "redis"): server.get("valkey_version", server["redis_version"]),
            "built with": memory["mem_allocator"],  # a library may be loaded before it
            "PostgreSQL": postgres[0] if postgres else "?",
            "kernel": platform.release(),
            "items": self.items,
            "rounds": self.rounds,
        }


def seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
