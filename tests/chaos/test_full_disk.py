"""A Redis that cannot write to its disk refuses likes, and counts again by itself once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import OutcomeUnknown, RedisUnavailable
from likes.sql.urls import url_of
from tests.chaos.breakable import BreakableRedis
from tests.rig import Rig
from tests.servers import MissingServerError, valkey_as
from tests.serving_here import ServingHere
from tests.waiting import wait_until

PATIENCE_SECONDS = 8  # a call that is refused all the time takes as long


@pytest.fixture
def server() -> Iterator[BreakableRedis]:
    try:
        server = valkey_as(BreakableRedis)
    except MissingServerError as missing:
        pytest.skip(str(missing))
    yield server.start()
    server.remove()


def is_refused(rig: Rig) -> bool:
    """Whether a like is; one that is not, counts, or nobody can tell on a machine that is busy."""
    try:
        rig.likes.like("filler", timeout=1)
    except RedisUnavailable:
        return True
    except OutcomeUnknown:
        return False
    return False


def test_a_full_disk_refuses_likes_for_a_while_and_loses_none(
    server: BreakableRedis, sqlite_engine: Engine, tmp_path: Path
) -> None:
    with Rig(server.url, sqlite_engine) as rig:
        rig.likes.like("video:1", 5)
        server.let_files_grow(2000)
        wait_until(lambda: is_refused(rig), timeout=60)
        with pytest.raises(RedisUnavailable, match=r"cannot do this now: .*AOF"):
            rig.likes.like("video:1", timeout=PATIENCE_SECONDS)
        with ServingHere(
            redis_url=server.url,
            database_url=url_of(sqlite_engine),
            shards=1,
            redis_timeout=PATIENCE_SECONDS,
            data_dir=tmp_path,
        ) as api:
            answer = api.client.post("/v1/items/video:1/likes")
        assert (answer.status_code, answer.json()["type"]) == (503, "redis-unavailable")
        assert "Retry-After" in answer.headers
        server.let_files_grow(None)
        wait_until(lambda: not is_refused(rig), timeout=60)
        rig.likes.like("video:1", 2)
        rig.flush()
        assert rig.totals()["video:1"] == 7
        assert (rig.kinds(), rig.dead_letters()) == ([], [])
