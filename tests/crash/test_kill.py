"""Real SIGKILLs at random moments, while other processes go on posting: exact totals at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine

from tests.crash.flood import BATCH_ITEMS, SHARDS
from tests.rig import Rig
from tests.servers import RedisServer
from tests.waiting import wait_until

WRITERS, WORKERS = 2, 3


class Flood:
    """Writers and workers on a rig, each a process."""

    def __init__(self, rig: Rig, opened: ExitStack) -> None:
        self.rig = rig
        self.opened = opened
        self.random = Random()
        redis_url, database_url = str(rig.places.redis), str(rig.places.database)
        self._writers = [self._start("write", redis_url, str(seed)) for seed in range(WRITERS)]
        self._nursery = self._start("flush", redis_url, database_url)
        self._workers: list[int] = []
        opened.callback(self.kill_workers)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.flood", *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.opened.enter_context(process)
        self.opened.callback(process.terminate)
        return process

    def start_worker(self) -> None:
        assert self._nursery.stdin and self._nursery.stdout
        self._nursery.stdin.write("one more\n")
        self._nursery.stdin.flush()
        self._workers.append(int(self._nursery.stdout.readline()))

    def kill_a_worker(self) -> None:
        """One of them, somewhere in its work; another takes its place."""
        worker = self._workers.pop(self.random.randrange(len(self._workers)))
        os.kill(worker, signal.SIGKILL)
        self.start_worker()

    def kill_workers(self) -> None:
        while self._workers:
            os.kill(self._workers.pop(), signal.SIGKILL)

    def go_on_a_little(self) -> None:
        """Wait until some more batches were applied."""
        target = len(self.rig.ledger()) + self.random.randrange(1, 8)
        wait_until(lambda: len(self.rig.ledger()) >= target, timeout=30)

    def end(self) -> dict[str, int]:
        """Stop posting; what was accepted in all."""
        accepted = Counter[str]()
        for writer in self._writers:
            output, _ = writer.communicate("enough\n", timeout=30)
            assert writer.returncode == 0
            accepted.update(json.loads(output))
        return dict(accepted)


@pytest.fixture
def flood_on() -> Iterator[Callable[[str, Engine], Flood]]:
    with ExitStack() as opened:

        def start(redis_url: str, engine: Engine) -> Flood:
            rig = opened.enter_context(Rig(redis_url, engine, shards=SHARDS, batch_items=BATCH_ITEMS))
            flood = Flood(rig, opened)
            for _ in range(WORKERS):
                flood.start_worker()
            return flood

        yield start


def test_workers_killed_side_by_side(flood_on: Callable[[str, Engine], Flood], valkey_url: str, engine: Engine) -> None:
    flood = flood_on(valkey_url, engine)
    for _ in range(30):
        flood.go_on_a_little()
        flood.kill_a_worker()
    accepted = flood.end()
    flood.kill_workers()
    flood.rig.flush()
    assert flood.rig.totals() == accepted
    assert (flood.rig.kinds(), flood.rig.dead_letters()) == ([], [])


def test_redis_and_workers_killed_with_the_append_only_file_on(
    flood_on: Callable[[str, Engine], Flood], own_valkey: Callable[..., RedisServer], engine: Engine
) -> None:
    server = own_valkey("--appendfsync", "always")
    flood = flood_on(server.url, engine)
    for _ in range(4):
        flood.go_on_a_little()
        server.kill()
        flood.kill_a_worker()
        server.start()
        run_id = flood.rig.redis.info("server")["run_id"]
        wait_until(lambda now=run_id: {cursor.run_id for cursor in flood.rig.worker.ledger.cursors().values()} == {now})
        flood.go_on_a_little()
        flood.kill_a_worker()
    accepted = flood.end()
    flood.kill_workers()
    flood.rig.flush()
    assert flood.rig.totals() == accepted
    assert flood.rig.dead_letters() == []
    assert flood.rig.kinds() == []  # it syncs always: nothing was forgotten
