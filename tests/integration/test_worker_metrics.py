"""`likes worker --metrics-port`: what Prometheus is told of flushes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from likes.metrics.families import OF_A_WORKER, SHARED
from likes.metrics.server import MOST
from tests.running_worker import RunningWorker
from tests.scrapes import Scrape, scrape
from tests.servers import RedisServer, free_port
from tests.shell import Shell
from tests.waiting import wait_until


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str, sqlite_url: str) -> Shell:
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url, metrics_port=free_port())
    assert shell("migrate").code == 0
    return shell


def seen_when(likes: Shell, holds: Callable[[Scrape], object]) -> Scrape:
    """The first scrape of the worker in which this holds."""
    address = f"http://127.0.0.1:{likes.settings['metrics_port']}"
    return wait_until(lambda: (it := scrape(address)) and holds(it) and it, timeout=30)


def test_flushes_are_timed_and_counted(likes: Shell) -> None:
    for item in ("a", "b", "c"):
        likes("post", item, "-n", "5")
    with RunningWorker(likes, interval=0.2) as worker:
        told = worker.wait_for("metrics")["address"]
        assert told == f"http://127.0.0.1:{likes.settings['metrics_port']}/metrics"
        seen = seen_when(likes, lambda it: it("likes_flushed_items_total") == 3)
        assert (seen("likes_flush_duration_seconds_count") or 0) >= 1
        assert 1 <= (seen("likes_flushed_batches_total") or 0) <= 3
        seen = seen_when(likes, lambda it: it("likes_last_flush_success_timestamp_seconds"))
        assert seen("likes_flush_interval_seconds") == 0.2
        assert seen_when(likes, lambda it: it("likes_workers") == 1)("likes_pending_items") == 0
        assert worker.stop() == 0


def test_every_figure_of_a_worker_is_exposed_from_its_start(likes: Shell) -> None:
    with RunningWorker(likes) as worker:
        worker.wait_for("metrics")
        seen = seen_when(likes, lambda it: it("likes_flush_duration_seconds_count"))
    exposed = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in seen.names}
    assert {family.name for family in (*OF_A_WORKER, *SHARED)} - {"likes_incidents_total"} <= exposed


def test_failures_are_counted_by_the_server_that_is_away(likes: Shell, own_valkey: Callable[..., RedisServer]) -> None:
    redis = own_valkey()
    with RunningWorker(likes, redis_url=redis.url, interval=0.2) as worker:
        worker.wait_for("metrics")
        before = seen_when(likes, lambda it: it("likes_last_flush_success_timestamp_seconds"))
        redis.kill()
        seen = seen_when(likes, lambda it: it("likes_up", server="redis") == 0)
        assert (seen("likes_up", server="database"), seen("likes_pending_items")) == (1, None)
        assert (seen("likes_flush_failures_total", reason="redis") or 0) >= 1
        last = "likes_last_flush_success_timestamp_seconds"
        assert (seen(last) or 0) >= (before(last) or 1)  # it stays, for alerts to go by


def test_a_port_that_is_taken_is_named(likes: Shell) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        RunningWorker(likes, metrics_port=taken.getsockname()[1]) as worker,
    ):
        failed = worker.wait_for("failed")
        assert worker.wait() == 2
    assert "LIKES_METRICS_PORT" in failed["message"]
    assert str(taken) not in failed["message"]


def test_silent_connections_take_no_more_threads_than_there_are_for_scrapes(likes: Shell) -> None:
    with RunningWorker(likes) as worker, ExitStack() as silent:
        worker.wait_for("metrics")
        address = "127.0.0.1", int(str(likes.settings["metrics_port"]))

        def one_more() -> int:
            silent.enter_context(socket.create_connection(address))
            return threads_of(worker.process.pid)

        wait_until(lambda: one_more() > MOST)  # each is closed after ten seconds
        for _ in range(3 * MOST):
            one_more()
        assert threads_of(worker.process.pid) < 3 * MOST


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_nothing_else_is_served(likes: Shell) -> None:
    with RunningWorker(likes) as worker:
        address = worker.wait_for("metrics")["address"]
        for request in (address.replace("metrics", ""), Request(address, data=b"", method="POST")):
            with pytest.raises(HTTPError, match="404"), urlopen(request, timeout=10):
                pass
        openmetrics = Request(address, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urlopen(openmetrics, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert answer.read().endswith(b"# EOF\n")
