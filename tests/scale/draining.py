"""What it costs workers, processes of their own, to bring what is pending into an empty database."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from likes import LikeCounter
from tests.bench.cpu import cpu_of, cpu_of_all
from tests.bench.stand import Stand
from tests.bench.traffic import batches, deltas
from tests.running_worker import Running
from tests.shell import Shell
from tests.waiting import wait_until

PATIENCE_SECONDS = 3600
PREFIXES = ("likes", "europe")


@dataclass(frozen=True)
class Drained:
    """items: all that were pending. seconds: from the workers' start to the last item in the database.

    redis, workers, postgres: microseconds of CPU an item. peak: MiB that the largest worker had resident (VmHWM).
    memory: bytes that Redis had for a pending item.
    """

    what: str
    items: int
    seconds: float
    redis: float
    workers: float
    postgres: float
    peak: float
    memory: float

    @property
    def cost(self) -> float:
        """Microseconds of CPU an item, of all processes."""
        return self.redis + self.workers + self.postgres


def drain(stand: Stand, what: str, items: int, *, prefixes: Sequence[str] = PREFIXES[:1], workers: int = 1) -> Drained:
    """Post `items` under each prefix, the same for all of them, and have so many workers a prefix flush them."""
    stand.empty_redis()
    posted = {prefix: _post(stand, items // len(prefixes), prefix) for prefix in prefixes}
    memory = _memory(stand)
    with TemporaryDirectory() as folder, stand.database() as database, ExitStack() as stack:
        shell = Shell(Path(folder), redis_url=stand.redis.url, database_url=database)
        before = cpu_of([stand.redis.pid]), cpu_of_all(stand.postgres.pid)
        began = time.perf_counter()
        running = [
            stack.enter_context(Running(shell, "worker", prefix=prefix)) for prefix in prefixes for _ in range(workers)
        ]
        with psycopg.connect(database, autocommit=True) as connection:
            wait_until(lambda: _applied(connection) == posted, timeout=PATIENCE_SECONDS)
        seconds = time.perf_counter() - began
        used = cpu_of([stand.redis.pid]) - before[0], cpu_of_all(stand.postgres.pid) - before[1]
        own = cpu_of(worker.process.pid for worker in running)
        peak = max(_peak(worker.process.pid) for worker in running)
    redis, postgres, own = (cpu / items * 1e6 for cpu in (*used, own))
    return Drained(what, items, seconds, redis, own, postgres, peak, memory / items)


def _post(stand: Stand, items: int, prefix: str) -> int:
    """The sum of the deltas posted."""
    total = 0
    with LikeCounter(redis_url=stand.redis.url, prefix=prefix) as likes:
        for batch in batches(islice(deltas(items, seed=items), items), 10_000):
            likes.add(batch)
            total += sum(batch.values())
    return total


def _applied(connection: psycopg.Connection) -> Mapping[str, int]:
    rows = connection.execute("SELECT namespace, sum(applied_delta)::bigint FROM likes_cursors GROUP BY namespace")
    return dict(rows.fetchall())


def _memory(stand: Stand) -> float:
    with stand.client() as client:
        return float(client.info("memory")["used_memory"]) - float(client.info("memory")["used_memory_startup"])


def _peak(pid: int) -> float:
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) / 1024
