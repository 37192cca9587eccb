"""Workers, clients and readers of two versions on one Redis and one database at once, workers killed all the time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest
from sqlalchemy import func, select

from likes.sql.engine import reading
from likes.sql.tables import batches
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.shell import CHECKOUT, Shell
from tests.upgrades import client
from tests.upgrades.client import ACCEPTED, BYTES, ITEMS, PATIENCE_SECONDS, Book, Checks
from tests.upgrades.conftest import SHARDS
from tests.upgrades.previous import Previous
from tests.waiting import wait_until

KILLED = ("old", "new")


class Client:
    """`client.py` with the library of a checkout; it ends when the block does, or is asked to `end`."""

    def __init__(self, tree: Path, rig: Rig, *words: object) -> None:
        places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine), "shards": SHARDS}
        self._process = subprocess.Popen(
            [sys.executable, client.__file__, json.dumps(places), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree, env={"PYTHONPATH": str(tree)},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> Any:
        """What it says at its end."""
        out, _ = self._process.communicate("enough\n", timeout=PATIENCE_SECONDS)
        assert self._process.returncode == 0
        return json.loads(out)


class HttpReader(Thread):
    """Reads all items over HTTP until it is stopped."""

    def __init__(self, api: RunningApi, book: Book) -> None:
        super().__init__()
        self.checks = Checks(book)
        self.inexact = 0
        self.failed: list[object] = []
        self._api = api
        self._api.client.timeout = PATIENCE_SECONDS
        self._enough = Event()
        self.start()

    def run(self) -> None:
        """Read on."""
        while not self._enough.is_set():
            self.checks.begin()
            answer = self._api.client.get("/v1/items", params={"item": ITEMS})
            if answer.status_code != 200:
                self.failed.append(answer.text)
                continue
            found = answer.json()["items"]
            if all(each["exact"] for each in found):
                self.checks.end([each["total"] for each in found])
            else:
                self.inexact += 1
            self._enough.wait(0.02)

    def stop(self) -> None:
        """Let it end."""
        self._enough.set()
        self.join()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "book"
    path.write_bytes(bytes(BYTES))
    return path


def batches_by(rig: Rig, worker: RunningWorker) -> int:
    """How many batches a worker has applied."""
    mine = batches.c.worker.endswith(f":{worker.process.pid}")
    with reading(rig.engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(batches).where(mine)) or 0)


def both_flush(rig: Rig, workers: dict[str, RunningWorker]) -> None:
    """Wait until each has applied more."""
    before = {name: batches_by(rig, worker) for name, worker in workers.items()}
    wait_until(
        lambda: all(batches_by(rig, worker) > before[name] + 1 for name, worker in workers.items()), PATIENCE_SECONDS
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("migrated_url", ["sqlite", "postgres"], indirect=True)
def test_every_like_counts_once_and_every_live_total_is_true(rig: Rig, new: Shell, old: Previous, book: Path) -> None:
    shells = {"old": old, "new": new}
    with ExitStack() as opened:
        api = opened.enter_context(RunningApi(new, redis_timeout=PATIENCE_SECONDS, database_timeout=PATIENCE_SECONDS))
        workers = {name: opened.enter_context(RunningWorker(shell)) for name, shell in shells.items()}
        clients = [opened.enter_context(Client(tree, rig, n, book)) for n, tree in enumerate((old.checkout, CHECKOUT))]
        over_http = HttpReader(api, Book(str(book)))
        opened.callback(over_http.stop)
        for name in KILLED:
            both_flush(rig, workers)
            workers[name].kill()
            workers[name] = opened.enter_context(RunningWorker(shells[name]))
        both_flush(rig, workers)
        assert len(new("status", "--json").json["workers"]) >= 2
        seen = [client.end() for client in clients]
        assert [worker.stop() for worker in workers.values()] == [0, 0]
        over_http.stop()
        assert [wrong for _, wrong in seen] == [[], []]
        assert all(reads for reads, _ in seen)
        assert (over_http.checks.wrong, over_http.failed) == ([], [])
        assert over_http.checks.reads > 10 * over_http.inexact
    accepted = dict(zip(ITEMS, Book(str(book)).totals(ACCEPTED), strict=True))
    rig.flush()
    assert rig.totals() == accepted == rig.likes.totals(ITEMS)
    assert (rig.kinds(), rig.dead_letters(), len(rig.retired())) == ([], [], 0)
    assert new("audit", "--items").code == 0
