"""Random histories on real servers: whatever is lost was accepted inside the window of an incident."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from likes.errors import LikesError
from tests.rig import RedisCopy, Rig, SqlCopy
from tests.servers import RedisServer, valkey
from tests.stepping import SteppedWorker

STEPS = st.one_of(
    st.sampled_from(["like", "flush", "save", "restart", "empty", "copy", "put back in place", "die"]),
    st.tuples(st.just("work"), st.integers(1, 8)),
)


class History:
    """One client, a worker that can stand still or die, and a Redis that is saved now and then and forgets the rest."""

    def __init__(self, rig: Rig, server: RedisServer) -> None:
        self.rig = rig
        self.server = server
        self.accepted: dict[str, tuple[datetime, datetime]] = {}  # between which moments, by Redis's clock
        self.worker: SteppedWorker | None = None
        self.copy: RedisCopy = {}

    def take(self, step: str | tuple[str, int]) -> None:
        match step:
            case "like":
                before, item = self.rig.redis_now(), f"item {len(self.accepted)}"
                self.rig.likes.like(item)
                self.accepted[item] = before, self.rig.redis_now()
            case "flush":
                self.rig.flush()
            case "save":
                self.rig.redis.save()
            case "restart":
                self.server.kill()
                self.server.start()
            case "empty":
                self.rig.redis.flushall()
            case "copy":
                self.copy = self.rig.copy_redis()
            case "put back in place":
                self.rig.restore_redis(self.copy)
            case "die" if self.worker:
                self.worker.kill()
                self.worker = None
            case "work", int(calls):
                self.work(calls)

    def work(self, calls: int) -> None:
        worker = self.worker = self.worker or SteppedWorker(self.rig)
        for _ in range(calls):
            if worker.at is not None:
                worker.step()
        if worker.at is None:
            self.worker = None
            assert worker.error is None or isinstance(worker.error, LikesError)

    def end(self) -> None:
        """Let everything be noticed that can be: the client speaks up once more."""
        if self.worker:
            self.worker.kill()
        for _ in range(2):
            self.take("like")
            self.rig.flush()

    def is_exposed(self, moments: tuple[datetime, datetime]) -> bool:
        before, after = moments
        return any(
            (incident.exposed_from is None or incident.exposed_from <= after) and before <= incident.exposed_to
            for incident in self.rig.incidents()
        )


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = valkey("--appendonly", "no")
    yield server.start()
    server.remove()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=25))
def test_what_is_lost_was_accepted_in_a_window(
    server: RedisServer, sqlite_engine: Engine, steps: list[str | tuple[str, int]]
) -> None:
    with Rig(server.url, sqlite_engine, batch_items=2) as rig:
        forget_all(rig)
        history = History(rig, server)
        for step in ["like", "flush", *steps]:
            history.take(step)
        history.end()
        kept = rig.totals().keys() | rig.set_aside().keys()
        lost = {item: moments for item, moments in history.accepted.items() if item not in kept}
        assert [item for item, moments in lost.items() if not history.is_exposed(moments)] == []
        assert all(total == 1 for total in rig.totals().values())


def forget_all(rig: Rig) -> None:
    """Both servers are as new, and so is the snapshot on disk."""
    rig.redis.flushall()
    rig.redis.save()
    nothing: SqlCopy = {table: [] for table in rig.copy_sql()}
    rig.restore_sql(nothing)
